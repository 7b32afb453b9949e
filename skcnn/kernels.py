"""Array functions where the time goes: padding, unfolding, pooling.

Images are (n, h, w, c), channels last and C-contiguous; kernels are (kh, kw, c, k). A convolution is a matrix product:
`unfold` lays the patch under every kernel position out as a row, and the kernels are the columns. The patches are
kh * kw times as large as the images, so they are made and used up a few images at a time, while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.values import Pair

Array = NDArray[Any]
Widths = tuple[Pair, Pair]  # padding: (top, bottom), (left, right)

PATCH_NUMBERS = 2**17  # so many patch entries at a time: half a MiB in float32, in a core's own cache


def pad(x: Array, widths: Widths, value: float) -> Array:
    """Frame every map of x (n, h, w, c) with `value`. Returns x itself where there is nothing to add."""
    (top, bottom), (left, right) = widths
    if not (top or bottom or left or right):
        return np.ascontiguousarray(x)
    n, h, w, c = x.shape
    padded = np.full((n, top + h + bottom, left + w + right, c), value, dtype=x.dtype)
    padded[:, top : top + h, left : left + w] = x
    return padded


def output_size(size: int, window: int, stride: int) -> int:
    """Positions of a window along one axis: floor((size - window) / stride) + 1."""
    return (size - window) // stride + 1


def unfold(x: Array, size: Pair, stride: Pair) -> Array:
    """Lay out the patch under every position of a window as a row.

    Parameters
    ----------
    x : ndarray (n, h, w, c), C-contiguous
    size, stride : pair of int
        The window and its step, (rows, columns).

    Returns
    -------
    ndarray (n, oh, ow, kh * kw * c)
        A patch runs through kernel rows, kernel columns, channels, as a kernel reshaped to (kh * kw * c, k) does.
    """
    n, h, w, c = x.shape
    (kh, kw), (sh, sw) = size, stride
    oh, ow = output_size(h, kh, sh), output_size(w, kw, sw)
    if size == stride == (1, 1):
        return x
    rows, row, pixel, channel = x.strides
    # a view in which patches overlap in memory; the reshape copies it out, in runs of kw * c
    windows: Array = np.ndarray(
        (n, oh, ow, kh, kw, c), x.dtype, buffer=x, strides=(rows, row * sh, pixel * sw, row, pixel, channel)
    )
    return windows.reshape(n, oh, ow, kh * kw * c)


def correlate(x: Array, W: Array, stride: Pair) -> Array:
    """Slide kernels over maps: x (n, h, w, c), W (kh, kw, c, k), result (n, oh, ow, k)."""
    kh, kw, _, k = W.shape
    matrix = W.reshape(-1, k)
    oh, ow = (output_size(x.shape[axis + 1], W.shape[axis], stride[axis]) for axis in (0, 1))
    out = np.empty((len(x), oh, ow, k), dtype=x.dtype)
    for some in _blocks(len(x), oh * ow * len(matrix)):
        patches = unfold(x[some], (kh, kw), stride)
        np.matmul(patches.reshape(-1, len(matrix)), matrix, out=out[some].reshape(-1, k))
    return out


def kernel_gradient(x: Array, d_out: Array, size: Pair, stride: Pair) -> Array:
    """Return the gradient of `correlate` by W: x (n, h, w, c), d_out (n, oh, ow, k), result (kh, kw, c, k)."""
    n, oh, ow, k = d_out.shape
    length = size[0] * size[1] * x.shape[3]
    gradient = np.zeros((length, k), dtype=x.dtype)
    for some in _blocks(n, oh * ow * length):
        gradient += unfold(x[some], size, stride).reshape(-1, length).T @ d_out[some].reshape(-1, k)
    return gradient.reshape(*size, -1, k)


def input_gradient(d_out: Array, W: Array, stride: Pair, before: Pair, size: Pair) -> Array:
    """Return the gradient of a padded `correlate` by its input: d_out (n, oh, ow, k), result (n, *size, c).

    Every input pixel gathers from the outputs it took part in: the output's gradient, its pixels a stride apart, is
    convolved with the turned kernels. So the fast way of the forward pass serves again, and nothing is scattered.
    `before` is the padding above and to the left.
    """
    kh, kw = W.shape[:2]
    placed = spread(d_out, stride, (kh - 1 - before[0], kw - 1 - before[1]), (size[0] + kh - 1, size[1] + kw - 1))
    turned = np.ascontiguousarray(W[::-1, ::-1].transpose(0, 1, 3, 2))
    return correlate(placed, turned, (1, 1))


def column_sums(d_out: Array) -> Array:
    """Sum (n, oh, ow, k) over all but the last axis, by a product with ones, much faster than by `sum`."""
    d_rows = d_out.reshape(-1, d_out.shape[-1])
    sums: Array = np.ones(len(d_rows), d_out.dtype) @ d_rows
    return sums


def _blocks(n_images: int, patch_numbers: int) -> Iterator[slice]:
    step = max(1, PATCH_NUMBERS // patch_numbers)
    return (slice(start, start + step) for start in range(0, n_images, step))


def spread(d_out: Array, stride: Pair, offset: Pair, size: Pair) -> Array:
    """Place the pixels of d_out (n, oh, ow, k) on an empty map, `stride` apart.

    Pixel (i, j) comes to offset + stride * (i, j) on a map of `size`; what falls outside it is dropped.
    """
    n, oh, ow, k = d_out.shape
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


def weight_gradient(x: Array, d_out: Array) -> Array:
    """x.T @ d_out of x (m, p) and d_out (m, q); a single row takes the outer product, several times faster."""
    if len(x) == 1:
        return x.reshape(-1, 1) * d_out
    product: Array = x.T @ d_out
    return product


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
