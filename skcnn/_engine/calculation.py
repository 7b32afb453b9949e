"""Calculation: the context of a fit or a prediction. One BLAS thread, NumPy's settings, and the worker threads.

At the end, everything is restored, even if a signal handler raises an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from skcnn._engine.blas import BlasLimit, n_changes
from skcnn._engine.numpy_settings import restoring_numpy, set_numpy
from skcnn._engine.surely import surely
from skcnn._engine.workers import Workers

__all__ = ["Calculation", "calculate"]

Result = TypeVar("Result")
MOST_TRIES = 3


class Calculation:
    """A running calculation.

    Attributes
    ----------
    workers : Workers
    is_exact : bool
        False if something else has changed the number of BLAS threads so often that the last bits may differ.
    """

    def __init__(self, n_threads: int):
        self.workers = Workers(n_threads, self.begin)
        self.is_exact = True
        self.blas = BlasLimit()

    def begin(self) -> None:
        """Set what holds for the calculation. Every thread that takes part in it calls this first."""
        self.blas.hold()
        set_numpy()

    def exact(self, work: Callable[[], Result]) -> Result:
        """Return ``work()``, which must change nothing, with one BLAS thread.

        If something else changes the number of BLAS threads meanwhile, the work is done again.
        """
        for _ in range(MOST_TRIES):
            before = n_changes()
            result = work()
            if self.blas.hold() == before:
                return result
        self.is_exact = False
        return result


def calculate(work: Callable[[Calculation], Result], n_threads: int = 1) -> Result:
    """Return ``work(calculation)``, computed by `n_threads` threads."""
    calculation = Calculation(n_threads)

    def begin_and_work() -> Result:
        calculation.begin()
        return work(calculation)

    def end() -> None:
        calculation.blas.release()  # first, because a thread may wait for its lock
        calculation.workers.close()

    return restoring_numpy(partial(surely, begin_and_work, end))
