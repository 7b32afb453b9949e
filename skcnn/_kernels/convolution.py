"""Convolution as matrix products, and what its ways of computing share.

The patch under every position can be laid out as a row of a matrix, with the kernels as columns of another (`Patches`):
correct, and slow for many channels, since a 5x5 kernel copies every pixel 25 times. Instead

- maps are unfolded along their rows only: a pixel is copied kw times, not kh * kw. The rows of a kernel are the terms
  of a sum, for which `Direct` adds up kh products, and `Winograd` needs fewer.
- in every way, several neighbouring outputs are computed by one row of the product, from the pixels that all of them
  see. The matrix holds the kernel once for each of them, and zeros: more arithmetic, but fewer copies, and a product
  that is wide enough to be fast. These outputs lie side by side in the result, so nothing has to be rearranged.

All is done some images, or some rows of a large image, at a time, so that the unfolded rows stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._kernels.maps import contiguous_strides, copy_runs, crop, output_size, pad, write_runs
from skcnn._kernels.products import narrow_gradient, narrow_product
from skcnn._values import Pair

Array = NDArray[Any]

UNFOLDED_NUMBERS = 2**20  # at a time, or somewhat more: 4 MiB in float32


class Band(NamedTuple):
    """Some images, all of their rows; or some rows of one image. Rows are counted in tiles."""

    first_image: int
    n_images: int
    first_tile: int
    n_tiles: int


class Kernels(NamedTuple):
    """Kernels in the form in which they are multiplied.

    Attributes
    ----------
    matrices : ndarray (n_products, product_length, columns * k)
    bias : ndarray (covered columns * k,) or None
        For one row of the output.
    """

    matrices: Array
    bias: Array | None


class KernelGradients(NamedTuple):
    """Gradients by `Kernels`; the matrices are transposed, so that they are products of rows of outputs and inputs."""

    matrices: Array
    bias: Array


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
    def product_length(self) -> int:
        """Numbers of a row of a product: those that a tile sees of one row of the map."""
        return self.tile_width * self.n_channels

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

    def prepare(self, W: Array, b: Array | None = None) -> Kernels:
        """Bring kernels W (kh, kw, c, k), and a bias (k,) for each, into the form in which they are multiplied."""
        if b is None:
            return Kernels(self._matrices(W), None)
        bias = np.empty((self.covered[1], self.n_kernels), dtype=b.dtype)
        bias[...] = b
        return Kernels(self._matrices(W), bias.reshape(-1))

    def forward(self, x: Array, kernels: Kernels) -> Array:
        """Slide the kernels over the maps.

        Parameters
        ----------
        x : ndarray (n, *placed_size, c), C-contiguous
        kernels : Kernels
            As `prepare` made them.

        Returns
        -------
        ndarray (n, *out_size, k)
        """
        out = np.empty((len(x), *self.covered, self.n_kernels), dtype=x.dtype)
        for band in self._bands(len(x)):
            self._forward_band(x, kernels, out, band)
        return crop(out, self.out_size)

    def backward(self, x: Array, d_out: Array) -> KernelGradients:
        """Return the gradients by the prepared kernels and bias, given x and that by the output."""
        d_out = pad(d_out, ((0, 0), (0, 0)), 0, to=self.covered)
        first, *others = self._bands(len(x))
        d_kernels = self._gradients_of_band(x, d_out, first)
        for band in others:
            for total, part in zip(d_kernels, self._gradients_of_band(x, d_out, band), strict=True):
                total += part
        return d_kernels

    def gradients(self, d_kernels: KernelGradients) -> tuple[Array, Array]:
        """Return the gradients by W and b, given those by what `prepare` made of them."""
        d_matrices, d_bias = d_kernels
        return self._kernel_gradient(d_matrices), d_bias.reshape(-1, self.n_kernels).sum(axis=0)

    def _matrices(self, W: Array) -> Array:
        """Turn W into the matrices (n_products, product_length, columns * k) of the products."""
        raise NotImplementedError

    def _kernel_gradient(self, gradients: Array) -> Array:
        """The way back of `_matrices`, from gradients that are transposed."""
        raise NotImplementedError

    def _forward_band(self, x: Array, kernels: Kernels, out: Array, band: Band) -> None:
        raise NotImplementedError

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        raise NotImplementedError

    def _cut(self, n_images: int) -> tuple[Band, ...]:
        """Cut a number of images into bands, as equal as can be: a small one takes as many calls as a large one."""
        of_image = self.rows_unfolded * self.tiles[0] * self.tiles[1] * self.tile_width * self.n_channels
        of_images = _parts(n_images, of_image)
        single = all(n == 1 for _, n in of_images)
        of_tiles = _parts(self.tiles[0], of_image // self.tiles[0]) if single else [(0, self.tiles[0])]
        return tuple(Band(*images, *tiles) for images in of_images for tiles in of_tiles)

    def _outputs(self, out: Array, band: Band) -> Array:
        """The band's part of the output: a view (images, rows, columns of the map, k)."""
        image, n_images, tile, n_tiles = band
        return out[image : image + n_images, tile * self.rows : (tile + n_tiles) * self.rows]

    def _tiled(self, W: Array) -> Array:
        """Place kernel rows (rows, kw, c, k) once for every column of a tile: (rows, tile_width * c, columns * k)."""
        n_rows, kw, c, k = W.shape
        tiled = np.zeros((n_rows, self.tile_width, c, self.columns, k), dtype=W.dtype)
        of_row, of_pixel, of_channel, of_column, _ = tiled.strides
        shape, of_place = (n_rows, self.columns, kw, c), self.stride[1] * of_pixel + of_column
        write_runs(tiled, shape, (of_row, of_place, of_pixel, of_channel), W[:, np.newaxis])
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


