"""Runs of consecutive elements: copy them, add them, set them to zero."""

from __future__ import annotations

from typing import Any

from numba import uintp

from skcnn._kernels.compiled.compiler import compiled

__all__ = ["add_run", "clear_run", "copy_run"]


@compiled
def copy_run(source: Any, start: int, target: Any, target_start: int, length: int) -> None:
    """Copy `length` elements from ``source[start]`` on to ``target[target_start]`` on."""
    i, j = uintp(start), uintp(target_start)
    for e in range(uintp(length)):
        target[j + e] = source[i + e]


@compiled
def add_run(source: Any, start: int, target: Any, target_start: int, length: int) -> None:
    """Add `length` elements from ``source[start]`` on to those from ``target[target_start]`` on."""
    i, j = uintp(start), uintp(target_start)
    for e in range(uintp(length)):
        target[j + e] += source[i + e]


@compiled
def clear_run(target: Any, start: int, length: int) -> None:
    """Set `length` elements from ``target[start]`` on to zero."""
    i, zero = uintp(start), target.dtype.type(0)
    for e in range(uintp(length)):
        target[i + e] = zero
