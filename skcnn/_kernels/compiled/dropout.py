"""Dropout, given a random number for each element."""

from __future__ import annotations

from typing import Any

from numba import uintp

from skcnn._kernels.compiled.compiler import compiled

__all__ = ["drop"]


@compiled
def drop(x: Any, drawn: Any, rate: Any, factor: Any, out: Any) -> None:
    """Write the elements of x (n,) times the factor to out, or times 0 where the drawn number is below the rate."""
    zero = x.dtype.type(0)
    for e in range(uintp(x.size)):
        out[e] = x[e] * (zero if drawn[e] < rate else factor)
