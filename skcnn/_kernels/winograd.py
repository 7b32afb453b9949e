"""Winograd's convolution along the columns of the feature maps: fewer products for the same sums.

Computed one by one, `m` outputs of a kernel of length r need m * r multiplications. Computed as a product of two
polynomials, which is determined by its values at m + r - 1 points, they need only m + r - 1: transform the pixels and
the kernel into values at these points, multiply the values, and transform the products back:

    out = A.T @ ((G @ kernel) * (B.T @ pixels))        pixels (m + r - 1,), kernel (r,), out (m,)

Here each "pixel" is a whole row of a feature map, unfolded along its columns, and each multiplication is a matrix
product over columns and channels. So 4 rows of outputs take 6 products instead of 12 for a 3x3 kernel, and 8 instead of
20 for a 5x5 kernel. The transforms are products with small matrices of simple fractions. In float32 they cost about one
decimal digit of accuracy.

References
----------
Winograd (1980), Arithmetic complexity of computations. Lavin, Gray (2016), Fast algorithms for convolutional neural
networks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from skcnn._caching import cached_property
from skcnn._kernels.convolution import Array, Band, Convolution, KernelGradients, Kernels
from skcnn._kernels.feature_maps import contiguous_strides, copy_runs
from skcnn._kernels.products import narrow_gradient, narrow_product

POINTS = (0, 1, -1, 2, -2, 1 / 2, -1 / 2)  # and infinity; small fractions, because their powers stay small
MAX_PRODUCTS = len(POINTS) + 1
ONE = POINTS.index(1)  # a bias added at this point is added to every output, because all powers of 1 are 1


class Transforms(NamedTuple):
    """Winograd's matrices: A (m + r - 1, m), G (m + r - 1, r), B (m + r - 1, m + r - 1)."""

    A: Array
    G: Array
    B: Array


@lru_cache
def transforms(m: int, r: int, dtype: np.dtype[Any]) -> Transforms:
    """Derive the transforms for `m` outputs of a kernel of length `r`.

    The transforms are those of a polynomial product, transposed. A evaluates a polynomial at the points: its rows are
    the powers of the points. G evaluates the kernel there and divides by the denominators of the interpolation. The
    columns of B are the coefficients of the polynomials that vanish at all points but one. The value at infinity is the
    leading coefficient.

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
    """Compute `rows` rows of outputs by `rows + kh - 1` products. The vertical stride must be 1."""

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
        by_point = products.reshape(self.n_products, band.n_images, band.n_tiles, -1)
        np.matmul(A.T, by_point.transpose(1, 2, 0, 3), out=self._rows(out, band))

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        A = self._transforms(x.dtype).A
        d_rows = self._rows(d_out, band)
        d_products = np.empty((self.n_products, band.n_images, band.n_tiles, d_rows.shape[3]), dtype=x.dtype)
        np.matmul(A, d_rows, out=d_products.transpose(1, 2, 0, 3))
        d_bias = d_products[ONE].reshape(-1, self.covered_size[1] * self.n_kernels).sum(axis=0)
        by_tile = d_products.reshape(self.n_products, -1, self.columns * self.n_kernels)
        return KernelGradients(narrow_gradient(by_tile, self._unfold(x, band)), d_bias)

    def _rows(self, out: Array, band: Band) -> Array:
        """View the outputs of a band: (images, tiles, rows of a tile, columns of the feature map * k)."""
        return self._outputs(out, band).reshape(band.n_images, band.n_tiles, self.rows, -1)

    def _unfold(self, x: Array, band: Band) -> Array:
        """Transform the rows under every tile, then unfold them: (points, positions, tile_width * c)."""
        image_bytes, row_bytes, _, element_bytes = contiguous_strides(x)
        rows: Array = np.ndarray(
            (band.n_images, band.n_tiles, self.n_products, x.shape[2] * self.n_channels),
            x.dtype,
            buffer=x,
            offset=band.first_image * image_bytes + band.first_tile * self.rows * row_bytes,
            strides=(image_bytes, self.rows * row_bytes, row_bytes, element_bytes),
        )
        transformed = np.matmul(self._transforms(x.dtype).B.T, rows)
        image_bytes, tile_bytes, point_bytes, element_bytes = contiguous_strides(transformed)
        unfolded = copy_runs(
            transformed,
            offset=0,
            shape=(self.n_products, band.n_images, band.n_tiles, self.tiles[1]),
            strides=(
                point_bytes,
                image_bytes,
                tile_bytes,
                self.columns * self.stride[1] * self.n_channels * element_bytes,
            ),
            length=self.tile_width * self.n_channels,
        )
        return unfolded.reshape(self.n_products, -1, self.tile_width * self.n_channels)
