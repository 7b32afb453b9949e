"""Winograd's convolution along the columns only, for few channels: 6 products for 4 or 2 rows of outputs.

The pixels are unfolded along their rows as in `skcnn._kernels.compiled.direct`, and the unfolded rows are transformed
as in `skcnn._kernels.winograd`. The vertical stride must be 1. The values are (6, rows of tiles, tiles, length).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.direct import fold, row_length, unfold
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import clear_run, copy_run
from skcnn._kernels.compiled.transforms import add_times_b, times_a, times_a_transposed, times_b

__all__ = ["add_kernel_gradient", "convolve", "scratch", "spread"]


@compiled
def scratch(x: Any, rows: int, columns: int, m: int, k: int, geometry: Any) -> Any:
    """Return memory for an image: unfolded pixels, outputs of whole tiles, and the values of both."""
    n_rows, n_tiles = -(-rows // m), -(-columns // geometry[6])
    run, width = n_tiles * row_length(x.shape[3], geometry), n_tiles * geometry[6] * k
    return (
        np.empty((m * n_rows + 6 - m) * run, x.dtype),
        np.empty(m * n_rows * width, x.dtype),
        np.empty(6 * n_rows * run, x.dtype),
        np.empty(6 * n_rows * width, x.dtype),
    )


@compiled
def convolve(x: Any, image: int, geometry: Any, m: int, kernels: Any, memory: Any, out: Any) -> None:
    """Convolve an image of x (n, h, w, c) with kernels (6, length, per_tile * k), into out (1, oh, ow, k)."""
    rows, columns, k = out.shape[1], out.shape[2], out.shape[3]
    length, width = kernels.shape[1], kernels.shape[2]
    n_rows, n_tiles = -(-rows // m), -(-columns // geometry[6])
    _, tiles, of_pixels, of_outputs = memory
    _evaluate(x, image, rows, columns, geometry, m, memory)
    flat, target, n = kernels.reshape(-1), out.reshape(-1), n_rows * n_tiles
    for point in range(6):
        product(
            n, width, length, of_pixels, point * n * length, length, False, flat, point * length * width, width, False,
            of_outputs, point * n * width, width, False,
        )  # fmt: skip
    run = n_tiles * width
    for i in range(n_rows):
        times_a(of_outputs, i * run, n_rows * run, m, tiles, m * i * run, run, run)
    for y in range(rows):
        copy_run(tiles, y * run, target, y * columns * k, columns * k)


@compiled
def add_kernel_gradient(x: Any, image: int, geometry: Any, m: int, d_out: Any, memory: Any, d_kernels: Any) -> None:
    """Add the gradient with respect to the transposed kernels, for one image, given d_out (1, oh, ow, k).

    For the first image, it is written. The values of d_out stay in the memory, for `spread`.
    """
    rows, columns, k = d_out.shape[1], d_out.shape[2], d_out.shape[3]
    width, length = d_kernels.shape[1], d_kernels.shape[2]
    n_rows, n_tiles = -(-rows // m), -(-columns // geometry[6])
    _, tiles, of_pixels, of_outputs = memory
    _evaluate(x, image, rows, columns, geometry, m, memory)
    flat, source, run = d_kernels.reshape(-1), d_out.reshape(-1), n_tiles * width
    for y in range(m * n_rows):
        n_given = columns * k if y < rows else 0
        copy_run(source, y * columns * k, tiles, y * run, n_given)
        clear_run(tiles, y * run + n_given, run - n_given)
    for i in range(n_rows):
        times_a_transposed(tiles, m * i * run, run, m, of_outputs, i * run, n_rows * run, run)
    n = n_rows * n_tiles
    for point in range(6):
        product(
            width, length, n, of_outputs, point * n * width, width, True, of_pixels, point * n * length, length, False,
            flat, point * length * width, length, image > 0,
        )  # fmt: skip


@compiled
def spread(d_out: Any, geometry: Any, m: int, kernels: Any, memory: Any, d_x: Any, image: int) -> None:
    """Write the gradient with respect to an image of x to d_x, after `add_kernel_gradient` with the same d_out.

    The kernels are transposed: (6, per_tile * k, length).
    """
    rows, columns = d_out.shape[1], d_out.shape[2]
    width, length = kernels.shape[1], kernels.shape[2]
    n_rows, n_tiles = -(-rows // m), -(-columns // geometry[6])
    unfolded, _, of_pixels, of_outputs = memory
    flat, n = kernels.reshape(-1), n_rows * n_tiles
    for point in range(6):
        product(
            n, length, width, of_outputs, point * n * width, width, False, flat, point * length * width, length, False,
            of_pixels, point * n * length, length, False,
        )  # fmt: skip
    clear_run(unfolded, 0, unfolded.size)
    run = n_tiles * length
    for i in range(n_rows):
        y = m * i * run
        add_times_b(
            of_pixels, i * run, n_rows * run, unfolded, y, y + run, y + 2 * run, y + 3 * run, y + 4 * run, y + 5 * run,
            run,
        )  # fmt: skip
    fold(unfolded, m * n_rows, columns, geometry, d_x, image)


@compiled
def _evaluate(x: Any, image: int, rows: int, columns: int, geometry: Any, m: int, memory: Any) -> None:
    """Compute the values of the pixels of an image."""
    n_rows, n_tiles = -(-rows // m), -(-columns // geometry[6])
    unfolded, _, of_pixels, _ = memory
    unfold(x, image, m * n_rows, columns, geometry, unfolded)
    run = n_tiles * row_length(x.shape[3], geometry)
    for i in range(n_rows):
        y = m * i * run
        times_b(
            unfolded, y, y + run, y + 2 * run, y + 3 * run, y + 4 * run, y + 5 * run, of_pixels, i * run, n_rows * run,
            run,
        )  # fmt: skip
