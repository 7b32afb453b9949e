"""Fit networks with random settings on random data, and check what must hold for all of them.

    python benchmarks/random_fits.py                    # 1,000 settings: about a minute
    python benchmarks/random_fits.py --fits 30 --seed 1
    python benchmarks/random_fits.py --peer             # the same for MLPClassifier

Probabilities are finite and sum to 1, and the predicted class is the most probable one. A clone that is fitted again, a
pickle and a saved model give the same bits. A setting that does not fit the data must give a ValueError that names a
parameter, an argument or a layer.
"""

from __future__ import annotations

import argparse
import inspect
import pickle
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Crop, Cutout, Flip, Rotate, Shift
from skcnn.layers import (
    ELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sequential,
    SpatialDropout2D,
    Tanh,
)
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop
from skcnn.schedules import Cosine, Exponential, OneCycle, ReduceOnPlateau, StepDecay

NAMED = r"\b(" + "|".join(["layer", "X", "y", *inspect.signature(NumpyCNNClassifier).parameters]) + r")\b"
SHARED = {
    "batch_size": ["auto", 1, 7, 16, 100],
    "max_iter": [1, 2],
    "shuffle": [True, False],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 0.3],
    "n_iter_no_change": [1, 5],
    "tol": [0.0, 0.1],
    "warm_start": [True, False],
    "learning_rate_init": [1e-4, 0.01, 0.1],
}
PLACES = {
    "n_kernels": [1, 3, (2, 4), (2, 2, 2)],
    "kernel_size": [1, 2, 3, ((1, 3),), (3, 2)],
    "pool_size": [1, 2, 3, ((2, 1),), (2, 1)],
    "hidden_layer_sizes": [(), 5, (4, 3)],
    "activation": ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "logistic", "identity", ELU(0.5)],
    "stride": [1, 2, ((1, 2),)],
    "padding": ["same", "valid", 0, 1, 2],
    "pool": ["max", "min", "avg"],
    "batch_norm": [True, False],
    "dropout": [0.0, 0.3, (0.1, 0.2)],
}
OWN = {
    **SHARED,
    "data_format": ["channels_last", "channels_first"],
    "scaling": ["auto", "standard", (0, 255), None],
    "dtype": ["auto", "float32", "float64"],
    "solver": ["adam", "adamw", "rmsprop", "sgd", SGD(0.5, nesterov=False), ClipNorm(Adam(), 0.5), RMSprop(), AdamW()],
    "learning_rate": [
        *("constant", "step", "exponential", "cosine", "one_cycle", "plateau"),
        *(Cosine(warm_up=1.0), StepDecay(1), Exponential(0.5), OneCycle(), ReduceOnPlateau(patience=0)),
    ],
    "alpha": ["auto", 0.0, 0.1],
    "max_time": [None, 1e6],
    "augment": [None, Flip(), [Shift(1), Rotate()], Crop(), Cutout(2)],
    "label_smoothing": [0.0, 0.1],
    "class_weight": [None, "balanced"],
    "scoring": [None, "accuracy", "neg_log_loss", "f1_macro"],
    "n_jobs": [None, 1, 2, 3, -1],
}
PEER = {
    **SHARED,
    "hidden_layer_sizes": [(), 5, (4, 3)],
    "activation": ["relu", "tanh", "logistic", "identity"],
    "solver": ["adam", "sgd", "lbfgs"],
    "learning_rate": ["constant", "invscaling", "adaptive"],
    "alpha": [0.0, 0.1],
    "momentum": [0.0, 0.9],
}
LAYERS = [
    lambda draw: Conv2D(draw([1, 3]), draw([1, 2, (3, 2)]), draw([1, 2]), bias=draw([True, "position"])),
    lambda draw: Conv2D(draw([2, 4]), draw([1, 3]), padding=draw(["same", "valid", 1]), bias=False),
    lambda draw: draw([BatchNorm(), ReLU(), LeakyReLU(0.1), Tanh(), Dropout(0.2), SpatialDropout2D(0.2)]),
    lambda draw: draw([MaxPool2D, MinPool2D, AvgPool2D])(draw([1, 2, 3, (2, 1)]), draw([None, 1, 2])),
    lambda draw: Residual([Conv2D(draw([1, 3])), *draw([[], [BatchNorm()], [ReLU(), Conv2D(2)], [MaxPool2D()]])]),
    lambda draw: Sequential([Conv2D(2), draw([ReLU(), ELU()])]),
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action="store_true", help="fit MLPClassifier instead")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    start, outcomes, slowest = time.perf_counter(), Counter(), 0.0
    for i in range(args.fits):
        rng = np.random.default_rng([args.seed, i])
        clf, X, y, weight = drawn(rng, args.peer)
        begin = time.perf_counter()
        found = outcome(clf, X, y, weight)
        slowest = max(slowest, time.perf_counter() - begin)
        outcomes[found.split(":")[0]] += 1
        if found.startswith("FAULT"):
            print(f"{found}\n  {i}: {clf!r} on {X.dtype} {X.shape}, {y.dtype} {np.unique(y)}", flush=True)
    print(*(f"{count} {name}" for name, count in outcomes.most_common()), sep=", ", end="")
    print(f"; the slowest took {slowest:.1f} s; {time.perf_counter() - start:.0f} s")
    return 1 if outcomes["FAULT"] else 0


