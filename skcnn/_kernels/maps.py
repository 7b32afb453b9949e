"""Laying maps out: frames around them, windows on them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Pair

Array = NDArray[Any]
Widths = tuple[Pair, Pair]  # padding: (top, bottom), (left, right)


def output_size(size: int, window: int, stride: int) -> int:
    """Positions of a window along one axis: floor((size - window) / stride) + 1."""
    return (size - window) // stride + 1


def contiguous_strides(x: Array) -> tuple[int, int, int, int]:
    """The strides of a C-contiguous array of four axes. NumPy may give any to an axis of length 1."""
    of_number = x.itemsize
    of_pixel = of_number * x.shape[3]
    of_row = of_pixel * x.shape[2]
    return of_row * x.shape[1], of_row, of_pixel, of_number


def copy_runs(x: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], length: int) -> Array:
    """Copy runs of `length` neighbouring numbers out of x, which lie `strides` (in bytes) apart: (*shape, length).

    A run is copied as one item, in half the time that its numbers would take one by one.
    """
    runs: Array = np.ndarray(shape, _item(length * x.itemsize), buffer=x, offset=offset, strides=strides)
    return np.ascontiguousarray(runs).view(x.dtype).reshape(*shape, length)


def write_runs(x: Array, shape: tuple[int, ...], strides: tuple[int, ...], values: Array) -> None:
    """Write `values`, which broadcast to (*shape, length), as runs into x, the other way round."""
    values = np.ascontiguousarray(values)
    item = _item(values.shape[-1] * x.itemsize)
    runs: Array = np.ndarray(shape, item, buffer=x, strides=strides)
    runs[...] = values.view(item)[..., 0]


def whole_pixels(x: Array) -> Array:
    """View x (n, h, w, c), whose channels lie side by side, as (n, h, w): pixels that are copied as one item each."""
    return x.view(_item(x.shape[3] * x.itemsize))[..., 0]


@lru_cache
def _item(n_bytes: int) -> np.dtype[Any]:
    return np.dtype((np.void, n_bytes))


def pad(x: Array, widths: Widths, value: float, to: Pair = (0, 0)) -> Array:
    """Frame every map of x (n, h, w, c) with `value`, and add rows and columns after that until it is as large as `to`.

    Returns x itself where there is nothing to add.
    """
    (top, bottom), (left, right) = widths
    n, h, w, c = x.shape
    rows, columns = max(top + h + bottom, to[0]), max(left + w + right, to[1])
    if (rows, columns) == (h, w):
        return np.ascontiguousarray(x)
    shape = (n, rows, columns, c)
    framed = np.full(shape, value, dtype=x.dtype) if value else np.zeros(shape, dtype=x.dtype)
    framed[:, top : top + h, left : left + w] = x
    return framed


def crop(x: Array, size: Pair) -> Array:
    """Keep the first rows and columns. Returns x itself if it has no more."""
    return np.ascontiguousarray(x[:, : size[0], : size[1]])


def spread(d_out: Array, stride: Pair, offset: Pair, size: Pair) -> Array:
    """Place the pixels of d_out (n, oh, ow, k) on an empty map, `stride` apart.

    Pixel (i, j) comes to offset + stride * (i, j) on a map of `size`; what falls outside it is dropped.
    """
    n, oh, ow, k = d_out.shape
    if stride == (1, 1) and min(offset) >= 0 and offset[0] + oh <= size[0] and offset[1] + ow <= size[1]:
        return pad(d_out, ((offset[0], 0), (offset[1], 0)), 0, to=size)
    rows, on_rows = _span(oh, stride[0], offset[0], size[0])
    columns, on_columns = _span(ow, stride[1], offset[1], size[1])
    placed = np.zeros((n, *size, k), dtype=d_out.dtype)
    placed[:, on_rows, on_columns] = d_out[:, rows, columns]
    return placed


def _span(count: int, stride: int, offset: int, size: int) -> tuple[slice, slice]:
    """Which of `count` points, at offset + stride * i, lie on an axis of `size`, and where."""
    first = max(0, -(offset // stride))
    last = max(first, min(count, (size - 1 - offset) // stride + 1))
    start = offset + stride * first
    return slice(first, last), slice(start, start + (last - first) * stride, stride)
