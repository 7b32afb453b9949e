"""Pooling along one axis after the other.

The maximum of a window is the maximum of the maxima of its rows. So single pixels are compared along one axis only, and
whole rows along the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._kernels.feature_maps import output_size, whole_pixels
from skcnn._values import Pair

Array = NDArray[Any]
ROWS, COLUMNS = 1, 2  # the axes of (n, h, w, c)


def pool(x: Array, size: Pair, stride: Pair, reduce: np.ufunc) -> Array:
    """Reduce the pixels of every window by `reduce` (np.maximum, np.minimum or np.add): (n, oh, ow, c)."""
    x = np.ascontiguousarray(x)
    for axis in (ROWS, COLUMNS):  # rows first: they are long, and fewer pixels are left for the columns
        first, *others = _copies_by_offset(x, axis, size, stride)
        x = reduce(first, others[0]) if others else first.copy()
        for pixels in others[1:]:
            reduce(x, pixels, out=x)
    return x


class Winners(NamedTuple):
    """Which pixel of each window won, along one axis.

    Attributes
    ----------
    axis : int
    in_shape : tuple of int
    wins : list of ndarray of bool
        One array for each offset in the window except the first. It is true where the pixel at this offset beats all
        pixels before it. The last offset that is true wins; if none is true, the first offset wins. So if several
        pixels are equal, the first one wins.
    """

    axis: int
    in_shape: tuple[int, ...]
    wins: list[Array]


def pool_extremum(x: Array, size: Pair, stride: Pair, extremum: np.ufunc) -> tuple[Array, list[Winners]]:
    """Keep the largest (np.maximum) or smallest (np.minimum) pixel of every window, and remember which one it was.

    If several pixels are equal, the first one, row by row, wins.
    """
    x = np.ascontiguousarray(x)
    beats = np.greater if extremum is np.maximum else np.less
    winners = []
    for axis in (COLUMNS, ROWS):  # in this order ties go to the first pixel, row by row
        best, *others = _copies_by_offset(x, axis, size, stride)
        wins = []
        for pixels in others:
            wins.append(beats(pixels, best))
            best = extremum(best, pixels)
        winners.append(Winners(axis, x.shape, wins))
        x = best
    return np.ascontiguousarray(x), winners


def unpool_extremum(d_out: Array, winners: list[Winners], size: Pair, stride: Pair) -> Array:
    """Pass the gradient of each window to the pixel that won."""
    d_out = np.ascontiguousarray(d_out)
    for axis, in_shape, wins in reversed(winners):
        length, axis_stride = size[axis - 1], stride[axis - 1]
        disjoint = axis_stride >= length  # no pixel is in two windows: writing is faster than adding
        covered = axis_stride == length and in_shape[axis] % length == 0  # each pixel is in exactly one window
        d_x = (np.empty if covered else np.zeros)(in_shape, dtype=d_out.dtype)
        put = _write if disjoint else _add
        in_place = disjoint and axis == ROWS  # whole rows are computed directly in d_x
        first, *others = _views_by_offset(d_x, axis, size, stride)
        for d_pixels, win in zip(reversed(others), reversed(wins), strict=True):
            d_winner = np.multiply(d_out, win, out=d_pixels if in_place else None)
            d_out = np.subtract(d_out, d_winner, out=first if in_place else None)
            if not in_place:
                put(d_pixels, d_winner)
        if d_out is not first:
            put(first, d_out)
        d_out = d_x
    return d_out


def unpool_mean(in_shape: tuple[int, ...], d_out: Array, size: Pair, stride: Pair) -> Array:
    """Share the gradient of each window equally among its pixels."""
    d_out = d_out / (size[0] * size[1])
    for axis in (ROWS, COLUMNS):
        shape = (*in_shape[:2], *d_out.shape[2:]) if axis == ROWS else in_shape
        d_x = np.zeros(shape, dtype=d_out.dtype)
        for d_pixels in _views_by_offset(d_x, axis, size, stride):
            d_pixels += d_out
        d_out = d_x
    return d_out


def _views_by_offset(x: Array, axis: int, size: Pair, stride: Pair) -> list[Array]:
    """For each offset in a window along one axis, view the pixels that every window has at this offset."""
    length, axis_stride = size[axis - 1], stride[axis - 1]
    stop = axis_stride * output_size(x.shape[axis], length, axis_stride)
    if axis == ROWS:
        return [x[:, i : i + stop : axis_stride] for i in range(length)]
    return [x[:, :, j : j + stop : axis_stride] for j in range(length)]


def _copies_by_offset(x: Array, axis: int, size: Pair, stride: Pair) -> list[Array]:
    """Return the views by offset, copied if they consist of single pixels: contiguous arrays are compared faster."""
    views = _views_by_offset(x, axis, size, stride)
    if axis == ROWS or len(views) == 1:
        return views
    return [np.ascontiguousarray(whole_pixels(pixels)).view(x.dtype).reshape(pixels.shape) for pixels in views]


def _write(pixels: Array, values: Array) -> None:
    """Write pixels that are not next to each other."""
    whole_pixels(pixels)[...] = whole_pixels(values)


def _add(pixels: Array, values: Array) -> None:
    pixels += values
