"""Winograd's convolution along both axes: 3x3 kernels by tiles of 4x4 outputs, 5x5 kernels by tiles of 2x2 outputs.

As in `skcnn._kernels.winograd`, m outputs of a kernel of length r are computed from their values at m + r - 1 points:

    out = A.T @ ((G @ kernel @ G.T) * (B.T @ pixels @ B)) @ A

Here m + r - 1 = 6 in both cases, and the points are 0, 1, -1, 2, -2 and infinity. So B is the same, and a tile takes 36
products instead of 144 or 100. Each of the 36 points has one matrix product over all tiles and channels.

The transforms are computed on long runs. For this, the pixels of each row are sorted by ``column % m``, where m is the
number of columns of outputs in a tile. Then the pixels that have the same place in all tiles of a row lie side by side.

- *sorted* pixels: (rows, m, columns / m, channels)
- *values*: (36, tiles, channels), where tiles are counted row by row, for a few images

The transforms along the rows take whole sorted rows, and those along the columns take one place of all tiles.

References
----------
Lavin, Gray (2016), Fast algorithms for convolutional neural networks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import clear_run, copy_run
from skcnn._kernels.compiled.transforms import add_times_b, times_a, times_a_transposed, times_b

__all__ = ["POINTS", "add_kernel_gradient", "convolve", "scratch", "spread"]

POINTS = 36


@compiled
def scratch(x: Any, n_images: int, rows: int, columns: int, m: int, k: int) -> Any:
    """Return memory for outputs of up to `rows` x `columns`.

    It is for the sorted pixels of an image, a row of tiles after the first of two transforms, the values of the pixels
    of all tiles, and the values of their outputs.
    """
    n_rows, n_columns, c = -(-rows // m), -(-columns // m), x.shape[3]
    row = m * (n_columns + 5 // m) * max(c, k)
    of_tiles = n_images * n_rows * n_columns
    return (
        np.empty((m * n_rows + 6 - m) * row, x.dtype),
        np.empty(7 * row, x.dtype),
        np.empty(POINTS * of_tiles * c, x.dtype),
        np.empty(POINTS * of_tiles * k, x.dtype),
    )


@compiled
def convolve(x: Any, first: int, geometry: Any, m: int, kernels: Any, memory: Any, out: Any) -> None:
    """Convolve images of x (n, h, w, c), from `first` on, with kernels (36, c, k), into out (images, oh, ow, k)."""
    c, k = x.shape[3], kernels.shape[2]
    _, row, of_pixels, of_outputs = memory
    n_tiles = _n_tiles(out, m)
    total = out.shape[0] * n_tiles
    _evaluate_images(x, first, geometry, m, out, memory)
    flat = kernels.reshape(-1)
    for point in range(POINTS):
        product(
            total, k, c, of_pixels, point * total * c, c, False, flat, point * c * k, k, False, of_outputs,
            point * total * k, k, False,
        )  # fmt: skip
    for image in range(out.shape[0]):
        _interpolate_outputs(of_outputs, image * n_tiles, total, m, row, out, image)


@compiled
def add_kernel_gradient(x: Any, first: int, geometry: Any, m: int, d_out: Any, memory: Any, d_kernels: Any) -> None:
    """Add the gradient with respect to the kernels (36, c, k), given d_out (images, oh, ow, k).

    For the first images, `d_kernels` is overwritten. The values of d_out stay in the memory, for `spread`.
    """
    c, k = x.shape[3], d_out.shape[3]
    pixels, row, of_pixels, of_outputs = memory
    n_tiles = _n_tiles(d_out, m)
    total = d_out.shape[0] * n_tiles
    _evaluate_images(x, first, geometry, m, d_out, memory)
    for image in range(d_out.shape[0]):
        _sort_outputs(d_out, image, m, pixels)
        _evaluate_outputs(pixels, d_out.shape[1], d_out.shape[2], m, k, row, of_outputs, image * n_tiles, total)
    flat = d_kernels.reshape(-1)
    for point in range(POINTS):
        product(
            c, k, total, of_pixels, point * total * c, c, True, of_outputs, point * total * k, k, False, flat,
            point * c * k, k, first > 0,
        )  # fmt: skip


@compiled
def spread(d_out: Any, geometry: Any, m: int, kernels: Any, memory: Any, d_x: Any, first: int) -> None:
    """Write the gradient with respect to images of x to d_x, after `add_kernel_gradient` with the same d_out.

    The kernels are transposed: (36, k, c).
    """
    k, c = kernels.shape[1], kernels.shape[2]
    pixels, row, of_pixels, of_outputs = memory
    n_tiles = _n_tiles(d_out, m)
    total = d_out.shape[0] * n_tiles
    flat = kernels.reshape(-1)
    for point in range(POINTS):
        product(
            total, c, k, of_outputs, point * total * k, k, False, flat, point * c * k, c, False, of_pixels,
            point * total * c, c, False,
        )  # fmt: skip
    rows, columns = d_out.shape[1], d_out.shape[2]
    for image in range(d_out.shape[0]):
        _spread_pixels(of_pixels, image * n_tiles, total, rows, columns, m, c, row, pixels)
        _unsort(pixels, columns, m, geometry[4], geometry[5], d_x, first + image)


@compiled
def _evaluate_images(x: Any, first: int, geometry: Any, m: int, out: Any, memory: Any) -> None:
    """Compute the values of the pixels of as many images of x as out has."""
    rows, columns, c = out.shape[1], out.shape[2], x.shape[3]
    pixels, row, of_pixels, _ = memory
    n_tiles = _n_tiles(out, m)
    for image in range(out.shape[0]):
        _sort(x, first + image, geometry[4], geometry[5], rows, columns, m, pixels)
        _evaluate_pixels(pixels, rows, columns, m, c, row, of_pixels, image * n_tiles, out.shape[0] * n_tiles)


@compiled
def _n_tiles(out: Any, m: int) -> Any:
    return -(-out.shape[1] // m) * -(-out.shape[2] // m)


@compiled
def _places(m: int, part: int, c: int) -> Any:
    """Return where the six pixels under a tile start in a sorted row, for the first tile of the row."""
    return (
        0,
        (1 % m) * part + (1 // m) * c,
        (2 % m) * part + (2 // m) * c,
        (3 % m) * part + (3 // m) * c,
        (4 % m) * part + (4 // m) * c,
        (5 % m) * part + (5 // m) * c,
    )


@compiled
def _sort(x: Any, image: int, top: int, left: int, rows: int, columns: int, m: int, pixels: Any) -> None:
    """Write an image with its padding as sorted pixels, for an output of `rows` x `columns`."""
    h, w, c = x.shape[1], x.shape[2], x.shape[3]
    source = x.reshape(-1)
    n_rows, per_part = m * -(-rows // m) + 6 - m, -(-columns // m) + 5 // m
    target = 0
    for i in range(n_rows):
        y = i - top
        if y < 0 or y >= h:
            clear_run(pixels, target, m * per_part * c)
            target += m * per_part * c
            continue
        row = (image * h + y) * w
        for remainder in range(m):
            for j in range(per_part):
                column = j * m + remainder - left
                if 0 <= column < w:
                    copy_run(source, (row + column) * c, pixels, target, c)
                else:
                    clear_run(pixels, target, c)
                target += c


@compiled
def _unsort(pixels: Any, columns: int, m: int, top: int, left: int, d_x: Any, image: int) -> None:
    """Write sorted pixels to an image of d_x, without the padding. The tiles cover all of them."""
    h, w, c = d_x.shape[1], d_x.shape[2], d_x.shape[3]
    target = d_x.reshape(-1)
    per_part = -(-columns // m) + 5 // m
    for y in range(h):
        i, row = y + top, (image * h + y) * w
        for column in range(w):
            j = column + left
            copy_run(pixels, ((i * m + j % m) * per_part + j // m) * c, target, (row + column) * c, c)


@compiled
def _sort_outputs(d_out: Any, image: int, m: int, pixels: Any) -> None:
    """Write an image of d_out as sorted pixels, without the columns that only the next tile has."""
    rows, columns, k = d_out.shape[1], d_out.shape[2], d_out.shape[3]
    source = d_out.reshape(-1)
    per_part = -(-columns // m)
    target = 0
    for y in range(m * -(-rows // m)):
        if y >= rows:
            clear_run(pixels, target, m * per_part * k)
            target += m * per_part * k
            continue
        for remainder in range(m):
            for j in range(per_part):
                column = j * m + remainder
                if column < columns:
                    copy_run(source, ((image * rows + y) * columns + column) * k, pixels, target, k)
                else:
                    clear_run(pixels, target, k)
                target += k


@compiled
def _evaluate_pixels(
    pixels: Any, rows: int, columns: int, m: int, c: int, memory: Any, values: Any, first_tile: int, total: int
) -> None:
    """Compute B.T @ pixels @ B for all tiles of an image."""
    n_rows, n_columns = -(-rows // m), -(-columns // m)
    part = (n_columns + 5 // m) * c
    row, run, step = m * part, n_columns * c, total * c
    p0, p1, p2, p3, p4, p5 = _places(m, part, c)
    for tile_row in range(n_rows):
        y = m * tile_row * row
        times_b(pixels, y, y + row, y + 2 * row, y + 3 * row, y + 4 * row, y + 5 * row, memory, int64(0), row, row)
        target = first_tile * c + tile_row * run
        for i in range(6):
            s = i * row
            times_b(memory, s + p0, s + p1, s + p2, s + p3, s + p4, s + p5, values, 6 * i * step + target, step, run)


@compiled
def _spread_pixels(
    values: Any, first_tile: int, total: int, rows: int, columns: int, m: int, c: int, memory: Any, pixels: Any
) -> None:
    """Compute B @ values @ B.T for all tiles of an image, and add up what overlaps: the reverse of the above."""
    n_rows, n_columns = -(-rows // m), -(-columns // m)
    part = (n_columns + 5 // m) * c
    row, run, step = m * part, n_columns * c, total * c
    p0, p1, p2, p3, p4, p5 = _places(m, part, c)
    clear_run(pixels, 0, (m * n_rows + 6 - m) * row)
    for tile_row in range(n_rows):
        clear_run(memory, 0, 6 * row)
        source = first_tile * c + tile_row * run
        for i in range(6):
            s = i * row
            add_times_b(
                values, 6 * i * step + source, step, memory, s + p0, s + p1, s + p2, s + p3, s + p4, s + p5, run
            )
        y = m * tile_row * row
        add_times_b(memory, int64(0), row, pixels, y, y + row, y + 2 * row, y + 3 * row, y + 4 * row, y + 5 * row, row)


@compiled
def _interpolate_outputs(values: Any, first_tile: int, total: int, m: int, memory: Any, out: Any, image: int) -> None:
    """Compute A.T @ values @ A for all tiles of an image, and write them to out."""
    rows, columns, k = out.shape[1], out.shape[2], out.shape[3]
    n_rows, n_columns = -(-rows // m), -(-columns // m)
    run, step = n_columns * k, total * k
    target = out.reshape(-1)
    for tile_row in range(n_rows):
        source = first_tile * k + tile_row * run
        for j in range(6):
            times_a(values, j * step + source, 6 * step, m, memory, j * run, 6 * run, run)
        for i in range(min(m, rows - m * tile_row)):
            # the columns of a row of outputs, sorted, behind the 6 * m runs of the first transform
            times_a(memory, 6 * i * run, run, m, memory, 6 * m * run, run, run)
            y = (image * rows + m * tile_row + i) * columns
            for column in range(columns):
                place = (6 * m + column % m) * run + (column // m) * k
                copy_run(memory, place, target, (y + column) * k, k)


@compiled
def _evaluate_outputs(
    pixels: Any, rows: int, columns: int, m: int, k: int, memory: Any, values: Any, first_tile: int, total: int
) -> None:
    """Compute A @ d_out @ A.T for all tiles of an image, given its sorted pixels: the reverse of the above."""
    n_rows, n_columns = -(-rows // m), -(-columns // m)
    run, step = n_columns * k, total * k
    row = m * run
    for tile_row in range(n_rows):
        times_a_transposed(pixels, m * tile_row * row, row, m, memory, int64(0), row, row)
        target = first_tile * k + tile_row * run
        for i in range(6):
            times_a_transposed(memory, i * row, run, m, values, 6 * i * step + target, step, run)
