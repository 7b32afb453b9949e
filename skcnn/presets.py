"""Presets: named sets of constructor parameters.

A preset sets all parameters that define a model, so later changes to the defaults do not affect it. It does not set
`random_state`, `n_jobs`, `backend`, `verbose` and `warm_start`.

>>> from skcnn import NumpyCNNClassifier
>>> from skcnn.presets import EXERCISE
>>> clf = NumpyCNNClassifier(**EXERCISE, random_state=0)
"""

from __future__ import annotations

from typing import Any

from skcnn._estimator.architecture import ARCHITECTURE
from skcnn.augmentation import Flip, Shift
from skcnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU
from skcnn.optimizers import SGD

__all__ = ["DEEP", "EXERCISE", "EXERCISE_ORIGINAL"]

EXERCISE: dict[str, Any] = {
    "n_kernels": (6, 6),
    "kernel_size": 5,
    "pool_size": (1, 2),
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "stride": 1,
    "padding": "same",
    "pool": "max",
    "batch_norm": False,
    "dropout": 0.0,
    "layers": None,
    "image_shape": None,
    "data_format": "channels_last",
    "scaling": "auto",
    "dtype": "float32",
    "solver": SGD(momentum=0.0, nesterov=False),
    "learning_rate_init": 0.005,
    "learning_rate": "constant",
    "alpha": 0.0,
    "batch_size": 1,
    "max_iter": 3,
    "max_time": None,
    "shuffle": True,
    "augment": None,
    "label_smoothing": 0.0,
    "class_weight": None,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "n_iter_no_change": 10,
    "tol": 1e-4,
    "scoring": None,
}
"""A small network for Fashion-MNIST, 28x28 grey, trained one image at a time: about 0.89 test accuracy in 3 epochs."""

EXERCISE_ORIGINAL: dict[str, Any] = {
    **EXERCISE,
    **ARCHITECTURE,  # replaced by `layers`, so these parameters must have their default values
    "layers": (
        Conv2D(6, kernel_size=5, bias="position"),
        ReLU(),
        Conv2D(6, kernel_size=5, bias="position"),
        ReLU(),
        MaxPool2D(2),
        Flatten(),
        Dense(100),
        ReLU(),
    ),
}
"""The same network with a bias for every position of a feature map, as networks written from scratch often have."""


def _block(n_kernels: int) -> tuple[Layer, ...]:
    return Conv2D(n_kernels, bias=False), BatchNorm(), ReLU()


DEEP: dict[str, Any] = {
    **EXERCISE,
    **ARCHITECTURE,  # replaced by `layers`, so these parameters must have their default values
    "layers": (
        *(*_block(32), *_block(32), MaxPool2D(2), Dropout(0.1)),
        *(*_block(64), *_block(64), MaxPool2D(2), Dropout(0.1)),
        *(Flatten(), Dense(128, bias=False), BatchNorm(), ReLU(), Dropout(0.2)),
    ),
    "augment": (Flip(), Shift(1)),
    "solver": "adamw",
    "learning_rate_init": 0.005,
    "learning_rate": "one_cycle",
    "alpha": 0.02,
    "batch_size": 128,
    "max_iter": 24,
}
"""Four convolutions with batch norm, for grey images of about 28x28 pixels that may be mirrored, such as Fashion-MNIST.
The network has 470,000 parameters and trains for minutes instead of seconds. Its results are in the documentation."""
