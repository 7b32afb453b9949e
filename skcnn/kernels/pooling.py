"""Pooling both ways: the pixels of a window, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.kernels.maps import output_size
from skcnn.values import Pair

Array = NDArray[Any]


def window_slices(x: Array, size: Pair, stride: Pair) -> Iterator[Array]:
    """For each place in a window, row by row: a view (n, oh, ow, c) of the pixels at that place in every window."""
    oh, ow = (output_size(x.shape[axis + 1], size[axis], stride[axis]) for axis in (0, 1))
    for i in range(size[0]):
        for j in range(size[1]):
            yield x[:, i : i + stride[0] * oh : stride[0], j : j + stride[1] * ow : stride[1]]


def pool(x: Array, size: Pair, stride: Pair, reduce: np.ufunc) -> Array:
    """Combine the pixels of every window by `reduce` (np.maximum, np.minimum, np.add)."""
    slices = window_slices(x, size, stride)
    out = next(slices).copy()
    for pixels in slices:
        reduce(out, pixels, out=out)
    return out


def unpool_extremum(x: Array, out: Array, d_out: Array, size: Pair, stride: Pair) -> Array:
    """Send each window's gradient to the first pixel, row by row, that equals the window's result."""
    d_x = np.zeros_like(x)
    overlap = stride[0] < size[0] or stride[1] < size[1]
    unclaimed = np.ones(out.shape, dtype=bool)
    for pixels, d_pixels in zip(window_slices(x, size, stride), window_slices(d_x, size, stride), strict=True):
        wins = pixels == out
        wins &= unclaimed
        unclaimed ^= wins
        if overlap:
            d_pixels += d_out * wins
        else:
            np.multiply(d_out, wins, out=d_pixels)
    return d_x


def unpool_mean(in_shape: tuple[int, ...], d_out: Array, size: Pair, stride: Pair) -> Array:
    """Share each window's gradient equally among its pixels."""
    d_x = np.zeros(in_shape, dtype=d_out.dtype)
    share = d_out / (size[0] * size[1])
    for d_pixels in window_slices(d_x, size, stride):
        d_pixels += share
    return d_x
