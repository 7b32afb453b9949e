"""What "auto" stands for.

The architecture depends on the shape of an image alone. If it depended on the number of samples or on pixel values, the
folds of a cross-validation, the points of a learning curve or the first call of `partial_fit` could have different
networks.
"""

from __future__ import annotations

from itertools import count
from math import sqrt
from typing import Any

from skcnn.layers import Flatten, GlobalAvgPool2D
from skcnn.layers.base import Shape
from skcnn.optimizers import SGD, ClipNorm, Optimizer, decouples_decay
from skcnn.schedules import OneCycle, Schedule

__all__ = ["alpha_for", "batch_size_for", "is_automatic", "learning_rate_for", "n_epochs_for", "resolved"]

KERNELS = (16, 32, 64, 128)  # of the first blocks; further blocks have as many as the last one here
FEWEST_BLOCKS = 2
SMALL = 7  # rows or columns of a feature map that need no further block
DROPOUT = 0.1  # without batch norm

LEAST_STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 3000, 15, 100
RATE, RATE_OF_SGD = 0.002, 0.01
CYCLE = 3  # how much higher the rate of a one-cycle schedule is, which reaches it only for a moment
NORMALISED_DECAY, LEAST_DECAY, PENALTY = 10.0, 0.1, 0.0001  # the last one if the decay is not decoupled


def is_automatic(value: Any) -> bool:
    """Return whether a parameter is "auto". It may be an array or a sequence too."""
    return isinstance(value, str) and value == "auto"


def resolved(parameters: dict[str, Any], in_shape: Shape) -> dict[str, Any]:
    """Return the parameters of the architecture with numbers instead of "auto", and with the `head` of the network.

    Parameters
    ----------
    parameters : dict
        `n_kernels`, `hidden_layer_sizes`, `batch_norm` and `dropout`, which can be "auto", and others.
    in_shape : (h, w, c)

    Returns
    -------
    parameters : dict
        The head is the layer between the convolutions and the dense layers.

    Raises
    ------
    ValueError
        If the number of layers is automatic, and another parameter has one value per layer.
    """
    given = {name: value for name, value in parameters.items() if not is_automatic(value)}
    numbers: dict[str, Any] = {"hidden_layer_sizes": (100,), "batch_norm": False, "dropout": 0.0, "head": Flatten()}
    if is_automatic(parameters["n_kernels"]):
        n_blocks = _n_blocks(in_shape)
        _require_one_value(parameters, in_shape, n_blocks)
        numbers["n_kernels"] = (*KERNELS[:n_blocks], *KERNELS[-1:] * (n_blocks - len(KERNELS)))
        if n_blocks > FEWEST_BLOCKS:
            numbers |= {"hidden_layer_sizes": (), "batch_norm": True, "head": GlobalAvgPool2D()}
        if not {**numbers, **given}["batch_norm"]:
            numbers["dropout"] = DROPOUT
    return {**numbers, **given}


def _n_blocks(in_shape: Shape) -> int:
    """Return how many blocks, each of which halves the feature map, lead to a small one."""
    longer = max(in_shape[:2])
    return next(n for n in count(FEWEST_BLOCKS) if longer <= SMALL * 2**n)


def _require_one_value(parameters: dict[str, Any], in_shape: Shape, n_blocks: int) -> None:
    for name, value in parameters.items():
        if name != "hidden_layer_sizes" and isinstance(value, tuple | list):
            raise ValueError(
                f"{name} has one value per layer, {value!r}, but n_kernels='auto' chooses the number of layers: "
                f"{n_blocks} convolutions for images of shape {in_shape}. Pass one number for all layers, or set "
                "n_kernels too"
            )


def batch_size_for(estimator: Any, n_samples: int) -> int:
    """Return the number of samples per batch, given the number of samples in this call."""
    if is_automatic(estimator.batch_size):
        return min(max(n_samples // 100, 8), 64, n_samples)
    return int(estimator.batch_size)


def n_epochs_for(estimator: Any, n_samples: int, batch_size: int) -> int:
    """Return the number of epochs of `fit`, given the number of samples to train on."""
    if is_automatic(estimator.max_iter):
        n_steps = -(-n_samples // batch_size)  # in each epoch
        return min(max(-(-LEAST_STEPS // n_steps), FEWEST_EPOCHS), MOST_EPOCHS)
    return int(estimator.max_iter)


def learning_rate_for(estimator: Any, optimizer: Optimizer, schedule: Schedule) -> float:
    """Return the learning rate, which the schedule multiplies by its factor."""
    if is_automatic(estimator.learning_rate_init):
        rule = optimizer.optimizer if isinstance(optimizer, ClipNorm) else optimizer
        rate = RATE_OF_SGD if isinstance(rule, SGD) else RATE
        return rate * (CYCLE if isinstance(schedule, OneCycle) else 1)
    return float(estimator.learning_rate_init)  # a NumPy float would make float32 compute in double precision


def alpha_for(estimator: Any, optimizer: Optimizer, n_steps: int) -> float:
    """Return the strength of the weight decay for a training of `n_steps`.

    Decoupled decay shrinks the weights at every step. The more steps, the smaller it should be.

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization, appendix B.1 (normalised weight decay).
    """
    if is_automatic(estimator.alpha):
        return max(NORMALISED_DECAY / sqrt(n_steps), LEAST_DECAY) if decouples_decay(optimizer) else PENALTY
    return float(estimator.alpha)
