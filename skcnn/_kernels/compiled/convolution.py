"""A convolution with what follows it, for all images of a shard: one compiled call for each pass.

A few images at a time go through all steps, so that what one step writes is in the cache when the next one reads it.

- `tiling` is a tuple of int: SHIFTED, ROWS or WINOGRAD, which are the modules of the algorithms; the rows of outputs in
  a tile; and how many images (WINOGRAD) or rows of tiles are computed at a time.
- `transforms` is that of `skcnn._kernels.compiled.rows`.
- `of_channels` is (4, k): what `skcnn._kernels.compiled.epilogue` needs for each channel.
- `geometry` is that of `skcnn._kernels.compiled.unfolding`.
- `window` is a tuple of int: rows and columns of the pool's windows, rows and columns of their stride, and 1 for the
  largest or -1 for the smallest pixel. All are 0 if there is no pool.
- `size` is a tuple of int: the rows and columns of the convolution's outputs, before the pool. There are more columns
  than needed if the algorithm computes them too.
- `out` has the size of the pool's outputs, or of the convolution's outputs if there is no pool.
- `winners` has the shape of `out`. It is empty if there is no pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled import rows, shifted, winograd
from skcnn._kernels.compiled.batch_norm import measure, to_gradients
from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.epilogue import (
    RUN,
    finish,
    finish_pool,
    repeated,
    start_back,
    start_back_pool,
    sum_channels,
)

__all__ = ["ROWS", "SHIFTED", "WINOGRAD", "backward", "forward"]

SHIFTED, ROWS, WINOGRAD = 0, 1, 2


@compiled
def forward(
    x: Any,
    tiling: Any,
    geometry: Any,
    transforms: Any,
    kernels: Any,
    of_channels: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
    sums: Any,
) -> None:
    """Compute the outputs of x. If sums is not empty, it is that of `skcnn._kernels.compiled.batch_norm.measure`."""
    (algorithm, m, count), (height, width), k = tiling, size, out.shape[3]
    together = max(1, min(count, x.shape[0])) if algorithm == WINOGRAD else 1
    memory, affine = _scratch(x, tiling, geometry, kernels, size, k, together), repeated(of_channels)
    y = np.empty((together, height, width, k), x.dtype)
    for first in range(0, x.shape[0], together):
        part = y[: min(together, x.shape[0] - first)]
        if algorithm == WINOGRAD:
            winograd.convolve(x, first, geometry, m, kernels, memory, part)
        elif algorithm == ROWS:
            rows.convolve(x, first, geometry, tiling, transforms, kernels, memory, part)
        else:
            shifted.convolve(x, first, geometry, count, kernels, memory, part)
        if window[0] > 0:
            finish_pool(part, window, relu, affine, out, winners, first)
        else:
            finish(part, affine, relu, out, first)
        if sums.size:
            measure(out, first, part.shape[0], sums)


@compiled
def backward(
    x: Any,
    tiling: Any,
    geometry: Any,
    transforms: Any,
    kernels: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
    d_out: Any,
    normed: Any,
    slopes_of_channels: Any,
    weight: Any,
    d_kernels: Any,
    d_bias: Any,
    d_x: Any,
) -> None:
    """Compute the gradients. d_bias and d_x are empty if they are not needed.

    If batch normalisation follows the convolution, `normed` is its input. `slopes_of_channels` (4, k) and `weight` are
    as in `skcnn._kernels.compiled.batch_norm.to_gradients`. Otherwise, `normed` and `weight` are empty.

    With ROWS, d_kernels is transposed: (points, per_tile * k, depth * length).
    """
    (algorithm, m, count), (height, width), k = tiling, size, out.shape[3]
    together = max(1, min(count, x.shape[0])) if algorithm == WINOGRAD else 1
    memory = _scratch(x, tiling, geometry, kernels, size, k, together)
    # the products of transposed kernels are far faster
    turned = _transposed(kernels) if d_x.size and algorithm != SHIFTED else kernels
    d_y, sums = np.empty((together, height, width, k), x.dtype), np.empty(-(-RUN // k) * k, x.dtype)
    slopes = repeated(slopes_of_channels)
    for first in range(0, x.shape[0], together):
        part = d_y[: min(together, x.shape[0] - first)]
        if window[0] > 0:
            start_back_pool(d_out, winners, first, window, part)
        else:
            start_back(d_out, out, first, relu, part)
        if normed.size:
            to_gradients(normed, first, slopes, weight, part)
        if d_bias.size:
            sum_channels(part.reshape(-1), d_bias, sums)
        if algorithm == WINOGRAD:
            winograd.add_kernel_gradient(x, first, geometry, m, part, memory, d_kernels)
            if d_x.size:
                winograd.spread(part, geometry, m, turned, memory, d_x, first)
        elif algorithm == ROWS:
            rows.add_gradients(x, first, geometry, tiling, transforms, part, turned, memory, d_kernels, d_x)
        else:
            shifted.add_gradients(x, first, geometry, count, part, turned, memory, d_kernels, d_x)


@compiled
def _scratch(x: Any, tiling: Any, geometry: Any, kernels: Any, size: Any, k: int, together: int) -> Any:
    """Return four arrays for intermediate results."""
    algorithm, m, count = tiling
    if algorithm == WINOGRAD:
        return winograd.scratch(x, together, size[0], size[1], m, k)
    if algorithm == SHIFTED:
        return shifted.scratch(x, size[0], size[1], count, geometry)
    return rows.scratch(x, tiling, kernels.shape[0], size[1], k, geometry)


@compiled
def _transposed(matrices: Any) -> Any:
    turned = np.empty((matrices.shape[0], matrices.shape[2], matrices.shape[1]), matrices.dtype)
    for i in range(matrices.shape[0]):
        for row in range(matrices.shape[1]):
            for column in range(matrices.shape[2]):
                turned[i, column, row] = matrices[i, row, column]
    return turned