def drawn(rng, peer):
    """Return a random classifier and random data."""

    def draw(values):
        return values[rng.integers(len(values))]

    def some(table):
        return {name: draw(values) for name, values in table.items() if rng.random() < 0.4}

    X, shape = images(rng, draw)
    y, weight = labels(rng, draw, len(X))
    if peer:
        X = X.reshape(len(X), -1)
        return MLPClassifier(**{"max_iter": 2, **some(PEER)}, random_state=int(rng.integers(99))), X, y, weight
    parameters = {"max_iter": 2, "n_kernels": 3, **some(PLACES), **some(OWN)}
    if rng.random() < 0.3:
        parameters = {name: value for name, value in parameters.items() if name not in PLACES}
        parameters["layers"] = layers(rng, draw)
    if shape and rng.random() < 0.8:
        parameters["image_shape"] = shape
        X = X.reshape(len(X), -1)
    return NumpyCNNClassifier(**parameters, random_state=int(rng.integers(99))), X, y, weight


def images(rng, draw):
    """Return images in any form, and their shape if they can be flattened and then need it."""
    shape = [(int(rng.integers(1, 12)), int(rng.integers(1, 12)), *channels) for channels in ((), (1,), (3,))]
    shape = draw([*shape, (int(rng.integers(1, 50)),)])
    X = rng.normal(100, 50, (int(rng.integers(8, 60)), *shape)).clip(0, 255)
    dtype = draw(["u1", "i2", "i8", "f2", "f4", "f8", "?", ">f4"])
    return (X > 100 if dtype == "?" else X.astype(dtype)), shape if len(shape) > 1 else None


def labels(rng, draw, n):
    """Return labels of 2 to 5 classes of some type, and weights or None."""
    y = rng.permutation(np.arange(n) % rng.integers(2, 6))
    names = draw([np.arange(5), np.array(list("abcde")), np.array([-1.0, 0, 2, 3, 4]), np.array([*"xyzuv"], object)])
    weight = draw([None, rng.uniform(0, 2, n), (rng.random(n) > 0.2).astype(float), np.ones(n)])
    return (y > 0 if rng.random() < 0.1 else names[y]), weight


def layers(rng, draw):
    chain = [draw(LAYERS)(draw) for _ in range(rng.integers(0, 5))]
    end = draw([[Flatten()], [GlobalAvgPool2D()], [GlobalMaxPool2D()], [Flatten(), Dense(4), BatchNorm(), ReLU()]])
    return chain + end


def outcome(clf, X, y, weight):
    """Fit, and return what happened."""
    try:
        clf.fit(X, y, sample_weight=weight)
        return checked(clf, X, y, weight)
    except ValueError as error:
        is_clear = re.search(NAMED, str(error)) and not hasattr(clf, "classes_")
        return f"refused: {error}" if is_clear else f"FAULT: ValueError: {error}"
    except Exception as error:
        return f"FAULT: {type(error).__name__}: {error}"


def checked(clf, X, y, weight):
    proba, predicted = clf.predict_proba(X), clf.predict(X)
    chosen = proba[np.arange(len(X)), np.searchsorted(clf.classes_, predicted)]
    again = clone(clf).fit(X, y, sample_weight=weight)
    checks = {
        "finite": np.isfinite(proba).all() and np.isfinite(clf.loss_),
        "of the right shape": proba.shape == (len(X), len(np.unique(y))),
        "summing to 1": np.allclose(proba.sum(axis=1), 1, rtol=0, atol=1e-5),
        "largest for the predicted class": (chosen == proba.max(axis=1)).all(),
        "the same when fitted again": same(again, clf, X),
        "the same from a pickle": same(pickle.loads(pickle.dumps(clf)), clf, X),
        "the same from a file": isinstance(clf, MLPClassifier) or same(saved(clf), clf, X),
    }
    wrong = [name for name, holds in checks.items() if not holds]
    return f"FAULT: probabilities are not {', not '.join(wrong)}" if wrong else "right"


def same(clf, other, X):
    pairs = zip([clf.predict_proba(X), *clf.coefs_], [other.predict_proba(X), *other.coefs_], strict=True)
    return clf.loss_ == other.loss_ and all(np.array_equal(one, two) for one, two in pairs)


def saved(clf):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        skcnn.save(clf, path)
        return skcnn.load(path)


if __name__ == "__main__":
    sys.exit(main())
