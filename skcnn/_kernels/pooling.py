"""Pooling both ways: along one axis after the other.

What is the largest of a window is the largest of what is the largest of its rows. So only the pixels of one row are
compared place by place, and then whole rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._kernels.maps import output_size, whole_pixels
from skcnn._values import Pair

Array = NDArray[Any]
ROWS, COLUMNS = 1, 2  # the axes of (n, h, w, c)


def pool(x: Array, size: Pair, stride: Pair, reduce: np.ufunc) -> Array:
    """Combine the pixels of every window by `reduce` (np.maximum, np.minimum, np.add): (n, oh, ow, c)."""
    x = np.ascontiguousarray(x)
    for axis in (ROWS, COLUMNS):  # whole rows first: they are long, and fewer are left
        first, *others = _copies(x, axis, size, stride)
        x = reduce(first, others[0]) if others else first.copy()
        for pixels in others[1:]:
            reduce(x, pixels, out=x)
    return x


class Winners(NamedTuple):
    """Which pixels of a window won, along one axis.

    Attributes
    ----------
    axis : int
    in_shape : tuple of int
    wins : list of ndarray of bool
        For each place in the window but the first: where its pixel beats all before it. The last that does is the
        winner, and the first of equal ones; if none does, it is the first place.
    """

    axis: int
    in_shape: tuple[int, ...]
    wins: list[Array]


def pool_extremum(x: Array, size: Pair, stride: Pair, extremum: np.ufunc) -> tuple[Array, list[Winners]]:
    """Keep the largest (np.maximum) or smallest (np.minimum) pixel of every window, and remember which it was.

    Of several equal pixels the first, row by row, is the winner.
    """
    x = np.ascontiguousarray(x)
    beats = np.greater if extremum is np.maximum else np.less
    winners = []
    for axis in (COLUMNS, ROWS):  # the first pixel of a row, then the first row that has the best
        best, *others = _copies(x, axis, size, stride)
        wins = []
        for pixels in others:
            wins.append(beats(pixels, best))
            best = extremum(best, pixels)
        winners.append(Winners(axis, x.shape, wins))
        x = best
    return np.ascontiguousarray(x), winners


def unpool_extremum(d_out: Array, winners: list[Winners], size: Pair, stride: Pair) -> Array:
    """Send each window's gradient to the pixel that won."""
    d_out = np.ascontiguousarray(d_out)
    for axis, in_shape, wins in reversed(winners):
        length, step = size[axis - 1], stride[axis - 1]
        apart = step >= length  # no pixel is in two windows: writing is faster than adding
        every = step == length and in_shape[axis] % length == 0  # and each is in one
        d_x = (np.empty if every else np.zeros)(in_shape, dtype=d_out.dtype)
        put = _write if apart else _add
        straight = apart and axis == ROWS  # whole rows are computed where they belong
        first, *others = _places(d_x, axis, size, stride)
        for d_pixels, win in zip(reversed(others), reversed(wins), strict=True):
            d_winner = np.multiply(d_out, win, out=d_pixels if straight else None)
            d_out = np.subtract(d_out, d_winner, out=first if straight else None)
            if not straight:
                put(d_pixels, d_winner)
        if d_out is not first:
            put(first, d_out)
        d_out = d_x
    return d_out


def unpool_mean(in_shape: tuple[int, ...], d_out: Array, size: Pair, stride: Pair) -> Array:
    """Share each window's gradient equally among its pixels."""
    d_out = d_out / (size[0] * size[1])
    for axis in (ROWS, COLUMNS):
        shape = (*in_shape[:2], *d_out.shape[2:]) if axis == ROWS else in_shape
        d_x = np.zeros(shape, dtype=d_out.dtype)
        for d_pixels in _places(d_x, axis, size, stride):
            d_pixels += d_out
        d_out = d_x
    return d_out


def _places(x: Array, axis: int, size: Pair, stride: Pair) -> list[Array]:
    """For each place in a window along one axis: a view of the pixels at that place in every window."""
    length, step = size[axis - 1], stride[axis - 1]
    stop = step * output_size(x.shape[axis], length, step)
    if axis == ROWS:
        return [x[:, i : i + stop : step] for i in range(length)]
    return [x[:, :, j : j + stop : step] for j in range(length)]


def _copies(x: Array, axis: int, size: Pair, stride: Pair) -> list[Array]:
    """The same, but copied if they are single pixels: a few numbers each, they are compared faster in long runs."""
    places = _places(x, axis, size, stride)
    if axis == ROWS or len(places) == 1:
        return places
    return [np.ascontiguousarray(whole_pixels(pixels)).view(x.dtype).reshape(pixels.shape) for pixels in places]


def _write(pixels: Array, values: Array) -> None:
    """Write pixels that are not neighbours."""
    whole_pixels(pixels)[...] = whole_pixels(values)


def _add(pixels: Array, values: Array) -> None:
    pixels += values
