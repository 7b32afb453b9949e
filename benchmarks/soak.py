"""Use classifiers for minutes, and check that memory, threads, files and objects do not grow.

    python benchmarks/soak.py                   # 10 minutes
    python benchmarks/soak.py --minutes 60
    python benchmarks/soak.py --minutes 0.1     # a few seconds: too short to find a small leak
    python benchmarks/soak.py --peer            # the same for MLPClassifier

In turn: fits, failed fits, interrupted fits, predictions, partial fits, pickles and files. The process is
measured after every round. The first figures are the highest of five rounds after a warm-up, which takes a third of the
time, and the last ones are the lowest of the last five rounds. Memory may grow by 5 percent, nothing else may grow.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from common import use_small_shards
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Shift

ROUNDS = 5  # from which the first and the last figures are taken
ALLOWED = {"MB of memory": 1.05}  # the growth that is not a fault, as a factor
rng = np.random.default_rng(0)
X, y = rng.random((120, 64)).astype(np.float32), np.arange(120) % 3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--peer", action="store_true", help="use MLPClassifier instead")
    parser.add_argument("--seed", type=int, default=0, help="seed for the moments of interruptions")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    use_small_shards()
    draw, start, rows = random.Random(args.seed), time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        while (elapsed := time.perf_counter() - start) < 60 * args.minutes or len(rows) < 2 * ROUNDS:
            for clf in peers() if args.peer else classifiers():
                use(clf, Path(folder), draw)
            if elapsed > 20 * args.minutes:
                rows.append(figures(folder))
        tempfile.tempdir = None
    growing = report(rows)
    print(f"{len(rows)} rounds after warming up, {growing} figures grew; {time.perf_counter() - start:.0f} s")
    return 1 if growing else 0


def classifiers():
    usual = {"n_kernels": 2, "hidden_layer_sizes": 4, "max_iter": 2, "batch_size": 30, "random_state": 0}
    return [
        NumpyCNNClassifier(**usual, n_jobs=1),
        NumpyCNNClassifier(**usual, n_jobs=2, batch_norm=True, dropout=0.2, augment=Shift(1), early_stopping=True),
        NumpyCNNClassifier(**usual, n_jobs=2, solver="sgd", dtype="float64"),
    ]


def peers():
    return [MLPClassifier(20, max_iter=2, batch_size=30, random_state=0)]


def use(clf, folder, draw):
    """Do everything once with a classifier."""
    clf.fit(X, y).predict(X)
    clone(clf).partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    fail(clf)
    interrupt(clone(clf).set_params(max_iter=50), draw.uniform(1e-4, 0.1))
    pickle.loads(pickle.dumps(clf)).predict_proba(X)
    if isinstance(clf, NumpyCNNClassifier):
        clf.fit(X, y, checkpoint=folder / "checkpoint")
        skcnn.save(clf, folder / "model", include_optimizer=True)
        skcnn.load(folder / "model").predict(X)
        remove(folder)


def fail(clf):
    """Call fit and predict with what they refuse."""
    for change in ({"alpha": -1.0}, {"batch_size": 0}):
        with suppress(ValueError):
            clone(clf).set_params(**change).fit(X, y)
    for call in (
        lambda: clf.fit(np.full_like(X, np.nan), y),
        lambda: clf.fit(X, y[:-1]),
        lambda: clf.predict(X[:, 1:]),
    ):
        with suppress(ValueError):
            call()


def interrupt(clf, seconds):
    """Raise KeyboardInterrupt by the handler of a signal, after some seconds, unless the fit ends before."""
    with suppress(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        clf.fit(X, y)
        signal.setitimer(signal.ITIMER_REAL, 0)


def remove(folder):
    """Remove the files that were asked for."""
    for name in ("checkpoint.finished", "model"):
        (folder / name).unlink()


def figures(folder):
    """Return what must not grow, by name."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "MB of memory": pages * resource.getpagesize() / 1e6,
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "open files": len(list(Path("/proc/self/fd").iterdir())),
        "temporary files": len(list(Path(folder).iterdir())),
        "objects": len(gc.get_objects()),
    }


def report(rows):
    """Print the first and the last figures, and return how many grew."""
    growing = 0
    for name in rows[0]:
        first = max(row[name] for row in rows[:ROUNDS])
        last = min(row[name] for row in rows[-ROUNDS:])
        grew = last > first * ALLOWED.get(name, 1)
        growing += grew
        print(f"{'FAULT: ' if grew else ''}{name}: {first:.6g} at first, {last:.6g} at last")
    return growing


if __name__ == "__main__":
    sys.exit(main())
