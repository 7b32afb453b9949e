"""Check that the same fit gives the same bits, however, where and on whatever form of the data it runs.

    python benchmarks/determinism.py                        # about 2 minutes
    python benchmarks/determinism.py --fits 10              # ten seeds for each setting: about 15 minutes
    python benchmarks/determinism.py --settings default --no-processes      # a few seconds
    python benchmarks/determinism.py --peer                 # the same for MLPClassifier

Each setting is fitted once for reference, and again with other numbers of threads, in other processes, with other
forms of X, after a pickle or from a checkpoint. Each comparison covers all weights, the losses and the probabilities.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from common import digest, use_small_shards
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from skcnn import NumpyCNNClassifier
from skcnn._estimator.checkpoint import Checkpoint
from skcnn.augmentation import Rotate, Shift
from skcnn.layers import BatchNorm, Conv2D, Flatten, MaxPool2D, ReLU, Residual

EPOCHS = 3
SECONDS = 120  # after which a fit in another process hangs
rng = np.random.default_rng(0)
y = np.arange(300) % 4
X = rng.normal(size=(300, 16, 16)) + y[:, None, None] / 4
RESIDUAL = [
    Conv2D(6), MaxPool2D(), Residual([Conv2D(6, bias=False), BatchNorm(), ReLU(), Conv2D(6)]), ReLU(), Flatten(),
]  # fmt: skip
OWN = {
    "default": {"dtype": "float32"},
    "regularised": {"dtype": "float32", "batch_norm": True, "dropout": 0.2, "augment": [Shift(1), Rotate(10)]},
    "residual": {"dtype": "float32", "layers": RESIDUAL},
    "sgd": {"solver": "sgd"},
    "early stopping": {"dtype": "float32", "early_stopping": True},
}
PEER = {"default": {}, "sgd": {"solver": "sgd"}, "early stopping": {"early_stopping": True}}
VARIABLES = [
    {},
    {"OMP_NUM_THREADS": "1"},
    {"OPENBLAS_NUM_THREADS": "1"},
    {"PYTHONHASHSEED": "1"},
    {"PYTHONHASHSEED": "2"},
]
use_small_shards(10_000)
warnings.simplefilter("ignore")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=1, help="seeds for each setting")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--settings", nargs="+", choices=list(OWN), help="only these")
    parser.add_argument("--no-processes", action="store_true", help="stay in this process")
    parser.add_argument("--peer", action="store_true", help="fit MLPClassifier instead")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(Job(args.peer, args.child, args.seed).fit())
        return 0
    start, n_cells, n_faults = time.perf_counter(), 0, 0
    names = [name for name in (PEER if args.peer else OWN) if not args.settings or name in args.settings]
    for name in names:
        for seed in range(args.seed, args.seed + args.fits):
            done, faults = compared(Job(args.peer, name, seed), not args.no_processes)
            n_cells, n_faults = n_cells + done, n_faults + len(faults)
            print(f"{name}, seed {seed}: {done} comparisons", *(f"FAULT: {fault}" for fault in faults), sep="\n  ")
    print(f"{n_cells} comparisons, {n_faults} faults; {time.perf_counter() - start:.0f} s")
    return 1 if n_faults else 0


def compared(job, processes):
    """Return the number of comparisons, and the names of those that found other bits."""
    expected, pieces = job.fit(), job.partial_fits(lambda clf: clf)
    tried = cells(job) | (in_processes(job) if processes else {})
    found = {name: (cell(), expected) for name, cell in tried.items()}
    found["pickled between partial_fits"] = job.partial_fits(lambda clf: pickle.loads(pickle.dumps(clf))), pieces
    return len(found), [name for name, (bits, right) in found.items() if bits != right]


@dataclass(frozen=True)
class Job:
    """A fit that can be repeated anywhere."""

    peer: bool
    name: str
    seed: int

    def make(self, **parameters):
        if self.peer:
            return MLPClassifier(100, batch_size=100, max_iter=EPOCHS, random_state=self.seed, **PEER[self.name])
        usual = {"batch_size": 64, "max_iter": EPOCHS, "random_state": self.seed}
        return NumpyCNNClassifier(**usual, **OWN[self.name], **parameters)

    def shaped(self, X):
        return X.reshape(len(X), -1) if self.peer else X

    def fit(self, change=lambda X: X, **parameters):
        """Fit on X in another form, and return a digest."""
        return self.digest(self.make(**parameters).fit(change(self.shaped(X)), y))

    def digest(self, clf):
        arrays = [*clf.coefs_, *clf.intercepts_, clf.loss_curve_, clf.predict_proba(self.shaped(X))]
        return digest(array for array in arrays if array is not None)

    def partial_fits(self, between):
        """Fit in three pieces. `between` changes the classifier after each."""
        clf = self.make()
        if self.name == "early stopping":  # which MLPClassifier refuses
            clf.set_params(early_stopping=False)
        for rows in np.array_split(np.arange(len(X)), 3):
            clf = between(clf.partial_fit(self.shaped(X)[rows], y[rows], classes=np.unique(y)))
        return self.digest(clf)

    def after_another(self):
        clf = self.make().set_params(random_state=self.seed + 1).fit(self.shaped(X[::-1]), y)
        return self.digest(clf.set_params(random_state=self.seed).fit(self.shaped(X), y))

    def cloned(self):
        return self.digest(clone(self.make().fit(self.shaped(X), y)).fit(self.shaped(X), y))

    def limited(self, n_threads):
        with threadpool_limits(n_threads, "blas"):
            return self.fit()

    def in_child(self, method):
        with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
            return pool.submit(Job.fit, self).result(SECONDS)

    def in_thread(self):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.fit).result()

    def in_process(self, variables):
        peer, name, seed = astuple(self)
        command = [sys.executable, __file__, "--child", name, "--seed", str(seed), *["--peer"] * peer]
        done = subprocess.run(
            command, env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=SECONDS
        )
        return done.stdout.strip()

    def resumed(self, epoch):
        """End a fit after an epoch, and resume it from its checkpoint."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "checkpoint")
            with mock.patch.object(Checkpoint, "save", ending_after(epoch)), suppress(KeyboardInterrupt):
                self.make().fit(X, y, checkpoint=path)
            assert path.exists()
            return self.digest(self.make().fit(X, y, checkpoint=path))


