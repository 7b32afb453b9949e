"""Memory: how much there is, to refuse a network that is far too large before its arrays are created.

Without this check, many systems would grant the memory, and kill the process when it uses it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["require_memory"]

# the files with the memory limit of a container, in versions 2 and 1 of Linux control groups
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def require_memory(n_bytes: int, what: str) -> None:
    """Raise MemoryError if `what` needs more bytes than there are."""
    if n_bytes > memory():
        raise MemoryError(
            f"{what} would need {_in_mib(n_bytes)} of memory or more, but there are only {_in_mib(memory())}"
        )


@cache
def memory() -> int:
    """Return the number of bytes of memory that this computer has, or that its container may use."""
    limits = [sys.maxsize]
    with suppress(AttributeError, ValueError, OSError):  # not known on every system
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in _LIMITS:
        with suppress(OSError, ValueError):  # the file may contain "max"
            limits.append(int(Path(path).read_text()))
    return min(limits)


def _in_mib(n_bytes: int) -> str:
    # integers, because a number of bytes may be too large for a float
    return f"{n_bytes // 2**20:,} MiB"
