"""Lowering: the user's layers, translated into steps that compute the same faster.

A convolution of few channels is a narrow matrix product over many short patches, and copying the patches costs more
than the product. Seen in blocks of 2x2 pixels, a map (h, w, c) is one of (h/2, w/2, 4c), and the same convolution is
one from 4c to 4k channels at a quarter of the positions: its kernels are the original ones, in the four places that
they can take in a block, and zeros. That is more arithmetic, but wide products and long runs to copy.

Parameters and gradients keep their public form, and layers know nothing of blocks: the network asks for its `steps`
once, and runs these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.kernels import Widths, column_sums, correlate, input_gradient, kernel_gradient, pad
from skcnn.layers import Conv2D, Layer, LeakyReLU, ReLU, Sigmoid, Tanh
from skcnn.layers.base import Backward, Forward, Params, Rng, Shape
from skcnn.values import Pair, pair

__all__ = ["Step", "lower"]

Array = NDArray[Any]
ELEMENTWISE = (ReLU, LeakyReLU, Sigmoid, Tanh)  # these compute the same in blocks

# The cost rule, in microseconds on one core of an AVX-512 machine, float32. It only has to rank two ways of computing.
PER_COPIED_RUN = 6e-3  # a run of a patch, one kernel row of it: short ones cost about the same whatever their length
PER_MULTIPLY_ADD = 2.4e-5
PER_RELAYOUT = 2.0


@dataclass(frozen=True)
class Step:
    """One computation of a network: a layer, and the position of the parameters it uses, or None."""

    layer: Layer
    source: int | None


def lower(layers: Sequence[Layer], shapes: Sequence[Shape]) -> tuple[Step, ...]:
    """Translate layers into steps.

    Parameters
    ----------
    layers : sequence of Layer
    shapes : sequence of tuple of int
        The input's shape and each layer's output shape, without the batch axis.
    """
    return tuple(_steps(layers, shapes))


def _steps(layers: Sequence[Layer], shapes: Sequence[Shape]) -> Iterator[Step]:
    in_blocks = False
    for index, (layer, in_shape, out_shape) in enumerate(zip(layers, shapes[:-1], shapes[1:], strict=True)):
        if type(layer) is Conv2D and pays_in_blocks(layer, in_shape, out_shape):
            if not in_blocks:
                yield Step(_ToBlocks(), None)
            in_blocks = True
            yield Step(_BlockConv2D(layer, in_shape, out_shape), index)
            continue
        if in_blocks and type(layer) not in ELEMENTWISE:
            in_blocks = False
            yield Step(_FromBlocks(), None)
        yield Step(layer, index)
    if in_blocks:
        yield Step(_FromBlocks(), None)


def fits_in_blocks(conv: Conv2D, in_shape: Shape, out_shape: Shape) -> bool:
    """Whether a convolution can be computed in blocks: at every position, between maps of even sizes."""
    return pair(conv.stride) == (1, 1) and all(size % 2 == 0 for size in (*in_shape[:2], *out_shape[:2]))


def pays_in_blocks(conv: Conv2D, in_shape: Shape, out_shape: Shape) -> bool:
    """Whether it is faster so, by the cost rule."""
    if not fits_in_blocks(conv, in_shape, out_shape):
        return False
    positions, (kh, kw) = out_shape[0] * out_shape[1], pair(conv.kernel_size)
    places = _places(pair(conv.kernel_size), _before(conv, in_shape), in_shape[2], out_shape[2])
    plain = positions * (kh * PER_COPIED_RUN + kh * kw * in_shape[2] * out_shape[2] * PER_MULTIPLY_ADD)
    blocks = positions / 4 * (places.shape[0] * PER_COPIED_RUN + places.size * PER_MULTIPLY_ADD)
    return blocks + PER_RELAYOUT < plain


def _before(conv: Conv2D, in_shape: Shape) -> Pair:
    (top, _), (left, _) = conv.widths(in_shape)
    return top, left


@dataclass(frozen=True)
class _Places:
    """Where a kernel stands in the blocks' kernel.

    Attributes
    ----------
    shape : (rows, columns, 4 * c, 4 * k)
        Of the blocks' kernel.
    before : pair of int
        The padding above and to the left, in blocks.
    index : ndarray of int (4, kh * kw * c * k)
        For each pixel of an output block, where in the blocks' kernel, flattened, the numbers of W stand.
    """

    shape: tuple[int, int, int, int]
    before: Pair
    index: Array

    @property
    def size(self) -> int:
        rows, columns, inputs, outputs = self.shape
        return rows * columns * inputs * outputs

    def expand(self, W: Array) -> Array:
        """Put W (kh, kw, c, k) into its four places, and zeros elsewhere."""
        expanded = np.zeros(self.size, dtype=W.dtype)
        expanded[self.index] = W.ravel()
        return expanded.reshape(self.shape)

    def gather(self, d_expanded: Array, shape: Shape) -> Array:
        """Add up the gradient from the four places of each number of W."""
        gathered: Array = d_expanded.ravel()[self.index].sum(axis=0)
        return gathered.reshape(shape)


@lru_cache(maxsize=64)
def _places(size: Pair, before: Pair, c: int, k: int) -> _Places:
    """Work out the places of a kernel of `size` from c to k channels, with padding `before` it.

    Output pixel 2 * i + a of an axis sees, through kernel row u, the input pixel 2 * i + a + u - before. That is pixel
    (a + u - before) % 2 of the block (a + u - before) // 2 blocks on.
    """
    axes = []
    for length, padding in zip(size, before, strict=True):
        offset = np.arange(2)[:, np.newaxis] + np.arange(length) - padding  # (a, u)
        axes.append((offset // 2 - offset.min() // 2, offset % 2, int(offset.max() // 2 - offset.min() // 2 + 1)))
    (rows, pixel_rows, n_rows), (columns, pixel_columns, n_columns) = axes
    # axes of the index: a, b (the output's pixel in its block), u, v (in the kernel), input and output channel
    row, pixel_row = rows[:, None, :, None, None, None], pixel_rows[:, None, :, None, None, None]
    column, pixel_column = columns[None, :, None, :, None, None], pixel_columns[None, :, None, :, None, None]
    input_channel = (pixel_row * 2 + pixel_column) * c + np.arange(c)[:, None]
    output_pixel = np.arange(4).reshape(2, 2)[:, :, None, None, None, None]
    output_channel = output_pixel * k + np.arange(k)
    index = ((row * n_columns + column) * 4 * c + input_channel) * 4 * k + output_channel
    blocks_before = ((before[0] + 1) // 2, (before[1] + 1) // 2)
    return _Places((n_rows, n_columns, 4 * c, 4 * k), blocks_before, np.ascontiguousarray(index.reshape(4, -1)))


@dataclass(frozen=True, repr=False)
class _ToBlocks(Layer):
    """(h, w, c) -> (h/2, w/2, 4c): the pixels of a block row by row, each with its channels."""

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        return to_blocks(x), None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        return from_blocks(d_out), {}


@dataclass(frozen=True, repr=False)
class _FromBlocks(Layer):
    """The way back."""

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        return from_blocks(x), None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        return to_blocks(d_out), {}


def to_blocks(x: Array) -> Array:
    """Gather each 2x2 block's channels: (n, h, w, c) -> (n, h/2, w/2, 4c)."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 2, w // 2, 4 * c)


