"""Convolution as matrix products, and what its algorithms share.

The textbook algorithm is im2col (`Patches`): the patch under each position of the kernel becomes a row of one matrix,
and the kernels are the columns of another. It is slow for many channels, because a 5x5 kernel copies every pixel 25
times. Two ideas make convolutions faster:

- Feature maps are unfolded along their rows only, so a pixel is copied kw times instead of kh * kw times. The rows of a
  kernel are the terms of a sum: `Direct` adds up kh products, and `Winograd` needs fewer.
- In every algorithm, one row of a product computes several neighbouring outputs from all the pixels under them. The
  matrix holds the kernel once for each of these outputs, and zeros elsewhere. This is more arithmetic, but fewer pixels
  are copied, and the product is wide enough to be fast. The outputs lie side by side in the result, so they need not be
  rearranged.

The work is done a few images, or a few rows of a large image, at a time, so that the unfolded rows stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._caching import cached_property
from skcnn._kernels.feature_maps import contiguous_strides, copy_runs, crop, output_size, pad, write_runs
from skcnn._kernels.products import narrow_gradient, narrow_product
from skcnn._values import Pair

Array = NDArray[Any]

UNFOLDED_ELEMENTS = 2**20  # unfolded at a time, or slightly more: 4 MiB in float32


class Band(NamedTuple):
    """All rows of some images, or some rows of one image. Rows are counted in tiles."""

    first_image: int
    n_images: int
    first_tile: int
    n_tiles: int


class Kernels(NamedTuple):
    """Kernels, laid out as the matrices of the products.

    Attributes
    ----------
    matrices : ndarray (n_products, product_length, columns * k)
    bias : ndarray (covered_size[1] * k,) or None
        The bias of one row of the output.
    """

    matrices: Array
    bias: Array | None


class KernelGradients(NamedTuple):
    """Gradients with respect to `Kernels`. The matrices are transposed, since they are computed as d_out.T @ x."""

    matrices: Array
    bias: Array


@dataclass(frozen=True)
class Convolution:
    """One algorithm for a convolution of given shapes. This is the base class of all algorithms.

    Attributes
    ----------
    in_size, kernel_size, stride : pair of int
        Rows and columns. `in_size` is the size of the feature maps with their padding.
    n_channels, n_kernels : int
    columns : int
        The columns of a tile: how many neighbouring outputs one row of a product computes.
    rows : int
        The rows of a tile: how many rows of outputs are computed together.
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
        """How many tiles cover the output, vertically and horizontally."""
        return -(-self.out_size[0] // self.rows), -(-self.out_size[1] // self.columns)

    @cached_property
    def covered_size(self) -> Pair:
        """The rows and columns of outputs in all tiles: at least `out_size`."""
        return self.tiles[0] * self.rows, self.tiles[1] * self.columns

    @cached_property
    def padded_size(self) -> Pair:
        """The size that feature maps must be padded to, so that every tile has all its pixels: at least `in_size`."""
        needed = (
            (covered - 1) * stride + kernel
            for covered, stride, kernel in zip(self.covered_size, self.stride, self.kernel_size, strict=True)
        )
        rows, columns = (max(pixels) for pixels in zip(self.in_size, needed, strict=True))
        return rows, columns

    @cached_property
    def tile_width(self) -> int:
        """How many pixels of a row lie under a tile."""
        return (self.columns - 1) * self.stride[1] + self.kernel_size[1]

    @cached_property
    def product_length(self) -> int:
        """The length of a row of a product's inputs: the elements under a tile in one row of the feature map."""
        return self.tile_width * self.n_channels

    @cached_property
    def n_products(self) -> int:
        """How many products are computed for one row of tiles."""
        raise NotImplementedError

    @cached_property
    def rows_unfolded(self) -> int:
        """How many rows are unfolded for one row of tiles."""
        raise NotImplementedError

    @cached_property
    def _bands(self) -> Callable[[int], tuple[Band, ...]]:
        return lru_cache(maxsize=8)(self._split)  # used several times in every training step

    def prepare(self, W: Array, b: Array | None = None) -> Kernels:
        """Lay out kernels W (kh, kw, c, k), and the bias (k,) if there is one, for `forward`."""
        if b is None:
            return Kernels(self._matrices(W), None)
        bias = np.empty((self.covered_size[1], self.n_kernels), dtype=b.dtype)
        bias[...] = b
        return Kernels(self._matrices(W), bias.reshape(-1))

    def forward(self, x: Array, kernels: Kernels) -> Array:
        """Slide the kernels over the feature maps.

        Parameters
        ----------
        x : ndarray (n, *padded_size, c), C-contiguous
        kernels : Kernels
            The kernels that `prepare` returned.

        Returns
        -------
        ndarray (n, *out_size, k)
        """
        out = np.empty((len(x), *self.covered_size, self.n_kernels), dtype=x.dtype)
        for band in self._bands(len(x)):
            self._forward_band(x, kernels, out, band)
        return crop(out, self.out_size)

    def backward(self, x: Array, d_out: Array) -> KernelGradients:
        """Return the gradients with respect to the prepared kernels and bias, from the gradient of the output."""
        d_out = pad(d_out, ((0, 0), (0, 0)), 0, to=self.covered_size)
        first, *others = self._bands(len(x))
        d_kernels = self._gradients_of_band(x, d_out, first)
        for band in others:
            for total, part in zip(d_kernels, self._gradients_of_band(x, d_out, band), strict=True):
                total += part
        return d_kernels

    def gradients(self, d_kernels: KernelGradients) -> tuple[Array, Array]:
        """Return the gradients with respect to W and b, from those with respect to the prepared kernels."""
        d_matrices, d_bias = d_kernels
        return self._kernel_gradient(d_matrices), d_bias.reshape(-1, self.n_kernels).sum(axis=0)

    def _matrices(self, W: Array) -> Array:
        """Lay out W as the matrices (n_products, product_length, columns * k) of the products."""
        raise NotImplementedError

    def _kernel_gradient(self, gradients: Array) -> Array:
        """Reverse `_matrices` for gradients, which are transposed: return the gradient (kh, kw, c, k)."""
        raise NotImplementedError

    def _forward_band(self, x: Array, kernels: Kernels, out: Array, band: Band) -> None:
        raise NotImplementedError

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        raise NotImplementedError

    def _split(self, n_images: int) -> tuple[Band, ...]:
        """Split the images into bands of nearly equal size, because a small band takes as many calls as a large one."""
        image_elements = self.rows_unfolded * self.tiles[0] * self.tiles[1] * self.tile_width * self.n_channels
        image_parts = _parts(n_images, image_elements)
        single = all(n == 1 for _, n in image_parts)
        tile_parts = _parts(self.tiles[0], image_elements // self.tiles[0]) if single else [(0, self.tiles[0])]
        return tuple(Band(*images, *tiles) for images in image_parts for tiles in tile_parts)

    def _outputs(self, out: Array, band: Band) -> Array:
        """View the outputs of a band: (images, rows, columns of the feature map, k)."""
        image, n_images, tile, n_tiles = band
        return out[image : image + n_images, tile * self.rows : (tile + n_tiles) * self.rows]

    def _tiled(self, W: Array) -> Array:
        """Repeat kernel rows (rows, kw, c, k) for every column of a tile: (rows, tile_width * c, columns * k)."""
        n_rows, kw, c, k = W.shape
        tiled = np.zeros((n_rows, self.tile_width, c, self.columns, k), dtype=W.dtype)
        row_bytes, pixel_bytes, channel_bytes, column_bytes, _ = tiled.strides
        diagonal_bytes = self.stride[1] * pixel_bytes + column_bytes  # from one column and its pixels to the next
        strides = row_bytes, diagonal_bytes, pixel_bytes, channel_bytes
        write_runs(tiled, (n_rows, self.columns, kw, c), strides, W[:, np.newaxis])
        return tiled.reshape(n_rows, self.tile_width * c, self.columns * k)

    def _untiled(self, gradients: Array) -> Array:
        """Sum the gradients (rows, columns * k, tile_width * c) over the columns of a tile: (rows, kw, c, k)."""
        n_rows, c, k = len(gradients), self.n_channels, self.n_kernels
        row_bytes, output_bytes, input_bytes = gradients.strides
        diagonal_bytes = k * output_bytes + self.stride[1] * c * input_bytes
        by_column: Array = np.ndarray(
            (n_rows, self.columns, self.kernel_size[1], c, k),
            gradients.dtype,
            buffer=gradients,
            strides=(row_bytes, diagonal_bytes, c * input_bytes, input_bytes, output_bytes),
        )
        return np.ascontiguousarray(by_column.sum(axis=1))


def _parts(count: int, elements_each: int) -> list[tuple[int, int]]:
    """Split `count` items into parts (first, length) of about UNFOLDED_ELEMENTS elements and nearly equal length."""
    n_parts = min(count, max(1, round(count * elements_each / UNFOLDED_ELEMENTS)))
    size, longer = divmod(count, n_parts) if n_parts else (0, 0)
    return [(i * size + min(i, longer), size + (i < longer)) for i in range(n_parts)]


class Direct(Convolution):
    """One product for each row of the kernel, with the rows of the feature map under it."""

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
        inputs = self._inputs(x, band)
        part = self._outputs(out, band)
        sums = part.reshape(band.n_images, -1, first.shape[1])
        narrow_product(next(inputs), first, out=sums)
        for input_rows, matrix in zip(inputs, others, strict=True):
            sums += narrow_product(input_rows, matrix)
        if bias is not None:
            part_rows = part.reshape(-1, len(bias))
            part_rows += bias

    def _gradients_of_band(self, x: Array, d_out: Array, band: Band) -> KernelGradients:
        d_part = self._outputs(d_out, band)
        d_rows = d_part.reshape(band.n_images, -1, self.columns * self.n_kernels)
        d_matrices = [narrow_gradient(d_rows, input_rows).sum(axis=0) for input_rows in self._inputs(x, band)]
        d_bias = d_part.reshape(-1, self.covered_size[1] * self.n_kernels).sum(axis=0)
        return KernelGradients(np.stack(d_matrices), d_bias)

    def _inputs(self, x: Array, band: Band) -> Iterator[Array]:
        """Yield the inputs of each product: the unfolded pixels of the band under one row of the kernel.

        Each is an array (images, positions, product_length).
        """
        unfolded = self._unfold(x, band)
        n_images, _, _, length = unfolded.shape
        stride = self.stride[0]
        for u in range(self.kernel_size[0]):
            input_rows = unfolded[:, u : u + stride * (band.n_tiles - 1) + 1 : stride]
            yield input_rows.reshape(n_images, -1, length)

    def _unfold(self, x: Array, band: Band) -> Array:
        """Copy the pixels under every tile of every row: (images, rows, tiles, tile_width * c)."""
        image_bytes, row_bytes, pixel_bytes, _ = contiguous_strides(x)
        n_rows = (band.n_tiles - 1) * self.stride[0] + self.kernel_size[0]
        return copy_runs(
            x,
            offset=band.first_image * image_bytes + band.first_tile * self.stride[0] * row_bytes,
            shape=(band.n_images, n_rows, self.tiles[1]),
            strides=(image_bytes, row_bytes, self.columns * self.stride[1] * pixel_bytes),
            length=self.tile_width * self.n_channels,
        )


class Patches(Direct):
    """One product of whole patches (im2col): the textbook algorithm, and the fastest one for few channels."""

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

    def _inputs(self, x: Array, band: Band) -> Iterator[Array]:
        image_bytes, row_bytes, pixel_bytes, _ = contiguous_strides(x)
        patches = copy_runs(
            x,
            offset=band.first_image * image_bytes + band.first_tile * self.stride[0] * row_bytes,
            shape=(band.n_images, band.n_tiles, self.tiles[1], self.kernel_size[0]),
            strides=(image_bytes, self.stride[0] * row_bytes, self.columns * self.stride[1] * pixel_bytes, row_bytes),
            length=self.tile_width * self.n_channels,
        )
        yield patches.reshape(band.n_images, -1, self.product_length)
