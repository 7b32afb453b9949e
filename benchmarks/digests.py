"""Print a digest of the bits of two dozen fits. Run it at two commits to see whether a change kept all bits.

    python benchmarks/digests.py                     # all settings: about 10 seconds
    python benchmarks/digests.py residual resume     # some of them

Each digest covers the weights, the states of the layers, the loss curve, the validation figures and the predicted
probabilities. Bits depend on the processor, on NumPy and on its BLAS library, so compare only on the same machine.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

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
    SpatialDropout2D,
    Tanh,
)
from skcnn.optimizers import SGD, Adam, ClipNorm, RMSprop
from skcnn.presets import DEEP, EXERCISE, EXERCISE_ORIGINAL
from skcnn.schedules import ReduceOnPlateau

rng = np.random.default_rng(0)
y = np.arange(360) % 4
IMAGES = np.clip(rng.normal(100, 60, (360, 28, 28)) + 30 * y[:, None, None], 0, 255).astype(np.uint8)
COLOUR = np.clip(rng.normal(100, 60, (120, 3, 20, 17)) + 30 * y[:120, None, None, None], 0, 255).astype(np.uint8)
DIGITS, labels = load_digits(return_X_y=True)
DIGITS, labels = DIGITS[:400], labels[:400]
WEIGHT = rng.uniform(0, 2, 360) * (rng.random(360) > 0.1)
BLOCK = [Conv2D(8, bias=False), BatchNorm(), ReLU(), MaxPool2D(), Dropout(0.2)]
RESIDUAL = [
    Conv2D(8),
    Residual([Conv2D(8, bias=False), BatchNorm(), ReLU(), Conv2D(8)]),
    ReLU(),
    Residual([Conv2D(12, stride=2), ReLU(), MaxPool2D(2), SpatialDropout2D(0.1)]),
    Residual([Residual([Conv2D(12, 1)]), Tanh()]),
    GlobalAvgPool2D(),
]
ODD = [
    Conv2D(5, (3, 5), stride=(2, 1), padding=(1, 0), pad_value=0.5),
    ELU(),
    MinPool2D((2, 3), 2),
    Conv2D(9, 2, bias="position"),
    LeakyReLU(),
    AvgPool2D(2),
    Flatten(),
    Dense(20),
    Tanh(),
]


def tree(node):
    if isinstance(node, dict):
        for key in sorted(node):
            yield from tree(node[key])
    elif isinstance(node, list):
        for item in node:
            yield from tree(item)
    else:
        yield node


def digest(clf, X):
    sha = hashlib.sha256()
    for array in tree([clf.network_.params, clf.network_.states]):
        sha.update(array.tobytes())
    sha.update(repr([clf.loss_curve_, clf.validation_loss_curve_, clf.validation_scores_]).encode())
    sha.update(clf.predict_proba(X).tobytes())
    sha.update(clf.predict_proba(X[:1]).tobytes())
    return sha.hexdigest()[:16]


def fitted(X, y, weight=None, fit=None, **parameters):
    clf = NumpyCNNClassifier(**{"max_iter": 2, "random_state": 0, **parameters})
    clf.fit(X, y, sample_weight=weight, **(fit or {}))
    return digest(clf, X)


class Killed(Exception):
    """Ends a training as a kill would: only the checkpoint remains."""


kill_at = [1.5]  # epochs


def killing(epoch, max_iter):
    if epoch >= kill_at[0]:
        raise Killed
    return 1.0 / (1 + epoch)


def resumed():
    """A training that was killed within its second epoch, and one that was not: their bits must be equal."""
    settings = {"learning_rate": killing, "max_iter": 3, "layers": [*BLOCK, Flatten()], "augment": Shift(1)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.ckpt"
        clf = NumpyCNNClassifier(**settings, random_state=0)
        with suppress(Killed):
            clf.fit(IMAGES, y, checkpoint=path)
        assert path.exists()
        kill_at[0] = np.inf
        both = [fitted(IMAGES, y, fit={"checkpoint": path}, **settings), fitted(IMAGES, y, **settings)]
    assert both[0] == both[1], both
    return both[0]


def partial():
    clf = NumpyCNNClassifier(batch_norm=True, dropout=0.1, random_state=0)
    for rows in np.array_split(np.arange(360), 3):
        clf.partial_fit(IMAGES[rows], y[rows], WEIGHT[rows] + 0.1, classes=np.arange(4))
    return digest(clf, IMAGES)


def warm():
    clf = NumpyCNNClassifier(max_iter=1, warm_start=True, random_state=0, solver="rmsprop")
    for _ in range(3):
        clf.fit(IMAGES, y)
    return digest(clf, IMAGES)


def threads(**parameters):
    all_same = {fitted(IMAGES, y, WEIGHT, n_jobs=n_jobs, batch_size=128, **parameters) for n_jobs in (1, 2, 3)}
    assert len(all_same) == 1, all_same
    return all_same.pop()


SETTINGS = {
    "exercise": lambda: fitted(IMAGES, y, **{**EXERCISE, "max_iter": 1, "random_state": 0}),
    "exercise_original": lambda: fitted(IMAGES[:90], y[:90], **{**EXERCISE_ORIGINAL, "max_iter": 1, "random_state": 0}),
    "defaults": lambda: fitted(IMAGES, y, max_iter=3),
    "defaults_threads": lambda: threads(),
    "digits": lambda: fitted(DIGITS, labels),
    "deep": lambda: fitted(IMAGES, y, **{**DEEP, "max_iter": 2, "random_state": 0}),
    "residual": lambda: threads(layers=RESIDUAL),
    "residual_float64": lambda: fitted(IMAGES / 1.0, y, layers=RESIDUAL),
    "batch_norm_threads": lambda: threads(layers=[*BLOCK, Flatten()]),
    "batch_norm_large": lambda: fitted(
        IMAGES, y, batch_size=360, layers=[Conv2D(48, bias=False), BatchNorm(), ReLU(), GlobalMaxPool2D()]
    ),
    "dropout": lambda: threads(dropout=0.3),
    "augmentation": lambda: threads(augment=[Flip(), Shift(2), Rotate(10), Crop(0.8), Cutout(4)]),
    "weights": lambda: fitted(IMAGES, y, WEIGHT, class_weight="balanced", batch_size=16),
    "partial_fit": partial,
    "warm_start": warm,
    "resume": resumed,
    "float64": lambda: fitted(IMAGES / 1.0, y),
    "early_stopping": lambda: fitted(
        IMAGES, y, WEIGHT, early_stopping=True, n_iter_no_change=2, max_iter=6, scoring="neg_log_loss"
    ),
    "validation": lambda: fitted(
        IMAGES,
        y,
        fit={"X_val": IMAGES[:50], "y_val": y[:50]},
        learning_rate=ReduceOnPlateau(metric="val_loss", patience=1),
    ),
    "odd": lambda: fitted(COLOUR, y[:120], layers=ODD, data_format="channels_first", scaling="standard"),
    "flat_line": lambda: fitted(IMAGES.reshape(360, -1)[:, :300], y, activation="gelu", pool="avg"),
    "binary": lambda: fitted(
        IMAGES, y > 1, label_smoothing=0.1, solver=ClipNorm(SGD(), 0.5), learning_rate="one_cycle"
    ),
    "adam_penalty": lambda: fitted(IMAGES, y, solver=Adam(), learning_rate="step", alpha=0.01),
    "rmsprop": lambda: fitted(IMAGES, y, solver=RMSprop(momentum=0.5), shuffle=False, activation="tanh"),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name, setting in SETTINGS.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            print(f"{name:20} {setting()}", flush=True)
