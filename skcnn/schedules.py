"""Learning-rate schedules: how the learning rate changes during training.

A schedule is a callable ``(epoch, n_epochs) -> factor``. `epoch` is the time since training began, in epochs (2.5 is
the middle of the third epoch), and `n_epochs` is the planned number of epochs. `learning_rate_init` is multiplied by
the factor, which is a finite number of at least 0. You can use any such callable. If it has an attribute
`needs_history` that is true, it also receives the history so far: one row per finished epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, inf, pi, pow
from typing import Any, ClassVar

from skcnn._functions import name_error, require_arguments, returned_number
from skcnn._values import Value

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
    """The same learning rate throughout training.

    Examples
    --------
    >>> Constant()(2.5, 10)
    1.0
    """

    def __call__(self, epoch: float, n_epochs: int) -> float:
        return 1.0


@dataclass(frozen=True, repr=False)
class StepDecay(Value):
    """Multiply the learning rate by `factor` after every `every` epochs.

    Parameters
    ----------
    every : int, default=10
        Epochs between two reductions. At least 1.
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
    """Multiply the learning rate by `factor` per epoch, a little at every step.

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
    """Half a cosine wave from 1 down to `final`, without restarts, after an optional linear warm-up from 0.

    Parameters
    ----------
    final : float in [0, 1), default=0.0
        The factor at the end.
    warm_up : float, default=0.0
        Length of the warm-up in epochs. At least 0. If training is not longer than the warm-up, it ends during the
        warm-up.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: Stochastic gradient descent with warm restarts, equation 5. Goyal et al. (2017),
    Accurate, large minibatch SGD, section 2.2 (warm-up).

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
        self._check_number("warm_up", 0)

    def __call__(self, epoch: float, n_epochs: int) -> float:
        if epoch < self.warm_up:
            return epoch / self.warm_up
        return _wave(1.0, self.final, (epoch - self.warm_up) / max(n_epochs - self.warm_up, 1e-9))


@dataclass(frozen=True, repr=False)
class OneCycle(Value):
    """Half a cosine wave from `initial` up to 1, then another one down to `final`.

    Parameters
    ----------
    warm_up : float in [0, 1), default=0.3
        The length of the rise, as a fraction of all epochs.
    initial : float in [0, 1), default=0.04
        The factor at the beginning.
    final : float in [0, 1), default=4e-6
        The factor at the end.

    References
    ----------
    Smith, Topin (2019), Super-convergence: Very fast training of neural networks using large learning rates. The shape
    and the defaults follow PyTorch, but the momentum does not change.

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
    """Multiply the learning rate by `factor` whenever a loss has not improved for more than `patience` epochs.

    Parameters
    ----------
    factor : float in [0, 1), default=0.1
    patience : int, default=10
        Epochs without improvement that are tolerated. After each reduction the count starts again.
    tol : float, default=1e-4
        The loss improves if it falls below the lowest loss so far by more than `tol`. At least 0.
    metric : {"loss", "val_loss"}, default="loss"
        The column of `history_` that is monitored. "val_loss" needs a validation set.

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
        self._check_number("tol", 0)
        self._check("metric", self.metric in ("loss", "val_loss"), "'loss' or 'val_loss'")

    def __call__(self, epoch: float, n_epochs: int, history: History = ()) -> float:
        lowest, stale, reductions = inf, 0, 0
        for row in history:
            value = row[self.metric]
            if value is None:
                raise ValueError(
                    f"ReduceOnPlateau: {self.metric} needs a validation set; pass X_val and y_val to fit, or set "
                    "early_stopping=True"
                )
            lowest, stale = (value, 0) if value < lowest - self.tol else (lowest, stale + 1)
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
    """Return the factor of a schedule at the time `epoch`, in epochs.

    Raises
    ------
    ValueError
        If the schedule does not return a finite number of at least 0.
    """
    arguments = (history,) if getattr(schedule, "needs_history", False) else ()
    try:
        value: Any = schedule(epoch, n_epochs, *arguments)
    except Exception as error:
        name_error(error, f"learning_rate={schedule!r} at epoch {epoch:g}")
        raise
    number = value if type(value) is float else returned_number(value)  # this runs at every step
    if not 0 <= number < inf:
        raise ValueError(
            f"learning_rate={schedule!r} must return a finite number of at least 0, but returned {value!r} at epoch "
            f"{epoch:g}"
        )
    return number


def schedule_from(schedule: str | Schedule) -> Schedule:
    """Return the schedule of this name. A callable is returned unchanged.

    Raises
    ------
    ValueError, TypeError
        If it is a class, or does not take the arguments of a schedule.
    """
    if isinstance(schedule, str):
        return SCHEDULES[schedule]()
    if isinstance(schedule, type):
        name = schedule.__name__
        raise ValueError(f"learning_rate must be an object, as in {name}(), got the class {name}")
    history = ["history"] if getattr(schedule, "needs_history", False) else []
    require_arguments("learning_rate", schedule, "epoch", "n_epochs", *history)
    return schedule


def _wave(start: float, end: float, part: float) -> float:
    """Half a cosine wave from `start` to `end`, at the fraction `part` of its length."""
    return end + (start - end) * (1 + cos(pi * part)) / 2
