"""Convolutions with what follows them, computed by compiled kernels. Importing this module imports numba.

A convolution, the bias, ReLU and a pool after it take one compiled call. Meanwhile, intermediate results stay in the
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from skcnn._engine.compiled_arguments import NOTHING_AFTER, After, plain
from skcnn._engine.compiled_norm import CompiledNorm
from skcnn._kernels.compiled import convolution, kernels
from skcnn._kernels.compiled.winograd import POINTS
from skcnn._kernels.winograd import MAX_PRODUCTS, transforms
from skcnn._values import Pair, pair
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Exchange, Forward, Layer, Params, Shape
from skcnn.layers.conv import Conv2D, pad_width_for
from skcnn.layers.norm import BatchNorm

__all__ = ["CompiledConvolution", "CompiledNormedConvolution"]

WINOGRAD_TILES = {(3, 3): 4, (5, 5): 2}  # the rows and columns of outputs in a tile, for each kernel
FEWEST_WINOGRAD_CHANNELS = 8  # of the images and of the outputs: with fewer, the products are too narrow
MOST_SHIFTED_CHANNELS = 4
NARROW, WIDE = 16, 64  # columns of a product: fewer than NARROW are slow, and more than WIDE are no faster
BYTES_IN_CACHE = 2**20  # about as much is computed at a time by `winograd`
MATRIX_SHARE, BLOCK_SHARE = 1 / 8, 1 / 4  # of BYTES_IN_CACHE, for `shifted` and `rows`; by measurement
MOST_BYTES = 2**24  # of Winograd's values of one image (both axes); larger images are computed by `rows`


@dataclass(frozen=True, repr=False)
class CompiledConvolution(Layer):
    """A convolution, and what follows it: batch normalisation (only in prediction), ReLU, and a max or min pool."""

    conv: Conv2D
    norm: BatchNorm | None
    after: After

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.after.out_shape(self.conv.out_shape(in_shape))

    @property
    def _is_alone(self) -> bool:
        return not (self.norm or self.after.relu or self.after.pool)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        own = params if self._is_alone else params["0"]
        W, bias = own["W"], own.get("b", 0.0)
        if self.norm:
            factor, term = self.norm.in_prediction(params["1"], context.state["1"])
            W, bias = W * factor, bias * factor + term
        return _Kernels.prepare(self.conv, in_shape, W, bias, context)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        x = plain(x, params.matrices.dtype)
        out = np.empty((len(x), *self.after.out_shape(params.plan.between)), x.dtype)
        winners = self.after.winners(out)
        params.forward(x, self.after, out, winners, np.empty((0, 0, 0), x.dtype))
        return out, (x, out, winners) if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        x, out, winners = cache
        nothing = np.empty((0, 0, 0, 0), x.dtype), np.empty((0, 1), x.dtype), np.empty(0, x.dtype)
        result: Backward = params.backward(
            x, self.after, out, winners, d_out, nothing, self.conv.bias, context.need_d_x
        )
        return result

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        grads = params.gradients(self.conv, d_prepared)
        return grads if self._is_alone else {"0": grads}


@dataclass(frozen=True, repr=False)
class CompiledNormedConvolution(Layer):
    """A convolution in training, batch normalisation, and what follows it: ReLU, and a max or min pool.

    The sums of batch normalisation are computed while the outputs of the convolution are in the cache, and so are the
    gradients with respect to these outputs.
    """

    depends_on_batch: ClassVar[bool] = True

    conv: Conv2D
    norm: BatchNorm
    after: After

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.after.out_shape(self.conv.out_shape(in_shape))

    @property
    def _of_norm(self) -> CompiledNorm:
        return CompiledNorm(self.norm, self.after)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        W, bias = params["0"]["W"], params["0"].get("b", 0.0)
        return _Kernels.prepare(self.conv, in_shape, W, bias, context), params["1"]

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Exchange[Forward]:
        prepared, of_norm = params
        x = plain(x, prepared.matrices.dtype)
        y = np.empty((len(x), *prepared.plan.between), x.dtype)
        sums = np.empty((len(x), 3, y.shape[3]), x.dtype)
        prepared.forward(x, NOTHING_AFTER, y, NOTHING_AFTER.winners(y), sums)
        out, cache = yield from self._of_norm.normalise(of_norm, y, sums, context, context.state.get("1", {}))
        return out, (x, cache)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Exchange[Backward]:
        (prepared, of_norm), (x, normed) = params, cache
        d_out = plain(d_out, x.dtype)
        slopes, d_norm = yield from self._of_norm.slopes(of_norm, normed, d_out)
        d_x, d_kernels = prepared.backward(
            x, self.after, normed.out, normed.winners, d_out, (normed.x, slopes, normed.weight), self.conv.bias,
            context.need_d_x,
        )  # fmt: skip
        return d_x, (d_kernels, d_norm)

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        d_kernels, d_norm = d_prepared
        return {"0": params[0].gradients(self.conv, d_kernels), "1": d_norm}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        return {"1": self.norm.initial_state(self.conv.out_shape(in_shape), dtype)}

    def next_state(self, state: Params, cache: Any) -> Params:
        return {"1": self.norm.next_state(state["1"], cache[1])}


class _Tiling(NamedTuple):
    """The settings of the chosen algorithm; the others are None. See `skcnn._kernels.compiled.convolution`."""

    shifted_block: int | None = None
    rows: tuple[int, int, int] | None = None
    winograd: Pair | None = None


class _Plan(NamedTuple):
    """How to convolve images of one shape.

    Attributes
    ----------
    tiling : _Tiling
    geometry, transforms, size : tuple
        See `skcnn._kernels.compiled.convolution`.
    G : ndarray
        See `skcnn._kernels.compiled.kernels`.
    n_channels : int
        Of the images.
    between : tuple of int
        The shape of the outputs of the convolution.
    """

    tiling: _Tiling
    geometry: tuple[int, int, int, int, int, int, int, int]
    transforms: tuple[Array, Array]
    G: Array
    size: Pair
    n_channels: int
    between: Shape


@lru_cache(maxsize=1024)
def _plan(
    n_kernels: int, kernel_size: int | Pair, stride: int | Pair, padding: Any, in_shape: Shape, dtype: np.dtype[Any]
) -> _Plan:
    between = Conv2D(n_kernels, kernel_size, stride=stride, padding=padding).out_shape(in_shape)
    rows, columns, k = between
    (kh, kw), stride, c = pair(kernel_size), pair(stride), in_shape[2]
    (top, _), (left, _) = pad_width_for(padding, (kh, kw), stride, in_shape[:2])
    in_cache = BYTES_IN_CACHE // dtype.itemsize
    m = WINOGRAD_TILES.get((kh, kw), 1) if stride == (1, 1) and min(c, k) >= FEWEST_WINOGRAD_CHANNELS else 1
    n_values = POINTS * -(-rows // m) * -(-columns // m) * (c + k)
    per_tile, depth, width = 1, kh, columns
    A = G = B = np.empty(0, dtype)
    if m > 1 and n_values * dtype.itemsize <= MOST_BYTES:
        G = transforms(m, kh, dtype).G
        tiling = _Tiling(winograd=(m, max(1, in_cache // n_values)))
    elif stride == (1, 1) and c <= MOST_SHIFTED_CHANNELS:
        width = columns + kw - 1
        tiling = _Tiling(shifted_block=max(NARROW, int(MATRIX_SHARE * in_cache) // (kh * kw * c)))
    else:
        per_tile = _per_tile(columns, k, kw, stride[1])
        m = max(1, min(4, MAX_PRODUCTS + 1 - kh, rows)) if stride[0] == 1 and kh > 1 else 1
        if m > 1:
            depth, (A, G, B) = 1, transforms(m, kh, dtype)
        length = depth * ((per_tile - 1) * stride[1] + kw) * c
        copies = 2 * m + kh - 1 if m > 1 else 1  # what is unfolded, and its values
        of_tile = copies * (length + per_tile * k)
        n_tiles = -(-columns // per_tile)
        in_block = int(BLOCK_SHARE * in_cache) // of_tile  # tiles
        across = min(n_tiles, max(NARROW, in_block))
        band = max(1, in_block // n_tiles) if across == n_tiles else 1
        tiling = _Tiling(rows=(m, min(band, -(-rows // m)), across))
    geometry = (kh, kw, *stride, top, left, per_tile, depth)
    return _Plan(tiling, geometry, (A.reshape(-1), B.reshape(-1)), G.reshape(-1), (rows, width), c, between)


def _per_tile(columns: int, k: int, kw: int, stride: int) -> int:
    """Return how many neighbouring outputs one row of a product computes, so that the product is not narrow.

    Each further output adds `stride` columns of pixels, which meet zeros in the matrix for all other outputs. For long
    kernels, this is little.
    """
    wanted = min(max(-(-NARROW // k), min(WIDE // k, 1 + kw // (8 * stride))), columns)
    return next((n for n in range(wanted, 2 * wanted) if columns % n == 0), wanted)


class _Kernels(NamedTuple):
    """The kernels of a convolution, prepared for images of one shape.

    Attributes
    ----------
    plan : _Plan
    matrices : ndarray
        The matrices of the products.
    backward_matrices : ndarray
        What `skcnn._kernels.compiled.convolution.backward` receives.
    affine : ndarray (4, n_kernels)
        See `skcnn._kernels.compiled.epilogue`.
    """

    plan: _Plan
    matrices: Array
    backward_matrices: Array
    affine: Array

    @classmethod
    def prepare(cls, conv: Conv2D, in_shape: Shape, W: Array, bias: Array | float, context: Context) -> _Kernels:
        plan = _plan(conv.n_kernels, conv.kernel_size, conv.stride, conv.padding, in_shape, W.dtype)
        matrices = backward_matrices = _matrices(W, plan)
        if context.train and context.need_d_x and plan.tiling.shifted_block is None:
            backward_matrices = np.empty((len(matrices), *matrices.shape[:0:-1]), W.dtype)
            kernels.transpose(matrices, backward_matrices)
        affine = np.zeros((4, W.shape[3]), W.dtype)
        affine[1::2], affine[2] = 1, bias
        return cls(plan, matrices, backward_matrices, affine)

    def forward(self, x: Array, after: After, out: Array, winners: Array, sums: Array) -> None:
        plan = self.plan
        convolution.forward(
            x, *plan.tiling, plan.geometry, plan.transforms, self.matrices, self.affine, after.relu, after.window(),
            plan.size, out, winners, sums,
        )  # fmt: skip

    def backward(
        self, x: Array, after: After, out: Array, winners: Array, d_out: Array, norm: tuple[Array, Array, Array],
        has_bias: bool, need_d_x: bool,
    ) -> Backward:  # fmt: skip
        plan, shape = self.plan, self.matrices.shape
        d_kernels = np.empty(shape if plan.tiling.rows is None else (shape[0], shape[2], shape[1]), x.dtype)
        d_bias = np.zeros(plan.between[2] if has_bias else 0, x.dtype)
        d_x = np.empty(x.shape if need_d_x else (0, 0, 0, 0), x.dtype)
        convolution.backward(
            x, *plan.tiling, plan.geometry, plan.transforms, self.backward_matrices, after.relu, after.window(),
            plan.size, out, winners, plain(d_out, x.dtype), *norm, d_kernels, d_bias, d_x,
        )  # fmt: skip
        return d_x if need_d_x else None, (d_kernels, d_bias)

    def gradients(self, conv: Conv2D, d_prepared: Any) -> Params:
        d_kernels, d_bias = d_prepared
        d_W = _kernel_gradient(d_kernels, self.plan)
        return {"W": d_W, "b": d_bias} if conv.bias else {"W": d_W}


def _matrices(W: Array, plan: _Plan) -> Array:
    """Return the matrices of the products, for kernels W (kh, kw, c, k)."""
    W, (kh, kw, c, k) = plain(W, W.dtype), W.shape
    _, _, _, stride, _, _, per_tile, _ = plan.geometry
    if plan.tiling.shifted_block is not None:
        return W.reshape(1, -1, k)
    if plan.tiling.winograd is not None:
        matrices = np.empty((POINTS, c, k), W.dtype)
        kernels.matrices_of_tiles(W, plan.G, matrices)
        return matrices
    length, points = ((per_tile - 1) * stride + kw) * c, plan.G.size // kh
    matrices = np.empty((points, length, per_tile * k) if points else (1, kh * length, per_tile * k), W.dtype)
    kernels.matrices_of_rows(W, stride, per_tile, plan.G, matrices)
    return matrices


def _kernel_gradient(d_matrices: Array, plan: _Plan) -> Array:
    """Reverse `_matrices` for gradients. With `tiling.rows`, they are transposed."""
    kh, kw, _, stride, _, _, per_tile, _ = plan.geometry
    c, k = plan.n_channels, plan.between[2]
    if plan.tiling.shifted_block is not None:
        return d_matrices.reshape(kh, kw, c, k)
    d_W = np.empty((kh, kw, c, k), d_matrices.dtype)
    if plan.tiling.winograd is not None:
        kernels.gradient_of_tiles(d_matrices, plan.G, d_W)
    else:
        kernels.gradient_of_rows(d_matrices, stride, per_tile, plan.G, d_W)
    return d_W
