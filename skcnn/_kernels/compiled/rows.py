"""Convolution of unfolded pixels, for any kernel and stride: directly, or by Winograd's algorithm along the columns.

Directly, all rows of pixels under a tile of outputs are unfolded, and one product computes the outputs, with a matrix
that holds the kernel once for each output of the tile, and zeros elsewhere.

With a vertical stride of 1, Winograd's algorithm along the columns needs fewer products, see `skcnn._kernels.winograd`.
Each row of pixels is unfolded by itself. The rows under `m` rows of outputs are transformed into their values at
m + kernel rows - 1 points, each point has one product, and the results are transformed into the outputs.

A block of `band` rows of tiles and `across` tiles of each row is computed at a time, so that what is unfolded stays in
the cache.

- `tiling` is (m, band, across). `across` is less than a whole row only if `band` is 1.
- `transforms` is (A, B), flat. Both are empty for the direct algorithm.
- *values*: (points, positions, length) for the pixels, (points, positions, per_tile * k) for the outputs, where
  positions are tiles, counted row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import clear_run, copy_run
from skcnn._kernels.compiled.unfolding import fold, row_length, unfold

__all__ = ["add_gradients", "convolve", "scratch"]


@compiled
def scratch(x: Any, tiling: Any, points: int, k: int, geometry: Any) -> Any:
    """Return memory for a block: unfolded pixels, outputs of whole tiles, and the values of both."""
    (m, band, across), width = tiling, geometry[6] * k
    run = across * geometry[7] * row_length(x.shape[3], geometry)
    n_values = points * band if points > 1 else 0
    return (
        np.empty((m * band + points - m) * run, x.dtype),
        np.empty(m * band * across * width, x.dtype),
        np.empty(n_values * run, x.dtype),
        np.empty(n_values * across * width, x.dtype),
    )


@compiled
def convolve(
    x: Any, image: int, geometry: Any, tiling: Any, transforms: Any, kernels: Any, memory: Any, out: Any
) -> None:
    """Convolve an image of x (n, h, w, c), into out (1, oh, ow, k).

    The kernels are (points, depth * length, per_tile * k).
    """
    (m, band, across), rows, columns, row = tiling, out.shape[1], out.shape[2], out.shape[2] * out.shape[3]
    points, width, target = kernels.shape[0], kernels.shape[2], out.reshape(-1)
    n_tiles, tile_rows = -(-columns // geometry[6]), -(-rows // m)
    unfolded, tiles, of_pixels, of_outputs = memory
    for first in range(0, tile_rows, band):
        for tile in range(0, n_tiles, across):
            n_rows, n = min(band, tile_rows - first), min(across, n_tiles - tile)
            run, n_outputs, start = n * width, min(m * n_rows, rows - m * first), m * first * row + tile * width
            _unfold_and_evaluate(x, image, m * first, n_rows, tile, n, geometry, m, points, transforms, memory)
            # outputs that follow one another are written in place
            is_one_run = run == row or (n_outputs == 1 and (tile + n) * width <= row)
            into, at = (target, start) if is_one_run else (tiles, 0)
            if points == 1:
                _multiply(unfolded, kernels, n_rows * n, into, at)
            else:
                _multiply(of_pixels, kernels, n_rows * n, of_outputs, 0)
                for i in range(n_rows):
                    product(
                        min(m, n_outputs - m * i), run, points, transforms[0], 0, m, True, of_outputs, i * run,
                        n_rows * run, False, into, at + m * i * run, run, False,
                    )  # fmt: skip
            for y in range(0 if is_one_run else n_outputs):
                copy_run(tiles, y * run, target, start + y * row, min(run, row - tile * width))


@compiled
def add_gradients(
    x: Any,
    image: int,
    geometry: Any,
    tiling: Any,
    transforms: Any,
    d_out: Any,
    kernels: Any,
    memory: Any,
    d_kernels: Any,
    d_x: Any,
) -> None:
    """Add the gradients with respect to the transposed kernels, for one image, given d_out (1, oh, ow, k).

    For the first image, `d_kernels` is overwritten. If d_x is not empty, the gradient with respect to the image is
    written to it. For this, the kernels are transposed: (points, per_tile * k, depth * length).
    """
    (m, band, across), rows, columns = tiling, d_out.shape[1], d_out.shape[2]
    points, width = d_kernels.shape[0], d_kernels.shape[1]
    n_tiles, tile_rows = -(-columns // geometry[6]), -(-rows // m)
    unfolded, tiles, of_pixels, of_outputs = memory
    if d_x.size:
        size = d_x.shape[1] * d_x.shape[2] * d_x.shape[3]
        clear_run(d_x.reshape(-1), image * size, size)
    for first in range(0, tile_rows, band):
        for tile in range(0, n_tiles, across):
            n_rows, n = min(band, tile_rows - first), min(across, n_tiles - tile)
            run, n_outputs = n * width, min(m * n_rows, rows - m * first)
            _unfold_and_evaluate(x, image, m * first, n_rows, tile, n, geometry, m, points, transforms, memory)
            _copy_tiles(d_out, m * first, n_outputs, tile * width, run, tiles)
            add = image > 0 or first > 0 or tile > 0
            if points == 1:
                _multiply_back(tiles, unfolded, n_rows * n, d_kernels, add)
            else:
                for i in range(n_rows):
                    product(
                        points, run, min(m, n_outputs - m * i), transforms[0], 0, m, False, tiles, m * i * run, run,
                        False, of_outputs, i * run, n_rows * run, False,
                    )  # fmt: skip
                _multiply_back(of_outputs, of_pixels, n_rows * n, d_kernels, add)
            if d_x.size:
                _spread(n_rows, n, m, transforms, kernels, memory)
                fold(unfolded, m * first, m * n_rows + points - m, tile, n, geometry, d_x, image)


@compiled
def _unfold_and_evaluate(
    x: Any,
    image: int,
    first: int,
    n_rows: int,
    tile: int,
    n: int,
    geometry: Any,
    m: int,
    points: int,
    transforms: Any,
    memory: Any,
) -> None:
    """Unfold the pixels under a block, and compute their values unless the algorithm is direct."""
    unfolded, _, of_pixels, _ = memory
    unfold(x, image, first, m * n_rows + points - m, tile, n, geometry, unfolded)
    run = n * row_length(x.shape[3], geometry)
    for i in range(n_rows if points > 1 else 0):
        product(
            points, run, points, transforms[1], 0, points, True, unfolded, m * i * run, run, False, of_pixels, i * run,
            n_rows * run, False,
        )  # fmt: skip


@compiled
def _spread(n_rows: int, n_tiles: int, m: int, transforms: Any, kernels: Any, memory: Any) -> None:
    """Compute the gradients of the unfolded pixels, given the outputs of tiles or their values."""
    points, width, length = kernels.shape
    unfolded, tiles, of_pixels, of_outputs = memory
    flat, n, run = kernels.reshape(-1), n_rows * n_tiles, n_tiles * length
    for point in range(points):
        product(
            n, length, width, of_outputs if points > 1 else tiles, point * n * width, width, False, flat,
            point * width * length, length, False, of_pixels if points > 1 else unfolded, point * n * length, length,
            False,
        )  # fmt: skip
    if points > 1:
        clear_run(unfolded, 0, (m * n_rows + points - m) * run)
        for i in range(n_rows):
            product(
                points, run, points, transforms[1], 0, points, False, of_pixels, i * run, n_rows * run, False, unfolded,
                m * i * run, run, True,
            )  # fmt: skip


@compiled
def _multiply(values: Any, kernels: Any, n: int, out: Any, start: int) -> None:
    """Multiply the values of pixels (points, n, length) by the kernels of each point."""
    points, length, width = kernels.shape
    flat = kernels.reshape(-1)
    for point in range(points):
        product(
            n, width, length, values, point * n * length, length, False, flat, point * length * width, width, False,
            out, start + point * n * width, width, False,
        )  # fmt: skip


@compiled
def _multiply_back(d_out: Any, values: Any, n: int, d_kernels: Any, add: bool) -> None:
    """Compute the gradients with respect to the transposed kernels, or add them."""
    points, width, length = d_kernels.shape
    flat = d_kernels.reshape(-1)
    for point in range(points):
        product(
            width, length, n, d_out, point * n * width, width, True, values, point * n * length, length, False, flat,
            point * width * length, length, add,
        )  # fmt: skip


@compiled
def _copy_tiles(d_out: Any, first: int, rows: int, start: int, run: int, tiles: Any) -> None:
    """Copy a part of some rows of d_out (1, oh, ow, k), and zeros up to whole tiles."""
    source, row = d_out.reshape(-1), d_out.shape[2] * d_out.shape[3]
    size = min(run, row - start)
    for y in range(rows):
        copy_run(source, (first + y) * row + start, tiles, y * run, size)
        clear_run(tiles, y * run + size, run - size)
