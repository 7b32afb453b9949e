"""How time and memory grow with the number of images, image size, kernels, depth and threads.

    python benchmarks/scaling.py                # about ten minutes
    python benchmarks/scaling.py --only threads memory

Time is that of one epoch of `fit`, or of `predict_proba`, in microseconds per image. Every round measures all sizes in
turn, and the median of the rounds is printed. Memory is the peak of what the call has allocated, measured in a new
process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median
from time import perf_counter

import numpy as np

from skcnn import NumpyCNNClassifier
from skcnn.datasets import load_fashion_mnist
from skcnn.presets import EXERCISE

SECTIONS = {}


def section(function):
    SECTIONS[function.__name__] = function
    return function


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    args = parser.parse_args()
    for name in args.only:
        print(f"{name}: {SECTIONS[name].__doc__}")
        SECTIONS[name](args.rounds)


def exercise(**changes):
    return NumpyCNNClassifier(**{**EXERCISE, "max_iter": 1, "batch_size": 32, "random_state": 0, **changes})


def seconds(function):
    start = perf_counter()
    function()
    return perf_counter() - start


def compare(works, rounds):
    """Print microseconds per image for works {label: (function, n_images)}, and the ratio to the first."""
    times = {label: [] for label in works}
    for _ in range(rounds):
        for label, (work, n) in works.items():
            times[label].append(seconds(work) / n * 1e6)
    first = median(next(iter(times.values())))
    for label, of in times.items():
        print(f"    {label:40} {median(of):10.1f} us per image  {median(of) / first:8.2f}", flush=True)


@section
def images(rounds):
    """EXERCISE's network at batch size 32, with more and more images."""
    X, y = load_fashion_mnist(return_X_y=True)
    clf = exercise().fit(X[:320], y[:320])
    fits = {f"fit {n:,}": (lambda n=n: exercise().fit(X[:n], y[:n]), n) for n in (2_000, 10_000, 60_000)}
    compare(fits, min(rounds, 3))
    compare({f"predict {n:,}": (lambda n=n: clf.predict_proba(X[:n]), n) for n in (2_000, 10_000, 60_000)}, rounds)


@section
def image_size(rounds):
    """The same network on larger and larger images, with one thread and two; microseconds per thousand pixels."""
    for n_jobs in (1, 2):
        rng, works = np.random.default_rng(0), {}
        for side, n in ((14, 8192), (28, 4096), (56, 1024), (112, 512), (224, 256)):
            X, y = rng.integers(0, 256, (n, side, side), dtype=np.uint8), np.arange(n) % 10
            fit = lambda X=X, y=y, n_jobs=n_jobs: exercise(n_jobs=n_jobs).fit(X, y)  # noqa: E731
            works[f"{side} x {side}, n_jobs={n_jobs}, fit {n}"] = (fit, n * side * side / 1000)
        compare(works, rounds)


@section
def kernels(rounds):
    """Two 3x3 convolutions with pools at batch size 64, with more and more kernels."""
    X, y = load_fashion_mnist(return_X_y=True)
    stacks = [(k, 2 * k) for k in (4, 8, 16, 32, 64)]
    compare({f"fit {k}": (lambda k=k: default(k).fit(X[:1280], y[:1280]), 1280) for k in stacks}, rounds)


@section
def depth(rounds):
    """More and more 3x3 convolutions of 16 kernels, a pool after each of the first two, batch size 64."""
    X, y = load_fashion_mnist(return_X_y=True)
    stacks = {n: ((16,) * n, (2, 2, *[1] * (n - 2))) for n in (2, 4, 6, 8)}
    works = {
        f"fit {n} convolutions": (lambda k=k, p=p: default(k, pool_size=p).fit(X[:1280], y[:1280]), 1280)
        for n, (k, p) in stacks.items()
    }
    compare(works, rounds)


def default(n_kernels, **changes):
    return NumpyCNNClassifier(n_kernels, max_iter=1, batch_size=64, random_state=0, **changes)


@section
def threads(rounds):
    """Time with n_jobs=1 and 2, and whether the weights are the same, bit for bit."""
    X, y = load_fashion_mnist(return_X_y=True)
    deeper = {"n_kernels": (32, 32, 64, 64), "pool_size": (1, 2, 1, 2), "hidden_layer_sizes": (128,)}
    cases = {f"EXERCISE, batch {b}": ({**EXERCISE, "batch_size": b}, 6400) for b in (32, 64, 128)}
    cases |= {"default, batch 64": ({"batch_size": 64}, 6400), "deeper, batch 64": ({**deeper, "batch_size": 64}, 1280)}
    for name, (params, n) in cases.items():
        made = [NumpyCNNClassifier(**{**params, "n_jobs": j, "max_iter": 1, "random_state": 0}) for j in (2, 1)]
        works = {f"{name}, n_jobs={clf.n_jobs}": (lambda clf=clf, n=n: clf.fit(X[:n], y[:n]), n) for clf in made}
        compare(works, rounds)
        same = all(
            one.tobytes() == other.tobytes()
            for one, other in zip(*([*clf.coefs_, *clf.intercepts_] for clf in made), strict=True)
        )
        print(f"    {name}: the weights are {'the same, bit for bit' if same else 'NOT THE SAME'}")


MEMORY = """
import sys, tracemalloc
import numpy as np
from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, GlobalAvgPool2D, MaxPool2D, ReLU
from skcnn.presets import EXERCISE

what, n, side, channels = sys.argv[1], *map(int, sys.argv[2:])
shape = (n, side, side) if channels == 1 else (n, side, side, channels)
X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
y = np.arange(n) % 10
clf = NumpyCNNClassifier(**{**EXERCISE, "max_iter": 1, "batch_size": 128, "n_jobs": 2, "random_state": 0})
if side == 1000:  # a dense layer on such feature maps would have hundreds of millions of weights
    stack = [Conv2D(16, 5), ReLU(), MaxPool2D(4), Conv2D(32), ReLU(), GlobalAvgPool2D()]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1, batch_size=8, n_jobs=2, random_state=0)
out = 0
if what == "fit":
    tracemalloc.start()
    clf.fit(X, y)
else:
    clf.fit(X[:256], y[:256])
    tracemalloc.start()
    out = clf.predict_proba(X).nbytes
print((tracemalloc.get_traced_memory()[1] - out) / 2**20)
"""


@section
def memory(rounds):
    """Peak memory in MiB, without X, y and the result: EXERCISE at batch 128; for 1000x1000, two convolutions."""
    cases = [("predict", 2_000, 28, 1), ("predict", 200_000, 28, 1), ("fit", 2_000, 28, 1), ("fit", 60_000, 28, 1)]
    for what, n, side, channels in [*cases, ("fit", 8, 1000, 3), ("predict", 256, 250, 3)]:
        command = [sys.executable, "-c", MEMORY, what, str(n), str(side), str(channels)]
        used = [float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
        print(f"    {what} {n:,} of {side}x{side}x{channels}: {median(used):.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
