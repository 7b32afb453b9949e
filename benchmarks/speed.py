"""Training and prediction time of skcnn and of all installed peers on the same tasks.

    python benchmarks/speed.py                                  # all tasks, all installed peers: about 20 minutes
    python benchmarks/speed.py --rounds 3 --tasks "batch 1" --peers PyTorch JAX

    pip install -e '.[peers]'                                   # install the peers, in a separate environment

Every round runs all contenders of a task once, in turn, so that a slow phase of the machine affects all of them. The
script prints the median over the rounds and its ratio to the time of skcnn. The images are those of Fashion-MNIST. Run
nothing else at the same time: other load slows the frameworks down more than skcnn. Unset OPENBLAS_CORETYPE and
OPENBLAS_L2_SIZE, because they select older BLAS kernels.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import numpy as np
from peers import DEEPER, DEFAULT, EXERCISE, OURS, PEERS, Net
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn.datasets import load_fashion_mnist

PYTORCH = ("PyTorch", "PyTorch, channels_last", "PyTorch, compiled")
TRAINING = (*PYTORCH, "Keras", "skorch", "JAX", "MLPClassifier")
PREDICTION = (*PYTORCH, "Keras", "skorch", "JAX", "onnxruntime", "MLPClassifier")


@dataclass(frozen=True)
class Task:
    """What is timed: a network, the batch size (None: prediction), the number of images, and the peers."""

    net: Net
    batch: int | None
    n_images: int
    peers: tuple[str, ...]
    repeat: int = 1


TASKS = {
    "EXERCISE, train, batch 1": Task(EXERCISE, 1, 1_600, (*TRAINING, "naive loops")),
    "EXERCISE, train, batch 32": Task(EXERCISE, 32, 6_400, TRAINING),
    "EXERCISE, train, batch 128": Task(EXERCISE, 128, 6_400, TRAINING),
    "EXERCISE, predict 10,000": Task(EXERCISE, None, 10_000, PREDICTION),
    "EXERCISE, predict one": Task(EXERCISE, None, 1, (*PREDICTION, "naive loops"), repeat=50),
    "deeper, train, batch 64": Task(DEEPER, 64, 1_280, (*PYTORCH, "Keras")),
    "deeper, predict 4,096": Task(DEEPER, None, 4_096, (*PYTORCH, "Keras", "onnxruntime")),
    "default, train, batch 64": Task(DEFAULT, 64, 6_400, (*PYTORCH, "Keras")),
    "default, predict 10,000": Task(DEFAULT, None, 10_000, (*PYTORCH, "Keras", "onnxruntime")),
}
NAIVE_IMAGES = 8  # more images would take minutes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", nargs="*", default=[""], help="run the tasks whose names contain one of these texts")
    parser.add_argument("--peers", nargs="*", default=[""], help="run the peers whose names contain one of these texts")
    args = parser.parse_args()
    X, y = load_fashion_mnist(return_X_y=True)
    installed = {name: peer for name, peer in PEERS.items() if find_spec(peer.package)}
    describe_machine(installed)
    for name, task in TASKS.items():
        if any(part in name for part in args.tasks):
            peers = {p: installed[p] for p in task.peers if p in installed and any(part in p for part in args.peers)}
            print_row(name, measured(task, {**OURS, **peers}, X, y.astype(np.int64), args.rounds))


def measured(task, contenders, X, y, rounds):
    """Return the microseconds per image for every contender and round."""
    runs = {name: ready(task, name, contender, X, y) for name, contender in contenders.items()}
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(run() * 1e6)
    return times


def ready(task, name, contender, X, y):
    """Create a contender, let it compile, and return the function to time."""
    naive = name == "naive loops"
    n, repeat = (min(NAIVE_IMAGES, task.n_images), 1) if naive else (task.n_images, task.repeat)
    made = contender(task.net, task.batch or 32)
    images = made.prepare(X[:n])
    if task.batch is None:
        made.fit_somehow(made.prepare(X[:512]), y[:512])
        work = lambda: made.predict(images)  # noqa: E731
    else:
        work = lambda: made.train(images, y[:n])  # noqa: E731

    def run():
        start = perf_counter()
        for _ in range(repeat):
            work()
        return (perf_counter() - start) / repeat / n

    if not naive:
        run()
    return run


def describe_machine(peers):
    packages = dict.fromkeys(p.package for p in (*OURS.values(), *peers.values()))
    print(f"Python {platform.python_version()},", *[f"{name} {__import__(name).__version__}" for name in packages])
    print(f"{platform.processor() or platform.machine()}: {matrix_product():.0f} GFLOP/s with one thread;", end=" ")
    print(
        *[f"{p['internal_api']} {p.get('architecture', '')} x {p['num_threads']}" for p in threadpool_info()], sep=", "
    )
    print("microseconds per image: median of the rounds (minimum to maximum), and its ratio to skcnn\n", flush=True)


def matrix_product():
    """Return the GFLOP/s of a large matrix product in float32."""
    a = np.ones((1024, 1024), np.float32)
    with threadpool_limits(1):
        times = []
        for _ in range(10):
            start = perf_counter()
            a @ a
            times.append(perf_counter() - start)
    return 2 * 1024**3 / min(times) / 1e9


def print_row(task, times):
    print(task)
    ours = median(times["skcnn"])
    for name, values in times.items():
        spread = f"({min(values):.1f} to {max(values):.1f})"
        print(f"    {name:24} {median(values):10.1f} {spread:24} {median(values) / ours:8.2f}", flush=True)


if __name__ == "__main__":
    main()
