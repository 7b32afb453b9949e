"""Winograd's convolution, along the columns of the maps: fewer products for the same sums.

`m` outputs of a kernel of length r need m * r multiplications, one by one. Seen as the product of two polynomials,
which is known once it is known at m + r - 1 points, they need only that many: transform the pixels and the kernel into
values at the points, multiply these, and transform back:

    out = A.T @ ((G @ kernel) * (B.T @ pixels))        pixels (m + r - 1,), kernel (r,), out (m,)

Here a pixel is a whole row of a map, unfolded along its columns, and the multiplication a matrix product over columns
and channels. So 4 rows of outputs of a 3x3 kernel take 6 products rather than 12, of a 5x5 kernel 8 rather than 20. The
transforms are products with small matrices of simple fractions; in float32 they cost about one decimal.

References
----------
Winograd (1980), Arithmetic complexity of computations. Lavin, Gray (2016), Fast algorithms for convolutional neural
networks.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from skcnn._kernels.convolution import Array, Band, Convolution, KernelGradients, Kernels
from skcnn._kernels.maps import contiguous_strides, copy_runs
from skcnn._kernels.products import narrow_gradient, narrow_product

POINTS = (0, 1, -1, 2, -2, 1 / 2, -1 / 2)  # and infinity: small fractions, whose powers stay small
MOST_PRODUCTS = len(POINTS) + 1
ONE = POINTS.index(1)  # what is added to the value there is added to every output, since all powers of 1 are 1


class Transforms(NamedTuple):
    """Winograd's matrices: A (m + r - 1, m), G (m + r - 1, r), B (m + r - 1, m + r - 1)."""

    A: Array
    G: Array
    B: Array


@lru_cache
def transforms(m: int, r: int, dtype: np.dtype[Any]) -> Transforms:
    """Derive the transforms for `m` outputs of a kernel of length `r`.

    The outputs are the transpose of a polynomial product: A.T evaluates at the points (its rows are their powers), G
    evaluates the kernel and divides by what interpolation divides by, and the columns of B are the coefficients of the
    polynomials that vanish at all points but one. Infinity stands for the leading coefficient.

    Examples
    --------
    >>> A, G, B = transforms(2, 3, np.dtype(float))
    >>> pixels, kernel = np.array([1.0, 2, 3, 4]), np.array([1.0, 10, 100])
    >>> A.T @ ((G @ kernel) * (B.T @ pixels))
    array([321., 432.])
    """
    points = np.array(POINTS[: m + r - 2])
    A, G, B = (np.zeros((m + r - 1, size)) for size in (m, r, m + r - 1))
    A[:-1] = points[:, np.newaxis] ** np.arange(m)
    for i, point in enumerate(points):
        others = np.delete(points, i)
        G[i] = point ** np.arange(r) / np.prod(point - others)
        B[:-1, i] = np.poly(others)[::-1]
    A[-1, -1] = G[-1, -1] = 1
    B[:, -1] = np.poly(points)[::-1]
    return Transforms(A.astype(dtype), G.astype(dtype), B.astype(dtype))


class Winograd(Convolution):
    """`rows` rows of outputs from `rows + kh - 1` products. The stride along the columns of a map must be 1."""

    @cached_property
    def n_products(self) -> int:
        return self.rows + self.kernel_size[0] - 1

    @cached_property
    def rows_unfolded(self) -> int:
        return self.n_products

    def _transforms(self, dtype: np.dtype[Any]) -> Transforms:
        return transforms(self.rows, self.kernel_size[0], dtype)

    def _matrices(self, W: Array) -> Array:
        G, tiled = self._transforms(W.dtype).G, self._tiled(W)
        return (G @ tiled.reshape(len(W), -1)).reshape(-1, *tiled.shape[1:])

    def _kernel_gradient(self, gradients: Array) -> Array:
        G = self._transforms(gradients.dtype).G
        return self._untiled((G.T @ gradients.reshape(len(G), -1)).reshape(-1, *gradients.shape[1:]))

    def _forward_band(self, x: Array, kernels: Kernels, out: Array, band: Band) -> None:
        matrices, bias = kernels
        A = self._transforms(x.dtype).A
        products = narrow_product(self._unfold(x, band), matrices)
        if bias is not None:
            values = products[ONE].reshape(-1, len(bias))
            values += bias
        of_points = products.reshape(self.n_products, band.n_images, band.n_tiles, -1)
        np.matmul(A.T, of_points.transpose(1, 2, 0, 3), out=self._rows(out, band))

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        A = self._transforms(x.dtype).A
        d_rows = self._rows(d_out, band)
        d_products = np.empty((self.n_products, band.n_images, band.n_tiles, d_rows.shape[3]), dtype=x.dtype)
        np.matmul(A, d_rows, out=d_products.transpose(1, 2, 0, 3))
        d_bias = d_products[ONE].reshape(-1, self.covered[1] * self.n_kernels).sum(axis=0)
        of_tiles = d_products.reshape(self.n_products, -1, self.columns * self.n_kernels)
        return KernelGradients(narrow_gradient(of_tiles, self._unfold(x, band)), d_bias)

    def _rows(self, out: Array, band: Band) -> Array:
        """The band's part of the output: a view (images, tiles, rows of a tile, columns of the map * k)."""
        return self._outputs(out, band).reshape(band.n_images, band.n_tiles, self.rows, -1)

    def _unfold(self, x: Array, band: Band) -> Array:
        """Transform the rows that every tile sees and lay out their pixels: (points, positions, tile_width * c)."""
        of_image, of_row, _, of_number = contiguous_strides(x)
        rows: Array = np.ndarray(
            (band.n_images, band.n_tiles, self.n_products, x.shape[2] * self.n_channels),
            x.dtype,
            buffer=x,
            offset=band.first_image * of_image + band.first_tile * self.rows * of_row,
            strides=(of_image, self.rows * of_row, of_row, of_number),
        )
        transformed = np.matmul(self._transforms(x.dtype).B.T, rows)
        of_image, of_tile, of_point, of_number = contiguous_strides(transformed)
        unfolded = copy_runs(
            transformed,
            offset=0,
            shape=(self.n_products, band.n_images, band.n_tiles, self.tiles[1]),
            strides=(of_point, of_image, of_tile, self.columns * self.stride[1] * self.n_channels * of_number),
            length=self.tile_width * self.n_channels,
        )
        return unfolded.reshape(self.n_products, -1, self.tile_width * self.n_channels)
