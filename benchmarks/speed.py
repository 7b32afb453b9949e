"""Training and prediction time of skcnn, with both backends, and of all installed peers on the same tasks.

    python benchmarks/speed.py                                  # all tasks, all installed peers: about 40 minutes
    python benchmarks/speed.py --rounds 3 --tasks "batch 1" --peers PyTorch JAX
    python benchmarks/speed.py --save speed.json                # for python benchmarks/speed_chart.py

    pip install -e '.[fast,peers]'                              # install the peers, in a separate environment

Every contender has a process of its own. Every round runs all contenders of a task once, in a random order, so that a
slow phase of the machine affects all of them. The script prints the median over the rounds, and its ratio to the time
of skcnn with each of its two backends. The images are those of Fashion-MNIST; the colour network gets random images.
Run nothing else at the same time: other load slows the frameworks down more than skcnn. Unset OPENBLAS_CORETYPE and
OPENBLAS_L2_SIZE, because they override what OpenBLAS detects about the processor.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from time import perf_counter, sleep

import numpy as np
from peers import COLOUR, DEEP, DEEPER, DEFAULT, EXERCISE, OURS, PEERS, Net
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn.datasets import load_fashion_mnist

PYTORCH = ("PyTorch", "PyTorch, channels_last", "PyTorch, compiled")
FRAMEWORKS = (*PYTORCH, "Keras", "JAX")
TRAINING = (*FRAMEWORKS, "skorch", "MLPClassifier")
PREDICTION = (*FRAMEWORKS, "onnxruntime", "skorch", "MLPClassifier")


@dataclass(frozen=True)
class Task:
    """What is timed: a network, the batch size (None: prediction), the number of images, and the peers.

    The work is done `repeat` times for one measurement.
    """

    net: Net
    batch: int | None
    n_images: int
    peers: tuple[str, ...]
    repeat: int = 1

    def data(self):
        """Return the images and the labels."""
        if self.net.image_shape == (28, 28, 1):
            X, y = load_fashion_mnist(return_X_y=True)
            return X, y.astype(np.int64)
        rng, n = np.random.default_rng(0), max(self.n_images, 512)
        return rng.integers(0, 256, (n, *self.net.image_shape), np.uint8), np.arange(n) % 10


TASKS = {
    "EXERCISE, train, batch 1": Task(EXERCISE, 1, 1_600, (*TRAINING, "naive loops")),
    "EXERCISE, train, batch 32": Task(EXERCISE, 32, 6_400, TRAINING),
    "EXERCISE, train, batch 128": Task(EXERCISE, 128, 6_400, TRAINING),
    "default, train, batch 64": Task(DEFAULT, 64, 6_400, FRAMEWORKS),
    "deeper, train, batch 64": Task(DEEPER, 64, 1_920, FRAMEWORKS),
    "DEEP, train, batch 128": Task(DEEP, 128, 1_920, FRAMEWORKS),
    "colour, train, batch 64": Task(COLOUR, 64, 960, FRAMEWORKS),
    "EXERCISE, predict 10,000": Task(EXERCISE, None, 10_000, PREDICTION),
    "default, predict 10,000": Task(DEFAULT, None, 10_000, (*FRAMEWORKS, "onnxruntime")),
    "deeper, predict 10,000": Task(DEEPER, None, 10_000, (*FRAMEWORKS, "onnxruntime")),
    "EXERCISE, predict one": Task(EXERCISE, None, 1, (*PREDICTION, "naive loops"), repeat=200),
}
NAIVE_IMAGES = 8  # more images would take minutes
REST = 0.3  # seconds between two contenders, because the threads of some wait in a busy loop at first


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", nargs="*", default=[""], help="run the tasks whose names contain one of these texts")
    parser.add_argument("--peers", nargs="*", default=[""], help="run the peers whose names contain one of these texts")
    parser.add_argument("--save", type=Path, help="write the times of all rounds to this JSON file, after every task")
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # otherwise, TensorFlow logs its CPU features in every process
    ours = {name: one for name, one in OURS.items() if one.backend == "numpy" or find_spec("numba")}
    installed = {name: peer for name, peer in PEERS.items() if find_spec(peer.package)}
    results = {"machine": describe_machine(installed), "microseconds per image": {}, "peak memory in MB": {}}
    print(*results["machine"], sep="\n")
    print("microseconds per image: median of the rounds (minimum to maximum), and its ratio to each of our backends\n")
    for name, task in TASKS.items():
        if any(part in name for part in args.tasks):
            peers = [p for p in task.peers if p in installed and any(part in p for part in args.peers)]
            times, memory = measured(task, [*ours, *peers], args.rounds)
            print_row(name, times, memory)
            results["microseconds per image"][name] = times
            results["peak memory in MB"][name] = memory
            if args.save:
                args.save.write_text(json.dumps(results, indent=1) + "\n")


def measured(task, contenders, rounds):
    """Return the microseconds per image for every contender and round, and the peak memory of every contender in MB."""
    times = {name: [] for name in contenders}
    with ExitStack() as stack:
        asked = {name: stack.enter_context(in_own_process(task, name)) for name in contenders}
        for _ in range(rounds):
            for name in random.sample(contenders, len(contenders)):  # no contender always follows the same one
                sleep(REST)
                times[name].append(asked[name]("time") * 1e6)
        return times, {name: ask("memory") for name, ask in asked.items()}


@contextmanager
def in_own_process(task, name):
    """Start a process in which a contender is ready, and give the function that asks for its time or its memory."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(task, name, its))
    process.start()
    its.close()

    def ask(what):
        ours.send(what)
        return ours.recv()

    if ours.recv() != "ready":
        raise RuntimeError(f"{name} could not be prepared for {task}")
    try:
        yield ask
    finally:
        ours.close()
        process.join()


def serve(task, name, connection):
    """Wait for requests: "time" runs the contender once and returns its time, "memory" returns its peak memory."""
    run = ready(task, name, {**OURS, **PEERS}[name], *task.data())
    connection.send("ready")
    while True:
        try:
            what = connection.recv()
        except EOFError:
            return
        connection.send(run() if what == "time" else peak_memory())


def peak_memory():
    """Return the peak memory of this process, in MB."""
    return getrusage(RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


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
    """Return three lines: the versions of the packages, the processor, and the BLAS libraries."""
    distributions = packages_distributions()
    packages = dict.fromkeys(["numpy", "numba", *(peer.package for peer in peers.values()), "tensorflow"])
    names = [distributions[package][0] for package in packages if find_spec(package)]
    return [
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names),
        f"{processor()}, {os.cpu_count()} cores: {matrix_product():.0f} GFLOP/s with one thread",
        ", ".join(f"{p['internal_api']} {p.get('architecture', '')} x {p['num_threads']}" for p in threadpool_info()),
    ]


def processor():
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


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


def print_row(task, times, memory):
    ours = {name: median(times[name]) for name in ("skcnn, numba", "skcnn") if name in times}
    print(task, " " * 53, *[f"over {name}" for name in ours], "memory")
    for name, values in times.items():
        spread = f"({min(values):.1f} to {max(values):.1f})"
        ratios = [f"{median(values) / base:14.2f}" for base in ours.values()]
        print(f"    {name:26} {median(values):10.1f} {spread:24}", *ratios, f"{memory[name]:6.0f} MB", flush=True)


if __name__ == "__main__":
    main()
