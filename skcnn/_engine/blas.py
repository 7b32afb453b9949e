"""One BLAS thread for each calculation.

The last bits of a float32 matrix product depend on the number of BLAS threads. So BLAS always runs on one thread, and
the package's own threads compute the shards of a batch (see `skcnn._engine.workers`).

The number of BLAS threads applies to the whole process (with OpenMP, to one thread). Other threads may change it.
Calculations may overlap: the first one sets the limit, and the last one restores the old number.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import joblib
from threadpoolctl import ThreadpoolController

__all__ = ["BlasLimit", "allowed_threads", "n_changes"]


class _Blas:
    """The BLAS libraries of the process."""

    def __init__(self) -> None:
        libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
        self._getters = [_function(library, "get") for library in libraries]
        self._setters = [_function(library, "set") for library in libraries]

    def numbers(self) -> list[int]:
        """Return the number of threads of each library."""
        return [getter() for getter in self._getters]

    def is_limited(self) -> bool:
        """Return whether each library uses one thread."""
        return max(self.numbers(), default=1) == 1

    def change(self, old: list[int], new: list[int]) -> None:
        """Set the number of threads of each library, if the new number differs from the old one."""
        for setter, old_number, new_number in zip(self._setters, old, new, strict=True):
            if old_number != new_number:
                setter(new_number)


def _function(library: Any, verb: Literal["get", "set"]) -> Callable[..., int]:
    """Return the function that gets or sets a library's number of threads. Every step and every prediction calls it."""
    name = f"{verb}_num_threads"
    # with threadpoolctl 3.8, `set_num_threads` does nothing if another thread has set OpenBLAS's limit
    function: Callable[..., int] = getattr(library, f"_real_{name}", getattr(library, name))
    if library.internal_api == "openblas" and library.threading_layer != "openmp" and hasattr(library, "_get_symbol"):
        function = library._get_symbol(f"openblas_{name}") or function
    return function


@cache
def _blas() -> _Blas:
    """Look the libraries up, at the first use, since it takes a few milliseconds."""
    return _Blas()


_lock = threading.RLock()
_limits: set[BlasLimit] = set()  # those in force
_before: list[list[int]] = []  # at most one item: the numbers of threads to restore when no limit is in force
_n_changes = 0  # how often something else has changed the numbers while a limit was in force


def allowed_threads() -> int:
    """Return how many threads BLAS may use when no limit is in force."""
    numbers = next(iter(_before), None) or _blas().numbers()
    return max(numbers) if numbers else int(joblib.cpu_count())


class BlasLimit:
    """A limit of one thread for BLAS, from `hold` to `release`.

    A signal handler may raise an exception at any point of both methods. Calling `release` afterwards still restores
    the old state, because the limits in force are a set, not a count of calls. Both methods leave the lock free.
    """

    def __init__(self) -> None:
        self._is_released = self._is_done = False

    def hold(self) -> int:
        """Set the limit, unless it was released. Return how often something else has changed the numbers so far.

        If this is more than before, the last bits of what was computed in between may differ.
        """
        if self in _limits and _blas().is_limited():  # nothing to do, as at nearly every step
            return _n_changes
        try:
            _lock.acquire()
            if not self._is_released:
                _limits.add(self)  # first, so that a prediction in a signal handler does not restore the numbers
                _set_to_one(_blas().numbers())
            return _n_changes
        finally:
            _free_lock()

    def release(self) -> None:
        """Release the limit. If no other one is in force, restore the numbers of threads."""
        try:
            if not self._is_done:
                _lock.acquire()
                self._is_released = True
                _limits.discard(self)
                if _before and not _limits:
                    _restore()
                self._is_done = True
        finally:
            _free_lock()


def _set_to_one(numbers: list[int]) -> None:
    if not _before:
        _before.append(numbers)
        _blas().change(numbers, [1] * len(numbers))
    elif not set(numbers) <= {1}:
        # the other thread's wish takes effect when no limit is in force
        _before[0] = [new if new != 1 else old for new, old in zip(numbers, _before[0], strict=True)]
        _count_change()  # before and after, so that no calculation that runs meanwhile counts as exact
        _blas().change(numbers, [1] * len(numbers))
        _count_change()


def _count_change() -> None:
    global _n_changes
    _n_changes += 1


def n_changes() -> int:
    """Return how often something else has changed the numbers of threads while a limit was in force."""
    return _n_changes


def _restore() -> None:
    # if a number is not 1, another thread has set it since the last check
    numbers = _blas().numbers()
    for before in _before[:1]:  # none if a prediction in a signal handler has already restored them
        _blas().change(numbers, [old if now == 1 else now for now, old in zip(numbers, before, strict=True)])
    _before.clear()


def _free_lock() -> None:
    """Release the lock as often as this thread holds it, because an interrupted call may have kept it."""
    while _lock._is_owned():  # type: ignore[attr-defined]  # as in threading.Condition
        try:
            _lock.release()
        except RuntimeError as error:  # a prediction in a signal handler has already released it
            if "un-acquired" not in str(error):
                raise


def _after_fork_in_child() -> None:
    """Forget the limits, whose threads do not exist in the child process."""
    global _lock
    _lock = threading.RLock()
    _limits.clear()
    if _before:
        _restore()
        _count_change()  # for a calculation that goes on in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
