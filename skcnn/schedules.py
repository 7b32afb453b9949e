"""Learning-rate schedules: which part of the initial learning rate applies when.

A schedule is called with the time since training began, in epochs (2.5: in the middle of the third), and with the
number of epochs planned; it returns the factor for `learning_rate_init`. Any such callable will do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

from skcnn.values import Value

__all__ = ["SCHEDULES", "Constant", "Cosine", "Schedule", "schedule_from"]

Schedule = Callable[[float, int], float]


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
class Cosine(Value):
    """Half a cosine wave from 1 down to `final`, without restarts.

    Parameters
    ----------
    final : float in [0, 1), default=0.0
        The factor at the end.

    References
    ----------
    Loshchilov, Hutter (2017), SGDR: Stochastic gradient descent with warm restarts, equation 5.

    Examples
    --------
    >>> [round(Cosine()(epoch, 10), 3) for epoch in (0, 2.5, 5, 10)]
    [1.0, 0.854, 0.5, 0.0]
    """

    final: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("final", 0, 1)

    def __call__(self, epoch: float, n_epochs: int) -> float:
        return self.final + (1 - self.final) * (1 + cos(pi * epoch / n_epochs)) / 2


SCHEDULES: dict[str, type[Constant] | type[Cosine]] = {"constant": Constant, "cosine": Cosine}


def schedule_from(schedule: str | Schedule) -> Schedule:
    """Look a schedule up by name; a callable is returned as it is."""
    if isinstance(schedule, type):
        raise ValueError(f"learning_rate must be an object, as in {schedule.__name__}(), got the class itself")
    return SCHEDULES[schedule]() if isinstance(schedule, str) else schedule
