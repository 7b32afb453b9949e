"""One BLAS thread for each calculation.

The last bits of a float32 matrix product depend on the number of BLAS threads. So BLAS always runs on one thread, and
the package's own threads compute the shards of a batch (see `skcnn._engine.workers`).

The number of BLAS threads belongs to the whole process. Other threads may change it, and calculations may overlap: the
first one sets the limit, and the last one restores the old number.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import joblib
from threadpoolctl import ThreadpoolController

__all__ = ["BlasLimit", "allowed_threads"]


class _Blas:
    """The BLAS libraries of the process. They are looked up on import, which takes a few milliseconds."""

    def __init__(self) -> None:
        self._libraries: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers

    def numbers(self) -> list[int]:
        """Return the number of threads of each library."""
        return [int(library.get_num_threads()) for library in self._libraries]

    def change(self, old: list[int], new: list[int]) -> None:
        """Set the number of threads of each library, if the new number differs from the old one."""
        for library, old_number, new_number in zip(self._libraries, old, new, strict=True):
            if old_number != new_number:
                # with threadpoolctl 3.8, `set_num_threads` does nothing if another thread has set OpenBLAS's limit
                getattr(library, "_real_set_num_threads", library.set_num_threads)(new_number)


_blas = _Blas()
_lock = threading.RLock()
_limits: set[BlasLimit] = set()  # those in force
_before: list[list[int]] = []  # at most one item: the numbers of threads to restore when no limit is in force


def allowed_threads() -> int:
    """Return how many threads BLAS may use when no limit is in force."""
    numbers = next(iter(_before), None) or _blas.numbers()
    return max(numbers) if numbers else int(joblib.cpu_count())


class BlasLimit:
    """A limit of one thread for BLAS, from `hold` to `release`.

    An exception of a signal handler may interrupt both at any point. If `release` is called after that, the state is as
    before: it does not count calls, and the lock is free after either method.
    """

    def __init__(self) -> None:
        self._is_released = self._is_done = False

    def hold(self) -> bool:
        """Set the limit, unless it was released. Return False if another thread has changed it since the last call.

        Then the results since the last call may differ in their last bits.
        """
        if self in _limits and set(_blas.numbers()) <= {1}:  # nothing to do, as at nearly every step
            return True
        try:
            _lock.acquire()
            if self._is_released:
                return True
            was_held = self in _limits
            _limits.add(self)  # first, so that a signal handler that predicts does not restore the numbers
            numbers = _blas.numbers()
            is_new, is_one = not _before, set(numbers) <= {1}
            if is_new:
                _before.append(numbers)
            elif not is_one:  # the other thread's wish takes effect when no limit is in force
                _before[0] = [new if new != 1 else old for new, old in zip(numbers, _before[0], strict=True)]
            _blas.change(numbers, [1] * len(numbers))
            return is_one or not was_held
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


def _restore() -> None:
    # a number other than 1 was set by another thread since the last look
    numbers = _blas.numbers()
    for before in _before[:1]:  # none if a signal handler has predicted meanwhile, and so has restored them
        _blas.change(numbers, [old if now == 1 else now for now, old in zip(numbers, before, strict=True)])
    _before.clear()


def _free_lock() -> None:
    """Release the lock as often as this thread holds it. An interrupted call may have kept it."""
    while _lock._is_owned():  # type: ignore[attr-defined]  # as in threading.Condition
        try:
            _lock.release()
        except RuntimeError as error:  # a signal handler has predicted meanwhile, and so has released it
            if "un-acquired" not in str(error):
                raise


def _after_fork_in_child() -> None:
    """Forget the limits, whose threads do not exist in the child process."""
    global _lock
    _lock = threading.RLock()
    _limits.clear()
    if _before:
        _restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
