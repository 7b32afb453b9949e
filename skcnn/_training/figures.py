"""Figures of training: the loss and the accuracy of a step, and their means over an epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Correct", "EpochFigures", "StepFigures"]

Array = NDArray[Any]


class Correct(NamedTuple):
    """How many samples are classified correctly, and of how many. Each sample counts with its weight."""

    correct: float
    total: float

    @classmethod
    def of(cls, decided: Array, y: Array, weight: Array | None) -> Self:
        """Compare the classes that the network decided for with the true ones; `weight` (n,) may be None."""
        is_correct = decided == y
        if weight is None:
            return cls(float(np.count_nonzero(is_correct)), float(len(y)))
        return cls(*(float(part.sum(dtype=np.float64)) for part in (weight[is_correct], weight)))

    def plus(self, other: Correct) -> Correct:
        return Correct(self.correct + other.correct, self.total + other.total)


class StepFigures(NamedTuple):
    """The figures of one step, before the weights change."""

    n_samples: int
    loss: float  # the mean, with the penalty
    penalty: float
    correct: Correct


@dataclass
class EpochFigures:
    """The figures of an epoch so far."""

    n_seen: int = 0
    total_loss: float = 0.0
    total_penalty: float = 0.0
    correct: Correct = field(default_factory=lambda: Correct(0.0, 0.0))

    def add(self, step: StepFigures) -> None:
        self.n_seen += step.n_samples
        self.total_loss += step.n_samples * step.loss
        self.total_penalty += step.n_samples * step.penalty
        self.correct = self.correct.plus(step.correct)

    @property
    def loss(self) -> float:
        return self.total_loss / self.n_seen

    @property
    def penalty(self) -> float:
        return self.total_penalty / self.n_seen

    @property
    def accuracy(self) -> float:
        return self.correct.correct / self.correct.total
