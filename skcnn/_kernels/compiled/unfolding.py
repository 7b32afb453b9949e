"""Unfolding: the pixels under each tile of neighbouring outputs are copied, so that a product can read them as a row.

A tile has `per_tile` neighbouring outputs of one row. `depth` rows of pixels under it are copied one after the other:
all rows of the kernel, or only one. The copies are (tiles, depth * length).

A `geometry` is a tuple of int: (kernel rows, kernel columns, row stride, column stride, padding at the top, padding on
the left, `per_tile`, `depth`).
"""

from __future__ import annotations

from typing import Any

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.runs import add_run, clear_run, copy_run

__all__ = ["fold", "row_length", "unfold"]


@compiled
def row_length(c: int, geometry: Any) -> Any:
    """Return the number of elements under a tile in one row of pixels."""
    return ((geometry[6] - 1) * geometry[3] + geometry[1]) * c


@compiled
def unfold(x: Any, image: int, first: int, rows: int, tile: int, n_tiles: int, geometry: Any, unfolded: Any) -> None:
    """Copy the pixels under `n_tiles` tiles in each of `rows` rows, and zeros for the padding.

    The first row is `first`, and the first tile in it is `tile`.
    """
    h, w, c = x.shape[1], x.shape[2], x.shape[3]
    _, _, row_stride, column_stride, top, left, per_tile, depth = geometry
    length, step, source = row_length(c, geometry), per_tile * column_stride * c, x.reshape(-1)
    for i in range(rows):
        for u in range(depth):
            y, at = (first + i) * row_stride + u - top, (i * n_tiles * depth + u) * length
            size = w * c if 0 <= y < h else 0
            start = tile * step - left * c  # in elements of the row
            for _ in range(n_tiles):
                before, after = _inside(start, length, size)
                if after - before == length:
                    copy_run(source, (image * h + y) * w * c + start, unfolded, at, length)
                else:
                    clear_run(unfolded, at, length)
                    copy_run(source, (image * h + y) * w * c + start + before, unfolded, at + before, after - before)
                at += depth * length
                start += step


@compiled
def fold(unfolded: Any, first: int, rows: int, tile: int, n_tiles: int, geometry: Any, d_x: Any, image: int) -> None:
    """Add the gradients of the copies to those of the pixels: the reverse of `unfold`."""
    h, w, c = d_x.shape[1], d_x.shape[2], d_x.shape[3]
    _, _, row_stride, column_stride, top, left, per_tile, depth = geometry
    length, step, target = row_length(c, geometry), per_tile * column_stride * c, d_x.reshape(-1)
    for i in range(rows):
        for u in range(depth):
            y, at = (first + i) * row_stride + u - top, (i * n_tiles * depth + u) * length
            start = tile * step - left * c
            for _ in range(n_tiles if 0 <= y < h else 0):
                before, after = _inside(start, length, w * c)
                add_run(unfolded, at + before, target, (image * h + y) * w * c + start + before, after - before)
                at += depth * length
                start += step


@compiled
def _inside(start: int, length: int, size: int) -> Any:
    """Return the part (first, stop) of `length` elements from `start` on that is inside a row of `size` elements."""
    before = min(max(-start, 0), length)
    return before, max(min(size - start, length), before)
