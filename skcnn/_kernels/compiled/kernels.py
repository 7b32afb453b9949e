"""The kernels of a convolution as the matrices of its products, and the gradients back.

`G` transforms kernels into their values, see `skcnn._kernels.winograd`. It is flat, and empty for the direct algorithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uintp

from skcnn._kernels.compiled.compiler import kernel
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import clear_run, copy_run

__all__ = ["gradient_of_rows", "gradient_of_tiles", "matrices_of_rows", "matrices_of_tiles", "transpose"]


@kernel
def matrices_of_tiles(W: Any, G: Any, matrices: Any) -> None:
    """Compute G @ W @ G.T for kernels W (r, r, c, k): matrices (points * points, c, k)."""
    r, points, size = W.shape[0], G.size // W.shape[0], W.shape[2] * W.shape[3]
    half = np.empty(points * r * size, W.dtype)
    product(points, r * size, r, G, 0, r, False, W.reshape(-1), 0, r * size, False, half, 0, r * size, False)
    for i in range(points):
        product(
            points, size, r, G, 0, r, False, half, i * r * size, size, False, matrices.reshape(-1), i * points * size,
            size, False,
        )  # fmt: skip


@kernel
def transpose(matrices: Any, transposed: Any) -> None:
    """Transpose each matrix (n, rows, columns)."""
    n, rows, columns = matrices.shape
    source, target = matrices.reshape(-1), transposed.reshape(-1)
    for i in range(n * rows):
        s, t = uintp(i * columns), uintp(i // rows * rows * columns + i % rows)
        for e in range(uintp(columns)):
            target[t] = source[s + e]
            t += uintp(rows)


@kernel
def gradient_of_tiles(d_matrices: Any, G: Any, d_W: Any) -> None:
    """Compute the gradients with respect to the kernels: the reverse of `matrices_of_tiles`."""
    r, points, size = d_W.shape[0], G.size // d_W.shape[0], d_W.shape[2] * d_W.shape[3]
    half = np.empty(points * r * size, d_W.dtype)
    for i in range(points):
        product(
            r, size, points, G, 0, r, True, d_matrices.reshape(-1), i * points * size, size, False, half, i * r * size,
            size, False,
        )  # fmt: skip
    product(r, r * size, points, G, 0, r, True, half, 0, r * size, False, d_W.reshape(-1), 0, r * size, False)


@kernel
def matrices_of_rows(W: Any, stride: int, per_tile: int, G: Any, matrices: Any) -> None:
    """Copy the kernels W (kh, kw, c, k) once for each output of a tile, and transform them.

    The matrices are (points, length, per_tile * k), or (1, kh * length, per_tile * k) for the direct algorithm, where
    `length` is the number of elements under a tile in one row of pixels.
    """
    (kh, kw, c, k), source = W.shape, W.reshape(-1)
    row = ((per_tile - 1) * stride + kw) * c * per_tile * k
    tiled = np.empty(kh * row, W.dtype) if G.size else matrices.reshape(-1)
    clear_run(tiled, 0, kh * row)
    for u in range(kh):
        for i in range(per_tile):
            for j in range(kw * c):
                at = u * row + ((i * stride * c + j) * per_tile + i) * k
                copy_run(source, (u * kw * c + j) * k, tiled, at, k)
    if G.size:
        product(G.size // kh, row, kh, G, 0, kh, False, tiled, 0, row, False, matrices.reshape(-1), 0, row, False)


@kernel
def gradient_of_rows(d_matrices: Any, stride: int, per_tile: int, G: Any, d_W: Any) -> None:
    """Compute the gradients with respect to the kernels, given those of the transposed matrices."""
    (kh, kw, c, k), target = d_W.shape, d_W.reshape(-1)
    length = ((per_tile - 1) * stride + kw) * c
    row = length * per_tile * k
    d_tiled = np.empty(kh * row, d_W.dtype) if G.size else d_matrices.reshape(-1)
    if G.size:
        points = G.size // kh
        product(kh, row, points, G, 0, kh, True, d_matrices.reshape(-1), 0, row, False, d_tiled, 0, row, False)
    clear_run(target, 0, target.size)
    # without G, all rows of the kernel are in one matrix
    of_kernel_row, of_output = (row, length) if G.size else (length, kh * length)
    for i in range(per_tile):
        for e in range(k):
            for u in range(kh):
                start = u * of_kernel_row + (i * k + e) * of_output + i * stride * c
                for j in range(kw * c):
                    target[(u * kw * c + j) * k + e] += d_tiled[start + j]