def in_processes(job):
    """The ways to get the same fit in another process, by name."""
    return {
        **{f"process with {variables}": partial(job.in_process, variables) for variables in VARIABLES},
        **{f"child by {method}": partial(job.in_child, method) for method in ("fork", "spawn")},
    }


def cells(job):
    """The ways to get the same fit in this process, by name."""
    own = {
        **{f"n_jobs={n_jobs}": partial(job.fit, n_jobs=n_jobs) for n_jobs in (1, 2, 3, None)},
        **{f"resumed after epoch {epoch}": partial(job.resumed, epoch) for epoch in range(1, EPOCHS)},
    }
    return {
        **({} if job.peer else own),
        **{f"X {name}": partial(job.fit, change) for name, change in FORMS.items()},
        **{f"BLAS limit {n}": partial(job.limited, n) for n in (1, 2)},
        "another thread": job.in_thread,
        "after another fit": job.after_another,
        "clone": job.cloned,
        "again": job.fit,
    }


def view(X):
    """Return X as every second row of a larger array."""
    return np.repeat(X, 2, axis=0)[::2]


def read_only(X):
    copy = X.copy()
    copy.flags.writeable = False
    return copy


FORMS = {"in Fortran order": np.asfortranarray, "a view": view, "read-only": read_only, "a list": np.ndarray.tolist}


def ending_after(epoch):
    """Return a method that saves the checkpoint, and ends the fit after an epoch as a kill would."""
    save, n_saved = Checkpoint.save, []

    def saving(self, *args, **keywords):
        save(self, *args, **keywords)
        n_saved.append(1)
        if len(n_saved) == epoch:
            raise KeyboardInterrupt

    return saving


if __name__ == "__main__":
    sys.exit(main())
