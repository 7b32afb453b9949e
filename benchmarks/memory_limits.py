"""Limit the memory of processes that fit and predict, and check that they succeed, or fail with a MemoryError.

    python benchmarks/memory_limits.py                  # 30 limits for each call: about 4 minutes
    python benchmarks/memory_limits.py --limits 2       # a few seconds
    python benchmarks/memory_limits.py --peer           # the same for MLPClassifier

Each process imports everything, limits its address space (RLIMIT_AS) to what it has and some more, and calls fit or
predict. That must give the right bits or a MemoryError. Then it lifts the limit, and the same call must give the right
bits. A process that crashes or hangs is a fault. The limits grow from nothing to enough memory.

OpenBLAS, which NumPy calls for matrix products, ends the process if it gets no memory for its own buffers. These cases
are counted separately.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import time
import warnings
from collections import Counter

import numpy as np
from common import digest, limit_memory
from sklearn.neural_network import MLPClassifier

from skcnn import NumpyCNNClassifier

SECONDS = 60  # after which a process hangs
MOST = 100e6  # bytes, enough for every call
CALLS = ["predict", "fit", "fit again", "predict, 2 threads", "fit, 2 threads"]
BLAS_ENDS = "OpenBLAS error: Memory allocation still failed"
PEER_CALLS = ["predict", "fit", "fit again"]
rng = np.random.default_rng(0)
X, y = rng.random((300, 28, 28)).astype(np.float32), np.arange(300) % 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limits", type=int, default=30, help="limits for each call")
    parser.add_argument("--seed", type=int, default=0, help="seed for the limits")
    parser.add_argument("--calls", nargs="+", choices=CALLS, help="only these")
    parser.add_argument("--peer", action="store_true", help="limit MLPClassifier instead")
    parser.add_argument("--child", nargs=2, metavar=("CALL", "BYTES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(limited(Call(args.child[0], args.peer), int(args.child[1])))
        return 0
    start, draw, outcomes = time.perf_counter(), random.Random(args.seed), Counter()
    for name in args.calls or (PEER_CALLS if args.peer else CALLS):
        right = in_process(name, -1, args.peer)
        for i in range(args.limits):
            n_bytes = int(MOST * (i + draw.random()) / args.limits)
            found = judged(in_process(name, n_bytes, args.peer), right)
            outcomes[found.split(":")[0]] += 1
            if found.startswith("FAULT"):
                print(f"{name} with {n_bytes / 1e6:.1f} MB: {found}", flush=True)
    print(*(f"{count} {name}" for name, count in outcomes.most_common()), sep=", ", end="")
    print(f"; {time.perf_counter() - start:.0f} s")
    return 1 if outcomes["FAULT"] else 0


class Call:
    """A call of a method that returns a digest. What must come before it is done at once."""

    def __init__(self, name, peer):
        self.peer, self.fits = peer, name.startswith("fit")
        self.X = X.reshape(len(X), -1) if peer else X
        self.clf = self.make(2 if name.endswith("threads") else 1)
        if name != "fit":
            self.clf.fit(self.X, y)

    def make(self, n_jobs):
        usual = {"max_iter": 1, "batch_size": 100, "random_state": 0}
        return MLPClassifier(**usual) if self.peer else NumpyCNNClassifier(**usual, n_jobs=n_jobs)

    def __call__(self):
        if self.fits:
            return digest(self.clf.fit(self.X, y).coefs_)
        return digest([self.clf.predict_proba(self.X)])


def limited(call, n_bytes):
    """Call with this number of additional bytes and then without a limit. Return both results."""
    warnings.simplefilter("ignore")
    if n_bytes >= 0:
        limit_memory(n_bytes)
    try:
        result = call()
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return f"{result}\n{call()}"


def in_process(name, n_bytes, peer):
    """Return what a process prints, in lines, or how it ended."""
    command = [sys.executable, __file__, "--child", name, str(n_bytes), *["--peer"] * peer]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return ["it hangs"]
    if done.returncode == 1 and done.stderr.startswith(BLAS_ENDS):
        return [BLAS_ENDS]
    if done.returncode:
        return [f"it ended with {done.returncode}: {done.stderr[-500:]}"]
    return done.stdout.splitlines()


def judged(lines, right):
    """Return what happened: the lines are the result under the limit, and the one after it."""
    if lines == [BLAS_ENDS]:
        return "ended by OpenBLAS"
    first, last = lines[0], lines[-1]
    if len(lines) > 1 and last == right[-1]:
        if first == right[0]:
            return "right"
        if first.startswith(("MemoryError", "_ArrayMemoryError")):
            return "MemoryError"
    return f"FAULT: {lines}"


if __name__ == "__main__":
    sys.exit(main())
