"""Winograd's transforms for the points 0, 1, -1, 2, -2 and infinity, on runs of elements.

B belongs to the six pixels under a tile, and A to its m outputs: 4 for kernels of length 3, 2 for kernels of length 5.
See `skcnn._kernels.winograd`.
"""

from __future__ import annotations

from typing import Any

from numba import uintp

from skcnn._kernels.compiled.compiler import compiled

__all__ = ["add_times_b", "times_a", "times_a_transposed", "times_b"]


@compiled
def times_b(
    x: Any, s0: int, s1: int, s2: int, s3: int, s4: int, s5: int, y: Any, start: int, step: int, length: int
) -> None:
    """Six runs of x, at the six pixels under a tile, give six runs of y, at the six points: B.T @ x."""
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    i0, i1, i2, i3, i4, i5 = uintp(s0), uintp(s1), uintp(s2), uintp(s3), uintp(s4), uintp(s5)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    for e in range(uintp(length)):
        x0, x1, x2, x3, x4, x5 = x[i0 + e], x[i1 + e], x[i2 + e], x[i3 + e], x[i4 + e], x[i5 + e]
        even, odd = x4 - four * x2, x3 - four * x1
        y[j0 + e] = four * x0 - five * x2 + x4
        y[j1 + e] = even + odd
        y[j2 + e] = even - odd
        even, odd = x4 - x2, two * (x3 - x1)
        y[j3 + e] = even + odd
        y[j4 + e] = even - odd
        y[j5 + e] = four * x1 - five * x3 + x5


@compiled
def add_times_b(
    y: Any, start: int, step: int, x: Any, s0: int, s1: int, s2: int, s3: int, s4: int, s5: int, length: int
) -> None:
    """Six runs of y, at the six points, are added to six runs of x, at the six pixels under a tile: B @ y.

    Runs of x at pixels of different tiles may overlap, so only two of them are written at a time.
    """
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    i0, i1, i2, i3, i4, i5 = uintp(s0), uintp(s1), uintp(s2), uintp(s3), uintp(s4), uintp(s5)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    for e in range(uintp(length)):
        y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
        x[i0 + e] += four * y0
        x[i1 + e] += four * (y5 - (y1 - y2)) - two * (y3 - y4)
    for e in range(uintp(length)):
        y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
        x[i2 + e] -= five * y0 + four * (y1 + y2) + (y3 + y4)
        x[i3 + e] += (y1 - y2) + two * (y3 - y4) - five * y5
    for e in range(uintp(length)):
        y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
        x[i4 + e] += y0 + (y1 + y2) + (y3 + y4)
        x[i5 + e] += y5


@compiled
def times_a(y: Any, start: int, step: int, m: int, x: Any, x_start: int, x_step: int, length: int) -> None:
    """Six runs of y, at the six points, give m runs of x: A.T @ y."""
    two, four, eight = x.dtype.type(2), x.dtype.type(4), x.dtype.type(8)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    t = uintp(x_step)
    i0 = uintp(x_start)
    i1, i2, i3 = i0 + t, i0 + t + t, i0 + t + t + t
    if m == 2:
        for e in range(uintp(length)):
            y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
            x[i0 + e] = y0 + (y1 + y2) + (y3 + y4)
            x[i1 + e] = (y1 - y2) + two * (y3 - y4) + y5
    else:
        for e in range(uintp(length)):
            y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
            sum_12, difference_12, sum_34, difference_34 = y1 + y2, y1 - y2, y3 + y4, y3 - y4
            x[i0 + e] = y0 + sum_12 + sum_34
            x[i1 + e] = difference_12 + two * difference_34
            x[i2 + e] = sum_12 + four * sum_34
            x[i3 + e] = difference_12 + eight * difference_34 + y5


@compiled
def times_a_transposed(x: Any, x_start: int, x_step: int, m: int, y: Any, start: int, step: int, length: int) -> None:
    """Give six runs of y, at the six points, for m runs of x: A @ x."""
    two, four, eight = x.dtype.type(2), x.dtype.type(4), x.dtype.type(8)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    t = uintp(x_step)
    i0 = uintp(x_start)
    i1, i2, i3 = i0 + t, i0 + t + t, i0 + t + t + t
    if m == 2:
        for e in range(uintp(length)):
            x0, x1 = x[i0 + e], x[i1 + e]
            y[j0 + e] = x0
            y[j1 + e] = x0 + x1
            y[j2 + e] = x0 - x1
            y[j3 + e] = x0 + two * x1
            y[j4 + e] = x0 - two * x1
            y[j5 + e] = x1
    else:
        for e in range(uintp(length)):
            x0, x1, x2, x3 = x[i0 + e], x[i1 + e], x[i2 + e], x[i3 + e]
            y[j0 + e] = x0
            even, odd = x0 + x2, x1 + x3
            y[j1 + e] = even + odd
            y[j2 + e] = even - odd
            even, odd = x0 + four * x2, two * x1 + eight * x3
            y[j3 + e] = even + odd
            y[j4 + e] = even - odd
            y[j5 + e] = x3
