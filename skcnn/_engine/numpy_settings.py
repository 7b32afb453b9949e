"""NumPy's settings during a calculation."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import TypeVar

import numpy as np

from skcnn._engine.surely import surely

__all__ = ["restoring_numpy", "set_numpy"]

Result = TypeVar("Result")

# NumPy copies elements that are not contiguous, or have another type, into buffers before it computes with them. By
# default, a buffer has 8192 elements. Three such buffers do not fit into the L1 cache, which can double the time.
BUFFER_ELEMENTS = 2048
_IN_CONTEXT = int(np.__version__.split(".")[0]) >= 2  # NumPy's settings are context variables, no longer thread-local


def set_numpy() -> None:
    """Let NumPy compute without floating-point warnings and with small buffers, in this thread only.

    The package checks that results are finite where this matters. Floating-point flags are set by underflow too.
    """
    np.seterr(all="ignore")
    np.setbufsize(BUFFER_ELEMENTS)


def restoring_numpy(work: Callable[[], Result]) -> Result:
    """Return ``work()``, and restore NumPy's settings of this thread at the end.

    ``with np.errstate(...)`` does not restore them if a signal handler raises an exception as the block begins or ends.
    """
    if _IN_CONTEXT:
        return copy_context().run(work)
    errors, size = np.geterr(), np.getbufsize()

    def restore() -> None:
        np.seterr(**errors)
        np.setbufsize(size)

    return surely(work, restore)
