"""Convolution with kernels of any size and stride, for few channels: one matrix product for each row of the kernel.

As in `skcnn._kernels.convolution.Direct`, the pixels are unfolded along their rows only: under each tile of `per_tile`
neighbouring outputs, the pixels of one row are copied side by side. One product computes all outputs of a tile, with a
matrix that holds the kernel's row once for each of these outputs, and zeros elsewhere.

With a vertical stride of s, the unfolded rows are sorted by the remainder of their index when divided by s. So the rows
that one row of the kernel meets always lie one after the other.

A `geometry` is a tuple of int: rows and columns of the kernel, of the stride and of the padding at the top and left,
and `per_tile`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import add_run, clear_run, copy_run

__all__ = ["add_kernel_gradient", "convolve", "fold", "row_length", "scratch", "spread", "unfold"]


@compiled
def scratch(x: Any, rows: int, columns: int, k: int, geometry: Any) -> Any:
    """Return memory for an image with `rows` x `columns` outputs: unfolded pixels, and the outputs of whole tiles."""
    kernel_rows, _, row_stride, _, _, _, per_tile = geometry
    n_tiles, length = -(-columns // per_tile), row_length(x.shape[3], geometry)
    unfolded = row_stride * (rows + (kernel_rows - 1) // row_stride) * n_tiles * length
    nothing = np.empty(0, x.dtype)
    return np.empty(unfolded, x.dtype), np.empty(rows * n_tiles * per_tile * k, x.dtype), nothing, nothing


@compiled
def convolve(x: Any, image: int, geometry: Any, kernels: Any, memory: Any, out: Any) -> None:
    """Convolve an image of x (n, h, w, c) with kernels (kernel rows, length, per_tile * k), into out (1, oh, ow, k)."""
    rows, columns = out.shape[1], out.shape[2]
    unfolded, tiles, _, _ = memory
    length, width = kernels.shape[1], kernels.shape[2]
    n_tiles, k = -(-columns // geometry[6]), out.shape[3]
    unfold(x, image, rows, columns, geometry, unfolded)
    flat, target = kernels.reshape(-1), out.reshape(-1)
    is_whole = n_tiles * geometry[6] == columns
    for u in range(kernels.shape[0]):
        source = _first_row(u, rows, geometry) * n_tiles * length
        product(
            rows * n_tiles, width, length, unfolded, source, length, False, flat, u * length * width, width, False,
            target if is_whole else tiles, 0, width, u > 0,
        )  # fmt: skip
    if not is_whole:
        for y in range(rows):
            copy_run(tiles, y * n_tiles * width, target, y * columns * k, columns * k)


@compiled
def add_kernel_gradient(x: Any, image: int, geometry: Any, d_out: Any, memory: Any, d_kernels: Any) -> None:
    """Add the gradient with respect to the transposed kernels, for one image, given d_out (1, oh, ow, k).

    For the first image, it is written. The outputs of whole tiles stay in the memory, for `spread`.
    """
    rows, columns, k = d_out.shape[1], d_out.shape[2], d_out.shape[3]
    unfolded, tiles, _, _ = memory
    width, length = d_kernels.shape[1], d_kernels.shape[2]
    n_tiles = -(-columns // geometry[6])
    unfold(x, image, rows, columns, geometry, unfolded)
    flat, source = d_kernels.reshape(-1), d_out.reshape(-1)
    for y in range(rows):
        copy_run(source, y * columns * k, tiles, y * n_tiles * width, columns * k)
        clear_run(tiles, y * n_tiles * width + columns * k, n_tiles * width - columns * k)
    for u in range(d_kernels.shape[0]):
        start = _first_row(u, rows, geometry) * n_tiles * length
        product(
            width, length, rows * n_tiles, tiles, 0, width, True, unfolded, start, length, False, flat,
            u * length * width, length, image > 0,
        )  # fmt: skip


@compiled
def spread(d_out: Any, geometry: Any, kernels: Any, memory: Any, d_x: Any, image: int) -> None:
    """Write the gradient with respect to an image of x to d_x, after `add_kernel_gradient` with the same d_out.

    The kernels are transposed: (kernel rows, per_tile * k, length).
    """
    rows, columns = d_out.shape[1], d_out.shape[2]
    unfolded, tiles, _, _ = memory
    width, length = kernels.shape[1], kernels.shape[2]
    n_tiles = -(-columns // geometry[6])
    flat = kernels.reshape(-1)
    clear_run(unfolded, 0, unfolded.size)
    for u in range(kernels.shape[0]):
        target = _first_row(u, rows, geometry) * n_tiles * length
        product(
            rows * n_tiles, length, width, tiles, 0, width, False, flat, u * length * width, length, False, unfolded,
            target, length, True,
        )  # fmt: skip
    fold(unfolded, rows, columns, geometry, d_x, image)


@compiled
def row_length(c: int, geometry: Any) -> Any:
    """Return the number of elements under a tile in one row."""
    _, kernel_columns, _, column_stride, _, _, per_tile = geometry
    return ((per_tile - 1) * column_stride + kernel_columns) * c


@compiled
def _first_row(u: int, rows: int, geometry: Any) -> Any:
    """Return which unfolded row is the first that row u of the kernel meets."""
    kernel_rows, row_stride = geometry[0], geometry[2]
    return (u % row_stride) * (rows + (kernel_rows - 1) // row_stride) + u // row_stride


@compiled
def unfold(x: Any, image: int, rows: int, columns: int, geometry: Any, unfolded: Any) -> None:
    """Copy the pixels under every tile of every row, and zeros for the padding."""
    h, w, c = x.shape[1], x.shape[2], x.shape[3]
    kernel_rows, _, row_stride, column_stride, top, left, per_tile = geometry
    n_tiles, length = -(-columns // per_tile), row_length(c, geometry)
    source = x.reshape(-1)
    for i in range((rows - 1) * row_stride + kernel_rows):
        y = i - top
        target = _first_row(i, rows, geometry) * n_tiles * length
        if y < 0 or y >= h:
            clear_run(unfolded, target, n_tiles * length)
            continue
        for tile in range(n_tiles):
            # in elements of the row, which has w * c
            start = (tile * per_tile * column_stride - left) * c
            first, last = min(max(start, 0), w * c), max(min(start + length, w * c), 0)
            if last - first == length:
                copy_run(source, (image * h + y) * w * c + start, unfolded, target, length)
            else:
                clear_run(unfolded, target, length)
                copy_run(
                    source, (image * h + y) * w * c + first, unfolded, target + first - start, max(last - first, 0)
                )
            target += length


@compiled
def fold(unfolded: Any, rows: int, columns: int, geometry: Any, d_x: Any, image: int) -> None:
    """Add up the pixels under every tile of every row, without the padding: the reverse of `unfold`."""
    h, w, c = d_x.shape[1], d_x.shape[2], d_x.shape[3]
    kernel_rows, _, row_stride, column_stride, top, left, per_tile = geometry
    n_tiles, length = -(-columns // per_tile), row_length(c, geometry)
    target = d_x.reshape(-1)
    clear_run(target, image * h * w * c, h * w * c)
    for i in range((rows - 1) * row_stride + kernel_rows):
        y = i - top
        source = _first_row(i, rows, geometry) * n_tiles * length
        for tile in range(n_tiles if 0 <= y < h else 0):
            start = (tile * per_tile * column_stride - left) * c
            first, last = min(max(start, 0), w * c), max(min(start + length, w * c), 0)
            add_run(unfolded, source + first - start, target, (image * h + y) * w * c + first, max(last - first, 0))
            source += length
