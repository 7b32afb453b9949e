"""What training is given: a recipe, and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from skcnn.augmentation import Augmentation
from skcnn.losses import Loss
from skcnn.optimizers import Optimizer
from skcnn.schedules import Schedule

__all__ = ["Recipe", "Samples"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    loss, optimizer, schedule
        See the modules of these names.
    learning_rate : float
        Multiplied by the schedule's factor at every step.
    alpha : float
        L2 penalty: ``0.5 * alpha * sum(W ** 2)`` of all weights but biases is added to the mean loss; or, if the
        optimizer decouples it, the weights shrink by ``learning_rate * alpha`` of themselves at every step.
    batch_size, n_epochs : int
    shuffle : bool
        Whether every epoch goes through the samples in a new order.
    seed : int
        Every epoch shuffles by a stream of its own, and layers that draw have one for every epoch, step and shard. So
        the numbers depend neither on the threads nor on whether training was interrupted between epochs.
    n_threads : int
        Changes no bit of the result.
    max_time : float or None
        Seconds after which no further step begins.
    augment : sequence of augmentations
        What is done to the images of every step, with a random stream of its own for every epoch, step and shard.
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


@dataclass(frozen=True)
class Samples:
    """What to train on.

    Attributes
    ----------
    images : object
        ``images[rows]`` of an index array gives a batch (n, h, w, c) of the network's dtype: an array will do.
    y : ndarray of int (n_samples,)
        Class indices.
    weight : ndarray (n_samples,) or None
        A batch's loss is sum(weight * loss) / rows. None: all 1.
    rows : ndarray of int
        Which of the samples take part, all of positive weight.
    """

    images: Any
    y: Array
    weight: Array | None
    rows: Array
