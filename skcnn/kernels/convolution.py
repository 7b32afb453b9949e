"""Convolution as matrix products, and what its two ways of computing share.

The patch under every position could be laid out as a row of a matrix, with the kernels as columns of another: correct,
and slow, since a 5x5 kernel copies every pixel 25 times, and a product with few kernels is too narrow to be fast.
Instead

- maps are unfolded along their rows only (`_Convolution._unfold`): a pixel is copied kw times, not kh * kw. The rows of
  a kernel are the terms of a sum, for which `Direct` adds up kh products, and `Winograd` needs fewer.
- several neighbouring outputs are computed by one row of the product (`tiled`), from the pixels that all of them see.
  The matrix holds the kernel once for each of them, and zeros: more arithmetic, but fewer copies and a wider product.
  These outputs lie side by side in the result, so nothing has to be rearranged.

All is done some images, or some rows of a large image, at a time, so that the unfolded rows stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn.kernels.maps import contiguous_strides, copy_runs, crop, output_size, pad
from skcnn.values import Pair

Array = NDArray[Any]

UNFOLDED_NUMBERS = 2**18  # at a time: 1 MiB in float32. More leave the cache, fewer take more steps


class Band(NamedTuple):
    """Some images, all of their rows; or some rows of one image. Rows are counted in tiles."""

    first_image: int
    n_images: int
    first_tile: int
    n_tiles: int


@dataclass(frozen=True)
class Convolution:
    """The shapes of one convolution, and all that follows from them alone.

    Attributes
    ----------
    in_size, kernel_size, stride : pair of int
        Of the padded maps, rows and columns.
    n_channels, n_kernels : int
    columns : int
        Neighbouring outputs that one row of the product yields.
    rows : int
        Rows of outputs that are computed together: one tile.
    """

    in_size: Pair
    kernel_size: Pair
    stride: Pair
    n_channels: int
    n_kernels: int
    columns: int = 1
    rows: int = 1

    @cached_property
    def out_size(self) -> Pair:
        rows, columns = (output_size(*axis) for axis in zip(self.in_size, self.kernel_size, self.stride, strict=True))
        return rows, columns

    @cached_property
    def tiles(self) -> Pair:
        """How many tiles cover the output, along its rows and columns."""
        return -(-self.out_size[0] // self.rows), -(-self.out_size[1] // self.columns)

    @cached_property
    def covered(self) -> Pair:
        """The outputs in all tiles: `out_size`, or somewhat more."""
        return self.tiles[0] * self.rows, self.tiles[1] * self.columns

    @cached_property
    def placed_size(self) -> Pair:
        """The size that maps must be padded to, so that all tiles find pixels: at least `in_size`."""
        needed = (
            (covered - 1) * stride + kernel
            for covered, stride, kernel in zip(self.covered, self.stride, self.kernel_size, strict=True)
        )
        rows, columns = (max(pixels) for pixels in zip(self.in_size, needed, strict=True))
        return rows, columns

    @cached_property
    def tile_width(self) -> int:
        """Pixels of a row that a tile sees."""
        return (self.columns - 1) * self.stride[1] + self.kernel_size[1]

    @cached_property
    def n_products(self) -> int:
        """Products that are added up for one row of tiles."""
        raise NotImplementedError

    @cached_property
    def rows_unfolded(self) -> int:
        """Rows that are unfolded for one row of tiles."""
        raise NotImplementedError

    @cached_property
    def _bands(self) -> Callable[[int], tuple[Band, ...]]:
        return lru_cache(maxsize=8)(self._cut)  # asked for several times in every step

    def forward(self, x: Array, W: Array) -> Array:
        """Slide the kernels over the maps.

        Parameters
        ----------
        x : ndarray (n, *placed_size, c), C-contiguous
        W : ndarray (kh, kw, c, k)

        Returns
        -------
        ndarray (n, *out_size, k)
        """
        matrices = self._matrices(W)
        out = np.empty((len(x), *self.covered, self.n_kernels), dtype=x.dtype)
        for band in self._bands(len(x)):
            self._forward_band(x, matrices, out, band)
        return crop(out, self.out_size)

    def kernel_gradient(self, x: Array, d_out: Array) -> Array:
        """Return the gradient (kh, kw, c, k) of `forward` by W, given x and that of its result."""
        d_out = pad(d_out, ((0, 0), (0, 0)), 0, to=self.covered)
        gradients = np.zeros(
            (self.n_products, self.columns * self.n_kernels, self.tile_width * self.n_channels), dtype=x.dtype
        )
        for band in self._bands(len(x)):
            self._add_gradients(x, d_out, gradients, band)
        return self._kernel_gradient(gradients)

    def _matrices(self, W: Array) -> Array:
        """Turn W into the matrices (n_products, pixels of a tile's row * c, columns * k) of the products."""
        raise NotImplementedError

    def _kernel_gradient(self, gradients: Array) -> Array:
        """The way back of `_matrices`, from gradients that are transposed."""
        raise NotImplementedError

    def _forward_band(self, x: Array, matrices: Array, out: Array, band: Band) -> None:
        raise NotImplementedError

    def _add_gradients(self, x: Array, d_out: Array, gradients: Array, band: Band) -> None:
        raise NotImplementedError

    def _cut(self, n_images: int) -> tuple[Band, ...]:
        """Cut a number of images into bands."""
        of_tile = self.rows_unfolded * self.tiles[1] * self.tile_width * self.n_channels
        n_tiles = min(self.tiles[0], max(1, UNFOLDED_NUMBERS // of_tile))
        at_once = max(1, UNFOLDED_NUMBERS // (of_tile * self.tiles[0]))
        return tuple(
            Band(image, min(at_once, n_images - image), tile, min(n_tiles, self.tiles[0] - tile))
            for image in range(0, n_images, at_once)
            for tile in range(0, self.tiles[0], n_tiles)
        )

    def _outputs(self, out: Array, band: Band) -> Array:
        """The band's part of the output: a view (images, rows, columns of the map, k)."""
        image, n_images, tile, n_tiles = band
        return out[image : image + n_images, tile * self.rows : (tile + n_tiles) * self.rows]

    def _tiled(self, W: Array) -> Array:
        """Place kernel rows (rows, kw, c, k) once for every column of a tile: (rows, tile_width * c, columns * k)."""
        n_rows, _, c, k = W.shape
        tiled = np.zeros((n_rows, self.tile_width, c, self.columns, k), dtype=W.dtype)
        of_row, of_pixel, of_channel, of_column, of_number = tiled.strides
        places: Array = np.ndarray(
            (n_rows, self.columns, *W.shape[1:]),
            W.dtype,
            buffer=tiled,
            strides=(of_row, self.stride[1] * of_pixel + of_column, of_pixel, of_channel, of_number),
        )
        places[...] = W[:, np.newaxis]
        return tiled.reshape(n_rows, self.tile_width * c, self.columns * k)

    def _untiled(self, gradients: Array) -> Array:
        """Add up the gradients (rows, columns * k, tile_width * c) of the places: (rows, kw, c, k)."""
        n_rows, c, k = len(gradients), self.n_channels, self.n_kernels
        of_row, of_output, of_input = gradients.strides
        places: Array = np.ndarray(
            (n_rows, self.columns, self.kernel_size[1], c, k),
            gradients.dtype,
            buffer=gradients,
            strides=(of_row, k * of_output + self.stride[1] * c * of_input, c * of_input, of_input, of_output),
        )
        return np.ascontiguousarray(places.sum(axis=1))


class Direct(Convolution):
    """One product for every row of the kernel, on the rows of the map that it sees."""

    @cached_property
    def n_products(self) -> int:
        return self.kernel_size[0]

    @cached_property
    def rows_unfolded(self) -> int:
        return self.stride[0]

    def _matrices(self, W: Array) -> Array:
        return self._tiled(W)

    def _kernel_gradient(self, gradients: Array) -> Array:
        return self._untiled(gradients)

    def _forward_band(self, x: Array, matrices: Array, out: Array, band: Band) -> None:
        first, *others = self._seen(x, band)
        sums = self._outputs(out, band).reshape(band.n_images, -1, matrices.shape[2])
        np.matmul(first, matrices[0], out=sums)
        for seen, matrix in zip(others, matrices[1:], strict=True):
            sums += np.matmul(seen, matrix)

    def _add_gradients(self, x: Array, d_out: Array, gradients: Array, band: Band) -> None:
        d_rows = self._outputs(d_out, band).reshape(band.n_images, -1, gradients.shape[1])
        d_columns = d_rows.transpose(0, 2, 1)
        for seen, gradient in zip(self._seen(x, band), gradients, strict=True):
            gradient += np.matmul(d_columns, seen).sum(axis=0)

    def _seen(self, x: Array, band: Band) -> Iterator[Array]:
        """For each row of the kernel: what it sees of the band, (images, positions, tile_width * c)."""
        unfolded = self._unfold(x, band)
        n_images, _, _, length = unfolded.shape
        step = self.stride[0]
        for u in range(self.kernel_size[0]):
            seen = unfolded[:, u : u + step * (band.n_tiles - 1) + 1 : step]
            yield seen.reshape(n_images, -1, length)

    def _unfold(self, x: Array, band: Band) -> Array:
        """Lay out the pixels that every tile of a row sees: (images, rows, tiles, tile_width * c)."""
        of_image, of_row, of_pixel, _ = contiguous_strides(x)
        n_rows = (band.n_tiles - 1) * self.stride[0] + self.kernel_size[0]
        return copy_runs(
            x,
            offset=band.first_image * of_image + band.first_tile * self.stride[0] * of_row,
            shape=(band.n_images, n_rows, self.tiles[1]),
            strides=(of_image, of_row, self.columns * self.stride[1] * of_pixel),
            length=self.tile_width * self.n_channels,
        )
