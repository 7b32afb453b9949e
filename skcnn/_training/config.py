"""The inputs of training: a config and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.augmentation import Augmentation
from skcnn.losses import Loss
from skcnn.optimizers import Optimizer
from skcnn.schedules import Schedule

__all__ = ["DataSet", "TrainingConfig"]

Array = NDArray[Any]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    loss, optimizer, schedule
        See the modules of these names.
    learning_rate : float
        At every step, it is multiplied by the schedule's factor.
    alpha : float
        The weight decay, see `skcnn._training.decay`.
    batch_size, n_epochs : int
    shuffle : bool
        Whether to shuffle the samples before each epoch.
    seed : int
        The seed of all random streams. Shuffling has a separate stream for each epoch; layers that draw, and
        augmentations, have one for each epoch, step and shard. So the numbers depend neither on the threads nor on an
        interruption between epochs.
    n_threads : int
        The result is the same, bit for bit, for any number.
    max_time : float or None
        The time in seconds after which no further step starts.
    augment : sequence of augmentations
        Applied to the images of each batch.
    backend : {"numpy", "numba"}
        The kernels that compute the passes.
    """

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    alpha: float
    batch_size: int
    n_epochs: int
    shuffle: bool
    seed: int
    n_threads: int
    max_time: float | None = None
    augment: Sequence[Augmentation] = ()
    backend: str = "numpy"


@dataclass(frozen=True, eq=False)
class DataSet:
    """The data to train on.

    Attributes
    ----------
    images : object
        ``images[indices]`` returns a batch (n, h, w, c) of the network's dtype. It can be an array.
    y : ndarray of int (n_samples,)
        Class indices.
    weight : ndarray (n_samples,) or None
        The loss of a batch is the sum of weight * loss, divided by its number of samples. None: all weights are 1.
    indices : ndarray of int
        The indices of the samples to train on. All of these samples have positive weight.
    extremes : ndarray of int
        Those of `indices` whose samples have the smallest and the largest pixel, if known.
    """

    images: Any
    y: Array
    weight: Array | None
    indices: Array
    extremes: Array = field(default_factory=lambda: np.empty(0, np.intp))