def from_blocks(x: Array) -> Array:
    """Spread each block's channels: (n, h/2, w/2, 4c) -> (n, h, w, c)."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


@dataclass(frozen=True, repr=False)
class _BlockConv2D(Layer):
    """`conv` between maps in blocks."""

    conv: Conv2D
    in_shape: Shape
    out_shape: Shape

    def _places(self) -> _Places:
        before = _before(self.conv, self.in_shape)
        return _places(pair(self.conv.kernel_size), before, self.in_shape[2], self.out_shape[2])

    def _widths(self, places: _Places) -> Widths:
        height, width = (
            (places.before[i], self.out_shape[i] // 2 + places.shape[i] - 1 - self.in_shape[i] // 2 - places.before[i])
            for i in (0, 1)
        )
        return height, width

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        places = self._places()
        expanded = places.expand(params["W"])
        padded = pad(x, self._widths(places), self.conv.pad_value)
        out = correlate(padded, expanded, (1, 1))
        if "b" in params:
            out += (
                np.concatenate([params["b"]] * 4) if self.conv.bias == "kernel" else to_blocks(params["b"][np.newaxis])
            )
        return out, (padded, expanded) if train else None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        padded, expanded = cache
        places = self._places()
        d_expanded = kernel_gradient(padded, d_out, places.shape[:2], (1, 1))
        grads = {"W": places.gather(d_expanded, params["W"].shape)}
        if self.conv.bias == "kernel":
            grads["b"] = column_sums(d_out).reshape(4, -1).sum(axis=0)
        elif self.conv.bias == "position":
            grads["b"] = from_blocks(d_out.sum(axis=0, keepdims=True))[0]
        if not need_d_x:
            return None, grads
        size = (self.in_shape[0] // 2, self.in_shape[1] // 2)
        return input_gradient(d_out, expanded, (1, 1), places.before, size), grads
