"""Keeping freed memory during a calculation.

glibc returns the memory of a large array to the system as soon as it is freed, and requests it again, page by page, for
the next array. This takes as long as computing the array. But glibc keeps freed blocks up to the size of the largest
block that was ever freed, at most 32 MiB. This limit applies to the whole process, so it is raised only when a fit or a
large prediction begins. At the end of a calculation that was not short, freed memory is returned. Other C libraries
have no such rule.

If the environment variable ``SKCNN_KEEP_MEMORY`` is "0", nothing is changed.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

import numpy as np

__all__ = ["keeping_memory"]

Result = TypeVar("Result")

LARGEST_BLOCK = 2**25 - 2**16  # bytes
WORTH_TRIMMING = 0.5  # seconds: after a shorter calculation, returning the memory would take a noticeable part of it


def keeping_memory(work: Callable[[], Result]) -> Result:
    """Return ``work()``. The process keeps freed memory meanwhile, and returns it after a long calculation."""
    if os.environ.get("SKCNN_KEEP_MEMORY") == "0":
        return work()
    np.empty(LARGEST_BLOCK, dtype=np.uint8)  # allocated and freed unused, which takes a microsecond
    start = perf_counter()
    try:
        return work()
    finally:
        if perf_counter() - start > WORTH_TRIMMING:
            _trim()


def _trim() -> None:
    """Return freed memory to the system, if the C library is glibc."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # the C library, or the operating system, has no such function
        return
    trim(0)
