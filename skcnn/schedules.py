"""Learning-rate schedules: which part of the initial learning rate applies when.

A schedule is called with the time since training began, in epochs (2.5: in the middle of the third), and with the
number of epochs planned; it returns the factor for `learning_rate_init`. Any such callable will do. One that says
`needs_history` is also given the history so far, a row for each epoch that ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, inf, pi, pow
from typing import Any, ClassVar

from skcnn._values import Value, is_real

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "ReduceOnPlateau",
    "Schedule",
    "StepDecay",
]

Schedule = Callable[..., float]
History = Sequence[dict[str, Any]]


@dataclass(frozen=True, repr=False)
class Constant(Value):
    """The same rate throughout.

    Examples
    --------
    >>> Constant()(2.5, 10)
    1.0
    """

    def __call__(self, epoch: float, n_epochs: int) -> float:
        return 1.0


@dataclass(frozen=True, repr=False)
class StepDecay(Value):
    """Times `factor` after every `every` epochs.

    Parameters
    ----------
    every : int, default=10
        Epochs. At least 1.
    factor : float in [0, 1), default=0.1

    Examples
    --------
    >>> [round(StepDecay(every=2)(epoch, 10), 4) for epoch in (0, 1.9, 2, 4)]
    [1.0, 1.0, 0.1, 0.01]
    """

    every: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        self._check_count("every")
        self._check_number("factor", 0, 1)

    def __call__(self, epoch: float, n_epochs: int) -> float:
        return pow(self.factor, epoch // self.every)


@dataclass(frozen=True, repr=False)
class Exponential(Value):
    """Times `factor` in every epoch, a little at every step.

    Parameters
    ----------
    factor : float in [0, 1), default=0.9

    Examples
    --------
    >>> [round(Exponential(0.25)(epoch, 10), 4) for epoch in (0, 0.5, 1, 2)]
    [1.0, 0.5, 0.25, 0.0625]
    """

    factor: float = 0.9

    def __post_init__(self) -> None:
        self._check_number("factor", 0, 1)

    def __call__(self, epoch: float, n_epochs: int) -> float:
        return pow(self.factor, epoch)


@dataclass(frozen=True, repr=False)
class Cosine(Value):
    """Half a cosine wave from 1 down to `final`, without restarts; before that, perhaps a straight rise from 0.

    Parameters
    ----------
    final : float in [0, 1), default=0.0
        The factor at the end.
    warm_up : float, default=0.0
        Epochs of the rise. At least 0. A training that is no longer than that ends in it.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: Stochastic gradient descent with warm restarts, equation 5. Goyal et al. (2017),
    Accurate, large minibatch SGD, section 2.2, for the rise.

    Examples
    --------
    >>> [round(Cosine()(epoch, 10), 3) for epoch in (0, 2.5, 5, 10)]
    [1.0, 0.854, 0.5, 0.0]
    >>> [round(Cosine(warm_up=2)(epoch, 10), 3) for epoch in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    final: float = 0.0
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("final", 0, 1)
        self._check("warm_up", is_real(self.warm_up) and 0 <= self.warm_up < inf, "a finite number of at least 0")

    def __call__(self, epoch: float, n_epochs: int) -> float:
        if epoch < self.warm_up:
            return epoch / self.warm_up
        return _wave(1.0, self.final, (epoch - self.warm_up) / max(n_epochs - self.warm_up, 1e-9))


@dataclass(frozen=True, repr=False)
class OneCycle(Value):
    """Half a cosine wave from `initial` up to 1, and another down to `final`.

    Parameters
    ----------
    warm_up : float in [0, 1), default=0.3
        The part of all epochs that the rise takes.
    initial : float in [0, 1), default=0.04
        The factor at the beginning.
    final : float in [0, 1), default=4e-6
        The factor at the end.

    References
    ----------
    Smith, Topin (2019), Super-convergence: Very fast training of neural networks using large learning rates. The form
    and the defaults are those that PyTorch made common; the momentum stays as it is.

    Examples
    --------
    >>> [round(OneCycle(warm_up=0.25, initial=0.1, final=0.0)(epoch, 8), 3) for epoch in (0, 1, 2, 5, 8)]
    [0.1, 0.55, 1.0, 0.5, 0.0]
    """

    warm_up: float = 0.3
    initial: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        for name in ("warm_up", "initial", "final"):
            self._check_number(name, 0, 1)

    def __call__(self, epoch: float, n_epochs: int) -> float:
        top = self.warm_up * n_epochs
        if epoch < top:
            return _wave(self.initial, 1.0, epoch / top)
        return _wave(1.0, self.final, (epoch - top) / (n_epochs - top))


@dataclass(frozen=True, repr=False)
class ReduceOnPlateau(Value):
    """Times `factor` whenever a loss has not fallen for more than `patience` epochs.

    Parameters
    ----------
    factor : float in [0, 1), default=0.1
    patience : int, default=10
        Epochs without a fall that are put up with; after a reduction they are counted anew.
    tol : float, default=1e-4
        What counts as a fall: below the least so far by more than this. At least 0.
    metric : {"loss", "val_loss"}, default="loss"
        The column of `history_`. "val_loss" needs held-out images.

    Examples
    --------
    >>> history = [{"loss": loss} for loss in (2.0, 1.0, 1.1, 1.2, 0.9)]
    >>> [ReduceOnPlateau(0.5, patience=1)(n, 10, history[:n]) for n in range(6)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    """

    needs_history: ClassVar[bool] = True

    factor: float = 0.1
    patience: int = 10
    tol: float = 1e-4
    metric: str = "loss"

    def __post_init__(self) -> None:
        self._check_number("factor", 0, 1)
        self._check_count("patience", 0)
        self._check("tol", is_real(self.tol) and 0 <= self.tol < inf, "a finite number of at least 0")
        self._check("metric", self.metric in ("loss", "val_loss"), "'loss' or 'val_loss'")

    def __call__(self, epoch: float, n_epochs: int, history: History = ()) -> float:
        least, stale, reductions = inf, 0, 0
        for row in history:
            value = row[self.metric]
            if value is None:
                raise ValueError(
                    f"ReduceOnPlateau: {self.metric} is not measured; pass X_val and y_val, or early_stopping=True"
                )
            least, stale = (value, 0) if value < least - self.tol else (least, stale + 1)
            if stale > self.patience:
                reductions, stale = reductions + 1, 0
        return pow(self.factor, reductions)


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "plateau": ReduceOnPlateau,
}


def factor(schedule: Schedule, epoch: float, n_epochs: int, history: History) -> float:
    """Ask a schedule for the factor at a time."""
    if getattr(schedule, "needs_history", False):
        return float(schedule(epoch, n_epochs, history))
    return float(schedule(epoch, n_epochs))


def schedule_from(schedule: str | Schedule) -> Schedule:
    """Look a schedule up by name; a callable is returned as it is."""
    if isinstance(schedule, type):
        raise ValueError(f"learning_rate must be an object, as in {schedule.__name__}(), got the class itself")
    return SCHEDULES[schedule]() if isinstance(schedule, str) else schedule


def _wave(start: float, end: float, part: float) -> float:
    """Half a cosine wave, at a part in [0, 1] of its way."""
    return end + (start - end) * (1 + cos(pi * part)) / 2
