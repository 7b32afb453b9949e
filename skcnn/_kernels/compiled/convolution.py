"""A convolution with what follows it, for all images of a shard: one compiled call for each pass.

A few images at a time go through all steps, so that what one step writes is in the cache when the next one reads it.

- `window` is a tuple of int: rows and columns of the pool's windows, rows and columns of their stride, and 1 for the
  largest or -1 for the smallest pixel. All are 0 if there is no pool.
- `out` has the pool's size, or that of the convolution, `size`, if there is no pool.
- `winners` has the shape of `out`. It is empty if there is no pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled import direct, winograd
from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.epilogue import finish, finish_pool, start_back, start_back_pool, sum_channels

__all__ = ["direct_backward", "direct_forward", "winograd_backward", "winograd_forward"]


@compiled
def winograd_forward(
    x: Any,
    padding: Any,
    m: int,
    group: int,
    kernels: Any,
    bias: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
) -> None:
    """Compute the outputs of x, `group` images at a time."""
    n, k = x.shape[0], bias.size
    rows, columns = size
    memory = winograd.scratch(x, group, rows, columns, m, x.shape[3], k)
    has_pool = window[0] > 0
    y = np.empty((group if has_pool else 0, rows, columns, k), x.dtype)
    for first in range(0, n, group):
        n_images = min(group, n - first)
        part = y[:n_images] if has_pool else out[first : first + n_images]
        winograd.convolve(x, first, n_images, padding[0], padding[1], m, kernels, memory, part)
        _finish(part, n_images, window, bias, relu, out, winners, first)


@compiled
def direct_forward(
    x: Any, geometry: Any, kernels: Any, bias: Any, relu: bool, window: Any, size: Any, out: Any, winners: Any
) -> None:
    """Compute the outputs of x, one image at a time."""
    k = bias.size
    rows, columns = size
    memory = direct.scratch(x, rows, columns, k, geometry)
    has_pool = window[0] > 0
    y = np.empty((1 if has_pool else 0, rows, columns, k), x.dtype)
    for image in range(x.shape[0]):
        part = y if has_pool else out[image : image + 1]
        direct.convolve(x, image, geometry, kernels, memory, part, 0)
        _finish(part, 1, window, bias, relu, out, winners, image)


@compiled
def winograd_backward(
    x: Any, padding: Any, m: int, group: int, kernels: Any, relu: bool, window: Any, size: Any, out: Any, winners: Any,
    d_out: Any, d_kernels: Any, d_bias: Any, d_x: Any
) -> None:  # fmt: skip
    """Compute the gradients. d_x is empty if it is not needed."""
    n, k = x.shape[0], d_bias.size
    rows, columns = size
    memory = winograd.scratch(x, group, rows, columns, m, x.shape[3], k)
    d_y, sums = np.empty((group, rows, columns, k), x.dtype), np.empty(k, x.dtype)
    for first in range(0, n, group):
        n_images = min(group, n - first)
        part = d_y[:n_images]
        _start_back(d_out, out, winners, first, n_images, relu, window, part)
        sum_channels(part.reshape(-1), part.size, d_bias, sums)
        winograd.add_kernel_gradient(x, first, n_images, padding[0], padding[1], m, part, memory, d_kernels, first > 0)
        if d_x.size:
            winograd.spread(n_images, rows, columns, padding[0], padding[1], m, kernels, memory, d_x, first)


@compiled
def direct_backward(
    x: Any, geometry: Any, kernels: Any, relu: bool, window: Any, size: Any, out: Any, winners: Any, d_out: Any,
    d_kernels: Any, d_bias: Any, d_x: Any
) -> None:  # fmt: skip
    """Compute the gradients. d_x is empty if it is not needed."""
    k = d_bias.size
    rows, columns = size
    memory = direct.scratch(x, rows, columns, k, geometry)
    d_y, sums = np.empty((1, rows, columns, k), x.dtype), np.empty(k, x.dtype)
    for image in range(x.shape[0]):
        _start_back(d_out, out, winners, image, 1, relu, window, d_y)
        sum_channels(d_y.reshape(-1), d_y.size, d_bias, sums)
        direct.add_kernel_gradient(x, image, geometry, d_y, 0, memory, d_kernels, image > 0)
        if d_x.size:
            direct.spread(rows, columns, geometry, kernels, memory, d_x, image)


@compiled
def _finish(y: Any, n_images: int, window: Any, bias: Any, relu: bool, out: Any, winners: Any, first: int) -> None:
    if window[0] > 0:
        finish_pool(y, n_images, window, relu, bias, out, winners, first)
    else:
        finish(y.reshape(-1), 0, y.size, bias, relu)


@compiled
def _start_back(
    d_out: Any, out: Any, winners: Any, first: int, n_images: int, relu: bool, window: Any, d_y: Any
) -> None:
    if window[0] > 0:
        start_back_pool(d_out, winners, first, n_images, window, d_y)
    else:
        start = first * d_y.shape[1] * d_y.shape[2] * d_y.shape[3]
        start_back(d_out.reshape(-1), start, d_y.size, out.reshape(-1), relu, d_y.reshape(-1))
