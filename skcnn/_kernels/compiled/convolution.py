"""A convolution with what follows it, for all images of a shard: one compiled call for each pass.

A few images at a time go through all steps, so that what one step writes is in the cache when the next one reads it.

- Each of `shifted_block`, `rows_tiling` and `winograd_tiling` belongs to the algorithm in the module of that name. Two
  of them are None, and numba compiles only the algorithm of the third. `shifted_block` is how many outputs are computed
  at a time. `rows_tiling` is the `tiling` of its module. `winograd_tiling` is a tuple of int: the rows of outputs in a
  tile, and how many images are computed at a time.
- `transforms` is that of `skcnn._kernels.compiled.rows`.
- `of_channels` is (4, k): what `skcnn._kernels.compiled.epilogue` needs for each channel.
- `geometry` is that of `skcnn._kernels.compiled.unfolding`.
- `window` is a tuple of int: rows and columns of the pool's windows, rows and columns of their stride, and 1 for the
  largest or -1 for the smallest pixel. All are 0 if there is no pool.
- `size` is a tuple of int: the rows and columns of the convolution's outputs, before the pool. With `shifted`, the
  columns include the meaningless ones.
- `out` has the size of the pool's outputs, or of the convolution's outputs if there is no pool.
- `winners` has the shape of `out`. It is empty if there is no pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled import rows, shifted, winograd
from skcnn._kernels.compiled.batch_norm import measure, to_gradients
from skcnn._kernels.compiled.compiler import compiled, kernel
from skcnn._kernels.compiled.epilogue import (
    RUN,
    finish,
    finish_pool,
    repeated,
    start_back,
    start_back_pool,
    sum_channels,
)

__all__ = ["backward", "forward"]


@kernel
def forward(
    x: Any,
    shifted_block: Any,
    rows_tiling: Any,
    winograd_tiling: Any,
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
    """Compute the outputs of x. If `sums` is not empty, `skcnn._kernels.compiled.batch_norm.measure` fills it."""
    (height, width), k, together = size, out.shape[3], _together(winograd_tiling, x)
    memory = _scratch(x, shifted_block, rows_tiling, winograd_tiling, geometry, kernels, size, k, together)
    affine = repeated(of_channels)
    y = np.empty((together, height, width, k), x.dtype)
    for first in range(0, x.shape[0], together):
        part = y[: min(together, x.shape[0] - first)]
        if winograd_tiling is not None:
            winograd.convolve(x, first, geometry, winograd_tiling[0], kernels, memory, part)
        if rows_tiling is not None:
            rows.convolve(x, first, geometry, rows_tiling, transforms, kernels, memory, part)
        if shifted_block is not None:
            shifted.convolve(x, first, geometry, shifted_block, kernels, memory, part)
        if window[0] > 0:
            finish_pool(part, window, relu, affine, out, winners, first)
        else:
            finish(part, affine, relu, out, first)
        if sums.size:
            measure(out, first, part.shape[0], sums)


@kernel
def backward(
    x: Any,
    shifted_block: Any,
    rows_tiling: Any,
    winograd_tiling: Any,
    geometry: Any,
    transforms: Any,
    kernels: Any,
    relu: bool,
    window: Any,
    size: Any,
    out: Any,
    winners: Any,
    d_out: Any,
    norm_input: Any,
    slopes_of_channels: Any,
    weight: Any,
    d_kernels: Any,
    d_bias: Any,
    d_x: Any,
) -> None:
    """Compute the gradients. d_bias and d_x are empty if they are not needed.

    If batch normalisation follows the convolution, `norm_input` is its input. `slopes_of_channels` (4, k) and `weight`
    are as in `skcnn._kernels.compiled.batch_norm.to_gradients`. Otherwise, `norm_input` and `weight` are empty.

    Unless the algorithm is `shifted`, each matrix of the kernels is transposed, because BLAS multiplies it faster then.
    With `rows`, each matrix of d_kernels is transposed too.
    """
    (height, width), k, together = size, out.shape[3], _together(winograd_tiling, x)
    memory = _scratch(x, shifted_block, rows_tiling, winograd_tiling, geometry, kernels, size, k, together)
    d_y, sums = np.empty((together, height, width, k), x.dtype), np.empty(-(-RUN // k) * k, x.dtype)
    slopes = repeated(slopes_of_channels)
    for first in range(0, x.shape[0], together):
        part = d_y[: min(together, x.shape[0] - first)]
        if window[0] > 0:
            start_back_pool(d_out, winners, first, window, part)
        else:
            start_back(d_out, out, first, relu, part)
        if norm_input.size:
            to_gradients(norm_input, first, slopes, weight, part)
        if d_bias.size:
            sum_channels(part.reshape(-1), d_bias, sums)
        if winograd_tiling is not None:
            winograd.add_kernel_gradient(x, first, geometry, winograd_tiling[0], part, memory, d_kernels)
            if d_x.size:
                winograd.spread(part, geometry, winograd_tiling[0], kernels, memory, d_x, first)
        if rows_tiling is not None:
            rows.add_gradients(x, first, geometry, rows_tiling, transforms, part, kernels, memory, d_kernels, d_x)
        if shifted_block is not None:
            shifted.add_gradients(x, first, geometry, shifted_block, part, kernels, memory, d_kernels, d_x)


@compiled
def _together(winograd_tiling: Any, x: Any) -> int:
    """Return how many images of x are computed at a time."""
    together = 1
    if winograd_tiling is not None:
        together = max(1, min(winograd_tiling[1], x.shape[0]))
    return together


@compiled
def _scratch(
    x: Any,
    shifted_block: Any,
    rows_tiling: Any,
    winograd_tiling: Any,
    geometry: Any,
    kernels: Any,
    size: Any,
    k: int,
    together: int,
) -> Any:
    """Return four arrays for intermediate results."""
    nothing = np.empty(0, x.dtype)
    memory = nothing, nothing, nothing, nothing
    if winograd_tiling is not None:
        memory = winograd.scratch(x, together, size[0], size[1], winograd_tiling[0], k)
    if rows_tiling is not None:
        memory = rows.scratch(x, rows_tiling, kernels.shape[0], k, geometry)
    if shifted_block is not None:
        memory = shifted.scratch(x, size[0], size[1], shifted_block, geometry)
    return memory
