"""Convolution of few channels, with a stride of 1: each element of the kernel meets one shifted copy of the image.

The image is copied with its padding, one plane for each channel: (output rows + kernel rows, output columns + kernel
columns - 1). A plane is read as one run of elements. The pixels under one element of the kernel, for all outputs, are
then a part of this run, and another element of the kernel only changes where the part starts. These parts are the rows
of a matrix, and one product computes all outputs.

So the outputs have as many columns as a plane, and the last ones are meaningless. Later steps do not read them, and
their gradients must be 0.

A block of neighbouring outputs is computed at a time, so that the matrix stays in the cache. `geometry` is that of
`skcnn._kernels.compiled.unfolding`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uintp

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import add_run, clear_run, copy_run

__all__ = ["add_gradients", "convolve", "scratch"]


@compiled
def scratch(x: Any, rows: int, columns: int, block: int, geometry: Any) -> Any:
    """Return memory for an image with `rows` x `columns` outputs, as wide as a plane: the planes, and the matrix."""
    size = (rows + geometry[0]) * columns  # one row more than needed, because runs at the end are longer
    n_elements = geometry[0] * geometry[1] * x.shape[3]
    nothing = np.empty(0, x.dtype)
    return np.empty(x.shape[3] * size, x.dtype), np.empty(n_elements * block, x.dtype), nothing, nothing


@compiled
def convolve(x: Any, image: int, geometry: Any, block: int, kernels: Any, memory: Any, out: Any) -> None:
    """Convolve an image of x (n, h, w, c) with kernels (1, elements, k), into out (1, oh, columns of a plane, k)."""
    rows, columns, k = out.shape[1], out.shape[2], out.shape[3]
    planes, matrix, _, _ = memory
    _copy_planes(x, image, geometry, rows, columns, planes)
    for start in range(0, rows * columns, block):
        n = min(block, rows * columns - start)
        _copy_runs(planes, x.shape[3], geometry, rows, columns, start, n, matrix)
        product(
            n, k, kernels.shape[1], matrix, 0, n, True, kernels.reshape(-1), 0, k, False, out.reshape(-1), start * k, k,
            False,
        )  # fmt: skip


@compiled
def add_gradients(
    x: Any, image: int, geometry: Any, block: int, d_out: Any, kernels: Any, memory: Any, d_kernels: Any, d_x: Any
) -> None:
    """Add the gradient with respect to the kernels, for one image, given d_out (1, oh, columns of a plane, k).

    For the first image, `d_kernels` is overwritten. If d_x is not empty, the gradient with respect to the image is
    written to it.
    """
    rows, columns, k = d_out.shape[1], d_out.shape[2], d_out.shape[3]
    planes, matrix, _, _ = memory
    _copy_planes(x, image, geometry, rows, columns, planes)
    n_elements = d_kernels.shape[1]
    for start in range(0, rows * columns, block):
        n = min(block, rows * columns - start)
        _copy_runs(planes, x.shape[3], geometry, rows, columns, start, n, matrix)
        product(
            n_elements, k, n, matrix, 0, n, False, d_out.reshape(-1), start * k, k, False, d_kernels.reshape(-1), 0, k,
            image > 0 or start > 0,
        )  # fmt: skip
    if d_x.size:
        clear_run(planes, 0, planes.size)
        for start in range(0, rows * columns, block):
            n = min(block, rows * columns - start)
            product(
                n_elements, n, k, kernels.reshape(-1), 0, k, False, d_out.reshape(-1), start * k, k, True, matrix, 0, n,
                False,
            )  # fmt: skip
            _add_runs(matrix, x.shape[3], geometry, rows, columns, start, n, planes)
        _copy_from_planes(planes, geometry, rows, columns, d_x, image)


@compiled
def _copy_runs(planes: Any, c: int, geometry: Any, rows: int, columns: int, start: int, n: int, matrix: Any) -> None:
    """Copy the pixels under each element of the kernel, for n outputs from `start` on."""
    row = 0
    for u in range(geometry[0]):
        for v in range(geometry[1]):
            for channel in range(c):
                of_element = (channel * (rows + geometry[0]) + u) * columns + v
                copy_run(planes, of_element + start, matrix, row * n, n)
                row += 1


@compiled
def _add_runs(matrix: Any, c: int, geometry: Any, rows: int, columns: int, start: int, n: int, planes: Any) -> None:
    """Add what `_copy_runs` copies to the planes: the reverse."""
    row = 0
    for u in range(geometry[0]):
        for v in range(geometry[1]):
            for channel in range(c):
                of_element = (channel * (rows + geometry[0]) + u) * columns + v
                add_run(matrix, row * n, planes, of_element + start, n)
                row += 1


@compiled
def _copy_planes(x: Any, image: int, geometry: Any, rows: int, columns: int, planes: Any) -> None:
    """Copy an image with its padding, channel by channel."""
    h, w, c = x.shape[1], x.shape[2], x.shape[3]
    top, left, source, step = geometry[4], geometry[5], x.reshape(-1), uintp(x.shape[3])
    at = 0
    for channel in range(c):
        for row in range(rows + geometry[0]):
            y = row - top
            if 0 <= y < h:
                clear_run(planes, at, left)
                i, j = uintp((image * h + y) * w * c + channel), uintp(at + left)
                for e in range(uintp(w)):
                    planes[j + e] = source[i + e * step]
                clear_run(planes, at + left + w, columns - left - w)
            else:
                clear_run(planes, at, columns)
            at += columns


@compiled
def _copy_from_planes(planes: Any, geometry: Any, rows: int, columns: int, d_x: Any, image: int) -> None:
    """Copy an image without its padding: the reverse of `_copy_planes`."""
    h, w, c = d_x.shape[1], d_x.shape[2], d_x.shape[3]
    top, left, target, step = geometry[4], geometry[5], d_x.reshape(-1), uintp(d_x.shape[3])
    for channel in range(c):
        for y in range(h):
            i = uintp((channel * (rows + geometry[0]) + y + top) * columns + left)
            j = uintp((image * h + y) * w * c + channel)
            for e in range(uintp(w)):
                target[j + e * step] = planes[i + e]
