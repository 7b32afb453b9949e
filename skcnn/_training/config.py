"""What training is given: a configuration, and a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        Multiplied by the schedule's factor at every step.
    alpha : float
        The weight decay, see `skcnn._training.decay`.
    batch_size, n_epochs : int
    shuffle : bool
        Whether each epoch takes the samples in a new order.
    seed : int
        Each epoch shuffles by a random stream of its own. Layers that draw, and augmentations, have one for each epoch,
        step and shard. So the numbers depend neither on the threads nor on an interruption between epochs.
    n_threads : int
        Does not change a bit of the result.
    max_time : float or None
        Seconds after which no further step begins.
    augment : sequence of augmentations
        Applied to the images of each batch.
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


@dataclass(frozen=True, eq=False)
class DataSet:
    """What to train on.

    Attributes
    ----------
    images : object
        ``images[indices]`` returns a batch (n, h, w, c) of the network's dtype. An array will do.
    y : ndarray of int (n_samples,)
        Class indices.
    weight : ndarray (n_samples,) or None
        The loss of a batch is the sum of weight * loss, divided by the number of its samples. None: all 1.
    indices : ndarray of int
        The samples that are trained on, all of positive weight.
    """

    images: Any
    y: Array
    weight: Array | None
    indices: Array
