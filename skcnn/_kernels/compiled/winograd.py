"""Winograd's convolution along both axes: 3x3 kernels by tiles of 4x4 outputs, 5x5 kernels by tiles of 2x2 outputs.

As in `skcnn._kernels.winograd`, m outputs of a kernel of length r are computed from their values at m + r - 1 points:

    out = A.T @ ((G @ kernel @ G.T) * (B.T @ pixels @ B)) @ A

Here m + r - 1 = 6 in both cases, and the points are 0, 1, -1, 2, -2 and infinity. So B is the same, and a tile takes 36
products instead of 144 or 100. Each of the 36 points has one matrix product over all tiles and channels.

The transforms are computed on long runs. A tile has `m` columns of outputs, so the pixels of a row are first sorted by
the remainder of their column when divided by m: then the pixels that all tiles of a row have at one place lie side by
side.

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
from numba import int64, uintp

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import clear_run, copy_run

__all__ = ["add_kernel_gradient", "convolve", "scratch", "spread"]

POINTS = 36


@compiled
def scratch(x: Any, n_images: int, rows: int, columns: int, m: int, k: int) -> Any:
    """Return memory for maps of up to `rows` x `columns` outputs: sorted pixels, one row of tiles, and values twice."""
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

    For the first images, it is written. The values of d_out stay in the memory, for `spread`.
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
        _unsort(pixels, rows, columns, m, geometry[4], geometry[5], d_x, first + image)


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
def _unsort(pixels: Any, rows: int, columns: int, m: int, top: int, left: int, d_x: Any, image: int) -> None:
    """Write sorted pixels to an image of d_x, without the padding."""
    h, w, c = d_x.shape[1], d_x.shape[2], d_x.shape[3]
    target = d_x.reshape(-1)
    n_rows, per_part = m * -(-rows // m) + 6 - m, -(-columns // m) + 5 // m
    for y in range(h):
        i, row = y + top, (image * h + y) * w
        if i >= n_rows:  # no output sees it
            clear_run(target, row * c, w * c)
            continue
        for column in range(w):
            j = column + left
            if j < m * per_part:
                copy_run(pixels, ((i * m + j % m) * per_part + j // m) * c, target, (row + column) * c, c)
            else:
                clear_run(target, (row + column) * c, c)


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
        _times_b(pixels, y, y + row, y + 2 * row, y + 3 * row, y + 4 * row, y + 5 * row, memory, int64(0), row, row)
        target = first_tile * c + tile_row * run
        for i in range(6):
            s = i * row
            _times_b(memory, s + p0, s + p1, s + p2, s + p3, s + p4, s + p5, values, 6 * i * step + target, step, run)


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
            _add_times_b(
                values, 6 * i * step + source, step, memory, s + p0, s + p1, s + p2, s + p3, s + p4, s + p5, run
            )
        y = m * tile_row * row
        _add_times_b(memory, int64(0), row, pixels, y, y + row, y + 2 * row, y + 3 * row, y + 4 * row, y + 5 * row, row)


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
            _times_a(values, j * step + source, 6 * step, m, memory, j * run, 6 * run, run)
        for i in range(min(m, rows - m * tile_row)):
            # the columns of a row of outputs, sorted, behind the 6 * m runs of the first transform
            _times_a(memory, 6 * i * run, run, m, memory, 6 * m * run, run, run)
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
        _times_a_transposed(pixels, m * tile_row * row, row, m, memory, int64(0), row, row)
        target = first_tile * k + tile_row * run
        for i in range(6):
            _times_a_transposed(memory, i * row, run, m, values, 6 * i * step + target, step, run)


@compiled
def _times_b(
    x: Any, s0: int, s1: int, s2: int, s3: int, s4: int, s5: int, y: Any, start: int, step: int, length: int
) -> None:
    """Six runs of x, at the six pixels under a tile, give six runs of y, at the six points: B.T @ x."""
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    i0, i1, i2, i3, i4, i5 = uintp(s0), uintp(s1), uintp(s2), uintp(s3), uintp(s4), uintp(s5)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    for e in range(uintp(length)):
        x0, x1, x2, x3, x4, x5 = x[i0 + e], x[i1 + e], x[i2 + e], x[i3 + e], x[i4 + e], x[i5 + e]
        even, odd = x4 - four * x2, x3 - four * x1
        y[j0 + e] = four * x0 - five * x2 + x4
        y[j1 + e] = even + odd
        y[j2 + e] = even - odd
        even, odd = x4 - x2, two * (x3 - x1)
        y[j3 + e] = even + odd
        y[j4 + e] = even - odd
        y[j5 + e] = four * x1 - five * x3 + x5


@compiled
def _add_times_b(
    y: Any, start: int, step: int, x: Any, s0: int, s1: int, s2: int, s3: int, s4: int, s5: int, length: int
) -> None:
    """Six runs of y, at the six points, are added to six runs of x, at the six pixels under a tile: B @ y."""
    two, four, five = x.dtype.type(2), x.dtype.type(4), x.dtype.type(5)
    i0, i1, i2, i3, i4, i5 = uintp(s0), uintp(s1), uintp(s2), uintp(s3), uintp(s4), uintp(s5)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    for e in range(uintp(length)):
        y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
        sum_12, difference_12, sum_34, difference_34 = y1 + y2, y1 - y2, y3 + y4, two * (y3 - y4)
        x[i0 + e] += four * y0
        x[i1 + e] += four * (y5 - difference_12) - difference_34
        x[i2 + e] -= five * y0 + four * sum_12 + sum_34
        x[i3 + e] += difference_12 + difference_34 - five * y5
        x[i4 + e] += y0 + sum_12 + sum_34
        x[i5 + e] += y5


@compiled
def _times_a(y: Any, start: int, step: int, m: int, x: Any, x_start: int, x_step: int, length: int) -> None:
    """Six runs of y, at the six points, give m runs of x: A.T @ y."""
    two, four, eight = x.dtype.type(2), x.dtype.type(4), x.dtype.type(8)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    t = uintp(x_step)
    i0 = uintp(x_start)
    i1, i2, i3 = i0 + t, i0 + t + t, i0 + t + t + t
    if m == 2:
        for e in range(uintp(length)):
            y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
            x[i0 + e] = y0 + (y1 + y2) + (y3 + y4)
            x[i1 + e] = (y1 - y2) + two * (y3 - y4) + y5
    else:
        for e in range(uintp(length)):
            y0, y1, y2, y3, y4, y5 = y[j0 + e], y[j1 + e], y[j2 + e], y[j3 + e], y[j4 + e], y[j5 + e]
            sum_12, difference_12, sum_34, difference_34 = y1 + y2, y1 - y2, y3 + y4, y3 - y4
            x[i0 + e] = y0 + sum_12 + sum_34
            x[i1 + e] = difference_12 + two * difference_34
            x[i2 + e] = sum_12 + four * sum_34
            x[i3 + e] = difference_12 + eight * difference_34 + y5


@compiled
def _times_a_transposed(x: Any, x_start: int, x_step: int, m: int, y: Any, start: int, step: int, length: int) -> None:
    """Give six runs of y, at the six points, for m runs of x: A @ x."""
    two, four, eight = x.dtype.type(2), x.dtype.type(4), x.dtype.type(8)
    d = uintp(step)
    j0 = uintp(start)
    j1, j2, j3, j4, j5 = j0 + d, j0 + d + d, j0 + d + d + d, j0 + d + d + d + d, j0 + d + d + d + d + d
    t = uintp(x_step)
    i0 = uintp(x_start)
    i1, i2, i3 = i0 + t, i0 + t + t, i0 + t + t + t
    if m == 2:
        for e in range(uintp(length)):
            x0, x1 = x[i0 + e], x[i1 + e]
            y[j0 + e] = x0
            y[j1 + e] = x0 + x1
            y[j2 + e] = x0 - x1
            y[j3 + e] = x0 + two * x1
            y[j4 + e] = x0 - two * x1
            y[j5 + e] = x1
    else:
        for e in range(uintp(length)):
            x0, x1, x2, x3 = x[i0 + e], x[i1 + e], x[i2 + e], x[i3 + e]
            y[j0 + e] = x0
            even, odd = x0 + x2, x1 + x3
            y[j1 + e] = even + odd
            y[j2 + e] = even - odd
            even, odd = x0 + four * x2, two * x1 + eight * x3
            y[j3 + e] = even + odd
            y[j4 + e] = even - odd
            y[j5 + e] = x3