def _parts(count: int, numbers_each: int) -> list[tuple[int, int]]:
    """Cut a count into parts (first, length) that differ by one at most, of about UNFOLDED_NUMBERS numbers."""
    n_parts = min(count, max(1, round(count * numbers_each / UNFOLDED_NUMBERS)))
    size, longer = divmod(count, n_parts) if n_parts else (0, 0)
    return [(i * size + min(i, longer), size + (i < longer)) for i in range(n_parts)]


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

    def _forward_band(self, x: Array, kernels: Kernels, out: Array, band: Band) -> None:
        (first, *others), bias = kernels
        seen = self._seen(x, band)
        part = self._outputs(out, band)
        sums = part.reshape(band.n_images, -1, first.shape[1])
        narrow_product(next(seen), first, out=sums)
        for rows, matrix in zip(seen, others, strict=True):
            sums += narrow_product(rows, matrix)
        if bias is not None:
            part_rows = part.reshape(-1, len(bias))
            part_rows += bias

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        d_part = self._outputs(d_out, band)
        d_rows = d_part.reshape(band.n_images, -1, self.columns * self.n_kernels)
        d_matrices = [narrow_gradient(d_rows, rows).sum(axis=0) for rows in self._seen(x, band)]
        d_bias = d_part.reshape(-1, self.covered[1] * self.n_kernels).sum(axis=0)
        return KernelGradients(np.stack(d_matrices), d_bias)

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


class Patches(Direct):
    """One product, on whole patches: the textbook's way, and the fastest for maps of few channels."""

    @cached_property
    def product_length(self) -> int:
        return self.kernel_size[0] * self.tile_width * self.n_channels

    @cached_property
    def n_products(self) -> int:
        return 1

    @cached_property
    def rows_unfolded(self) -> int:
        return self.kernel_size[0]

    def _matrices(self, W: Array) -> Array:
        return self._tiled(W).reshape(1, self.product_length, -1)

    def _kernel_gradient(self, gradients: Array) -> Array:
        by_rows = gradients.reshape(-1, self.kernel_size[0], self.tile_width * self.n_channels).swapaxes(0, 1)
        return self._untiled(np.ascontiguousarray(by_rows))

    def _seen(self, x: Array, band: Band) -> Iterator[Array]:
        of_image, of_row, of_pixel, _ = contiguous_strides(x)
        patches = copy_runs(
            x,
            offset=band.first_image * of_image + band.first_tile * self.stride[0] * of_row,
            shape=(band.n_images, band.n_tiles, self.tiles[1], self.kernel_size[0]),
            strides=(of_image, self.stride[0] * of_row, self.columns * self.stride[1] * of_pixel, of_row),
            length=self.tile_width * self.n_channels,
        )
        yield patches.reshape(band.n_images, -1, self.product_length)
