"""A convolution with what follows it, for all images of a shard: one compiled call for each pass.

A few images at a time go through all steps, so that what one step writes is in the cache when the next one reads it.

- `tiling` is a tuple of int: the rows and the columns of outputs in Winograd's tiles, and how many images are computed
  at a time. If there is one column, Winograd's algorithm computes only along the columns; if there is also one row, the
  convolution is computed directly. In both cases, one image is computed at a time.
- `affine` is that of `skcnn._kernels.compiled.epilogue`.
- `geometry` is that of `skcnn._kernels.compiled.direct`.
- `window` is a tuple of int: rows and columns of the pool's windows, rows and columns of their stride, and 1 for the
  largest or -1 for the smallest pixel. All are 0 if there is no pool.
- `size` is a tuple of int: the rows and columns of the convolution's outputs, before the pool.
- `out` has the size of the pool's outputs, or `size` if there is no pool.
- `winners` has the shape of `out`. It is empty if there is no pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled import direct, winograd, winograd_rows
from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.epilogue import finish, finish_pool, start_back, start_back_pool, sum_channels

__all__ = ["RUN", "backward", "forward"]

RUN = 64  # elements: loops over shorter runs are slow


@compiled
def forward(
    x: Any,
    tiling: Any,
    geometry: Any,
    kernels: Any,
    affine: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
) -> None:
    """Compute the outputs of x."""
    (m, across, group), (rows, columns), k = tiling, size, out.shape[3]
    has_pool = window[0] > 0
    memory = _scratch(x, tiling, geometry, size, k)
    y = np.empty((group if has_pool else 0, rows, columns, k), x.dtype)
    for first in range(0, x.shape[0], group):
        last = min(first + group, x.shape[0])
        part = y[: last - first] if has_pool else out[first:last]
        if across > 1:
            winograd.convolve(x, first, geometry, m, kernels, memory, part)
        elif m > 1:
            winograd_rows.convolve(x, first, geometry, m, kernels, memory, part)
        else:
            direct.convolve(x, first, geometry, kernels, memory, part)
        if has_pool:
            finish_pool(part, window, relu, affine, out, winners, first)
        else:
            finish(part.reshape(-1), affine, relu, part.reshape(-1))


@compiled
def backward(
    x: Any,
    tiling: Any,
    geometry: Any,
    kernels: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
    d_out: Any,
    d_kernels: Any,
    d_bias: Any,
    d_x: Any,
) -> None:
    """Compute the gradients. d_x is empty if it is not needed.

    Unless Winograd's tiles have several columns, d_kernels is transposed: (products, per_tile * k, length).
    """
    (m, across, group), (rows, columns), k = tiling, size, d_bias.size
    memory = _scratch(x, tiling, geometry, size, k)
    turned = _transposed(kernels) if d_x.size else kernels  # the products are far faster then
    d_y, sums = np.empty((group, rows, columns, k), x.dtype), np.empty(-(-RUN // k) * k, x.dtype)
    for first in range(0, x.shape[0], group):
        part = d_y[: min(group, x.shape[0] - first)]
        if window[0] > 0:
            start_back_pool(d_out, winners, first, window, part)
        else:
            start_back(d_out.reshape(-1), first * rows * columns * k, out.reshape(-1), relu, part.reshape(-1))
        sum_channels(part.reshape(-1), d_bias, sums)
        if across > 1:
            winograd.add_kernel_gradient(x, first, geometry, m, part, memory, d_kernels)
            if d_x.size:
                winograd.spread(part, geometry, m, turned, memory, d_x, first)
        elif m > 1:
            winograd_rows.add_kernel_gradient(x, first, geometry, m, part, memory, d_kernels)
            if d_x.size:
                winograd_rows.spread(part, geometry, m, turned, memory, d_x, first)
        else:
            direct.add_kernel_gradient(x, first, geometry, part, memory, d_kernels)
            if d_x.size:
                direct.spread(part, geometry, turned, memory, d_x, first)


@compiled
def _transposed(matrices: Any) -> Any:
    turned = np.empty((matrices.shape[0], matrices.shape[2], matrices.shape[1]), matrices.dtype)
    for i in range(matrices.shape[0]):
        for row in range(matrices.shape[1]):
            for column in range(matrices.shape[2]):
                turned[i, column, row] = matrices[i, row, column]
    return turned


@compiled
def _scratch(x: Any, tiling: Any, geometry: Any, size: Any, k: int) -> Any:
    """Return four arrays for intermediate results."""
    (m, across, group), (rows, columns) = tiling, size
    if across > 1:
        return winograd.scratch(x, group, rows, columns, m, k)
    if m > 1:
        return winograd_rows.scratch(x, rows, columns, m, k, geometry)
    return direct.scratch(x, rows, columns, k, geometry)
