"""The layout of feature maps: padding, cropping, dilation, and runs of elements that are copied as a whole."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Pair

Array = NDArray[Any]
PadWidth = tuple[Pair, Pair]  # (top, bottom), (left, right)


def output_size(size: int, window: int, stride: int) -> int:
    """Return the number of positions of a window along one axis: floor((size - window) / stride) + 1."""
    return (size - window) // stride + 1


def contiguous_strides(x: Array) -> tuple[int, int, int, int]:
    """Return the strides of a C-contiguous array with four axes.

    They are computed from the shape, because NumPy may report any stride for an axis of length 1.
    """
    element_bytes = x.itemsize
    pixel_bytes = element_bytes * x.shape[3]
    row_bytes = pixel_bytes * x.shape[2]
    return row_bytes * x.shape[1], row_bytes, pixel_bytes, element_bytes


def copy_runs(x: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], length: int) -> Array:
    """Copy runs of `length` consecutive elements out of x. They start `strides` bytes apart. Returns (*shape, length).

    Each run is copied as one item. That takes half as long as copying its elements one by one.
    """
    runs: Array = np.ndarray(shape, _item(length * x.itemsize), buffer=x, offset=offset, strides=strides)
    return np.ascontiguousarray(runs).view(x.dtype).reshape(*shape, length)


def write_runs(x: Array, shape: tuple[int, ...], strides: tuple[int, ...], values: Array) -> None:
    """Write `values`, which broadcast to (*shape, length), into x as runs: the reverse of `copy_runs`."""
    values = np.ascontiguousarray(values)
    item = _item(values.shape[-1] * x.itemsize)
    runs: Array = np.ndarray(shape, item, buffer=x, strides=strides)
    runs[...] = values.view(item)[..., 0]


def whole_pixels(x: Array) -> Array:
    """View x (n, h, w, c), with contiguous channels, as (n, h, w), so that each pixel is copied as one item."""
    return x.view(_item(x.shape[3] * x.itemsize))[..., 0]


@lru_cache
def _item(n_bytes: int) -> np.dtype[Any]:
    return np.dtype((np.void, n_bytes))


def pad(x: Array, pad_width: PadWidth, value: float, to: Pair = (0, 0)) -> Array:
    """Pad every feature map of x (n, h, w, c) with `value`.

    In addition to `pad_width`, rows at the bottom and columns on the right make the feature map at least as large as
    `to`. Returns x itself if there is nothing to add.
    """
    (top, bottom), (left, right) = pad_width
    n, h, w, c = x.shape
    rows, columns = max(top + h + bottom, to[0]), max(left + w + right, to[1])
    if (rows, columns) == (h, w):
        return np.ascontiguousarray(x)
    shape = (n, rows, columns, c)
    padded = np.full(shape, value, dtype=x.dtype) if value else np.zeros(shape, dtype=x.dtype)
    padded[:, top : top + h, left : left + w] = x
    return padded


def crop(x: Array, size: Pair) -> Array:
    """Keep the first rows and columns. Returns x itself if there is nothing to remove."""
    return np.ascontiguousarray(x[:, : size[0], : size[1]])


def dilate(d_out: Array, stride: Pair, offset: Pair, size: Pair) -> Array:
    """Place the pixels of d_out (n, oh, ow, k) `stride` apart on a feature map of zeros.

    Pixel (i, j) goes to offset + stride * (i, j) on a feature map of the given `size`. Pixels outside it are dropped.
    """
    n, oh, ow, k = d_out.shape
    if stride == (1, 1) and min(offset) >= 0 and offset[0] + oh <= size[0] and offset[1] + ow <= size[1]:
        return pad(d_out, ((offset[0], 0), (offset[1], 0)), 0, to=size)
    rows, to_rows = _span(oh, stride[0], offset[0], size[0])
    columns, to_columns = _span(ow, stride[1], offset[1], size[1])
    dilated = np.zeros((n, *size, k), dtype=d_out.dtype)
    dilated[:, to_rows, to_columns] = d_out[:, rows, columns]
    return dilated


def _span(count: int, stride: int, offset: int, size: int) -> tuple[slice, slice]:
    """Return which of `count` points at offset + stride * i lie on an axis of length `size`, and their positions."""
    first = max(0, -(offset // stride))
    last = max(first, min(count, (size - 1 - offset) // stride + 1))
    start = offset + stride * first
    return slice(first, last), slice(start, start + (last - first) * stride, stride)
