"""Settings for a calculation: one BLAS thread, small buffers, and memory that the process keeps.

The last bits of a float32 matrix product depend on the number of BLAS threads. So BLAS always runs on one thread, and
the package's own threads compute the shards of a batch (see `skcnn._engine.workers`).
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
# default, a buffer has 8192 elements. Three such buffers do not fit into the L1 cache, which can double the time.
BUFFER_ELEMENTS = 2048

# The C library returns the memory of large arrays to the system as soon as they are freed, and requests it again, page
# by page, for the next arrays. This takes as long as computing the arrays. But glibc keeps freed blocks up to the size
# of the largest block that was ever freed, at most 32 MiB. So this line allocates a large block and frees it unused,
# which takes a microsecond.
np.empty(2**25 - 2**16, dtype=np.uint8)


class _BlasGuard:
    """Limits the BLAS libraries of the process to one thread while there are users.

    The limit is global, so overlapping users are counted: the first user sets the limit, and the last user restores the
    old one. The libraries are looked up only once, because this takes a hundred times as long as setting the limit.
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
        """Return how many threads BLAS may use when there are no users."""
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
        # the users' threads do not exist in the child process
        self._users = 0
        self._restore()
        self._lock.release()


@contextmanager
def _any_thread_may_set_limits() -> Iterator[None]:
    """Let any thread set OpenBLAS's limit.

    With threadpoolctl 3.8, only the thread that set the limit first can set it again. Other threads are silently
    ignored. But the last user of the guard may be on another thread than the first user.
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

    The package checks that results are finite where this matters. Floating-point flags are set by underflow too.
    """
    with np.errstate(all="ignore"):
        size = np.setbufsize(BUFFER_ELEMENTS)
        try:
            yield
        finally:
            np.setbufsize(size)


@contextmanager
def calculation() -> Iterator[None]:
    """Apply all settings of a calculation: one BLAS thread, and `numpy_settings`."""
    with one_blas_thread, numpy_settings():
        yield
