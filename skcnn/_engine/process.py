"""What a calculation needs of its process: one BLAS thread, and memory that is kept.

The last bits of a float32 matrix product depend on the number of BLAS threads. So BLAS always runs on one thread, and
the shards of a batch run on threads of our own (see `skcnn._engine.workers`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
from threadpoolctl import OpenBLASController, ThreadpoolController

__all__ = ["allowed_threads", "calculation", "numpy_settings", "one_blas_thread"]

# NumPy copies elements that are not contiguous, or have another type, into buffers before it computes with them. By
# default a buffer has 8192 elements. Three of those do not fit into the first cache, which can double the time.
BUFFER_ELEMENTS = 2048

# The C library returns the memory of large arrays to the system as soon as they are freed, and requests it again, page
# by page, for the next ones. That takes as long as computing them. But glibc keeps blocks that are no larger than the
# largest one that was ever freed, up to 32 MiB. So one that is never used is freed here, which costs a microsecond.
np.empty(2**25 - 2**16, dtype=np.uint8)


class _BlasGuard:
    """Limits the BLAS libraries of the process to one thread while there are users.

    The limit is global, so overlapping users are counted: the first one sets it, and the last one restores what it was.
    The libraries are looked up once, since that takes a hundred times as long as setting the limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None
        self._controller: ThreadpoolController | None = None
        self._allowed = 1
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._after_in_child
            )

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._allowed = self._read_allowed()
                with _any_thread_may_set_limits():
                    self._limit = self._controller and self._controller.limit(limits=1, user_api="blas")
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore()

    def allowed_threads(self) -> int:
        """Return how many threads BLAS may use while there are no users."""
        with self._lock:
            return self._allowed if self._users else self._read_allowed()

    def _read_allowed(self) -> int:
        if self._controller is None:
            self._controller = ThreadpoolController().select(user_api="blas")
        counts = [int(library.num_threads) for library in self._controller.lib_controllers]
        return max(counts) if counts else int(joblib.cpu_count())

    def _restore(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            with _any_thread_may_set_limits():
                limit.restore_original_limits()

    def _after_in_child(self) -> None:
        # the threads of the users do not exist in the child
        self._users = 0
        self._restore()
        self._lock.release()


@contextmanager
def _any_thread_may_set_limits() -> Iterator[None]:
    """Let any thread set OpenBLAS's limit.

    threadpoolctl 3.8 lets only the thread set it that did so first, and silently ignores all others. But the last user
    of the guard need not be the first.
    """
    clear = getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    try:
        yield
    finally:
        clear(force=True)


one_blas_thread = _BlasGuard()
allowed_threads = one_blas_thread.allowed_threads


@contextmanager
def numpy_settings() -> Iterator[None]:
    """Let NumPy compute without floating-point warnings and with small buffers, in this thread only.

    Whether results are finite is checked where it matters. Floating-point flags would be raised by underflow too.
    """
    with np.errstate(all="ignore"):
        size = np.setbufsize(BUFFER_ELEMENTS)
        try:
            yield
        finally:
            np.setbufsize(size)


@contextmanager
def calculation() -> Iterator[None]:
    """Set all that a calculation needs: one BLAS thread, and NumPy's settings."""
    with one_blas_thread, numpy_settings():
        yield
