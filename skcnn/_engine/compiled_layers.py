"""Private layers that compute with compiled kernels, for ``backend="numba"``. Importing this module imports numba.

`join` replaces neighbouring layers of a chain by one of them, if it computes the same. So a convolution, the bias, ReLU
and a pool after it take one compiled call, in which intermediate results stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import int64

from skcnn._kernels.compiled import batch_norm, convolution, dense, dropout, kernels
from skcnn._kernels.winograd import MAX_PRODUCTS, transforms
from skcnn._values import Pair, pair
from skcnn.layers.activations import ReLU
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Exchange, Forward, Layer, Params, Shape
from skcnn.layers.conv import Conv2D, pad_width_for
from skcnn.layers.dense import Dense
from skcnn.layers.dropout import Dropout
from skcnn.layers.norm import BatchNorm
from skcnn.layers.pool import MaxPool2D, MinPool2D

__all__ = [
    "CompiledConvolution",
    "CompiledDense",
    "CompiledDropout",
    "CompiledNorm",
    "CompiledNormedConvolution",
    "join",
]

MOST_IN_WINDOW = 255  # pixels of a pool's window
WINOGRAD_TILES = {(3, 3): 4, (5, 5): 2}  # the rows and columns of outputs in a tile, for each kernel
WINOGRAD_CHANNELS = 8  # at least, for Winograd's algorithm along both axes; with fewer, the products are too narrow
SHIFTED_CHANNELS = 4  # at most
NARROW = 16  # columns of a product: fewer are slow
BYTES_IN_CACHE = 2**20  # of Winograd's values, for as many images as are computed together
NO_WINDOW = (0, 0, 0, 0, 0)


def join(layers: Sequence[Layer], train: bool) -> tuple[Layer, int] | None:
    """Return a layer that computes the first few of these layers, and how many they are, or None."""
    # the types must be exactly these, because a subclass may compute something else
    rest: list[Any] = [*layers, None, None, None]
    if train and type(rest[0]) is Dropout and rest[0].rate:
        return CompiledDropout(rest[0]), 1
    if type(rest[0]) is Dense and (train or type(rest[1]) is not BatchNorm):
        is_joined = type(rest[1]) is ReLU
        return CompiledDense(rest[0], is_joined), 1 + is_joined
    conv = rest.pop(0) if _is_compiled(rest[0]) else None
    norm: Any = rest.pop(0) if type(rest[0]) is BatchNorm and (conv or train) else None
    if conv is norm is None:
        return None
    relu = rest.pop(0) if type(rest[0]) is ReLU else None
    pool = rest[0] if _is_compiled_pool(rest[0]) else None
    n_layers = sum(layer is not None for layer in (conv, norm, relu, pool))
    after = _After(relu is not None, pool)
    if conv is None:
        return CompiledNorm(norm, after), n_layers
    if norm and train:
        return CompiledNormedConvolution(conv, norm, after), n_layers
    return CompiledConvolution(conv, norm, after), n_layers


def _is_compiled(layer: Layer) -> bool:
    return type(layer) is Conv2D and layer.bias != "position" and layer.pad_value == 0


def _is_compiled_pool(layer: Layer | None) -> bool:
    if not isinstance(layer, MaxPool2D | MinPool2D) or type(layer) not in (MaxPool2D, MinPool2D):
        return False
    rows, columns = pair(layer.pool_size)
    return rows * columns <= MOST_IN_WINDOW


class _After(NamedTuple):
    """What follows a convolution or batch normalisation."""

    relu: bool
    pool: MaxPool2D | MinPool2D | None

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.pool.out_shape(in_shape) if self.pool else in_shape

    def winners(self, out: Array) -> Array:
        """Return memory for the winners of the pool."""
        return np.empty(out.shape if self.pool else (0, 0, 0, 0), np.uint8)

    def window(self) -> tuple[int, int, int, int, int]:
        """Return how the pool moves and what it keeps, see `skcnn._kernels.compiled.convolution`."""
        if self.pool is None:
            return NO_WINDOW
        size, stride = self.pool.windows()
        return (*size, *stride, 1 if isinstance(self.pool, MaxPool2D) else -1)


class _Plan(NamedTuple):
    """How to convolve images of one shape.

    Attributes
    ----------
    tiling, geometry, transforms, window, size : tuple
        See `skcnn._kernels.compiled.convolution`.
    G : ndarray
        See `skcnn._kernels.compiled.kernels`.
    n_channels : int
        Of the images.
    between, out_shape : tuple of int
        The shapes of the outputs of the convolution, and of what follows it.
    """

    tiling: tuple[int, int, int]
    geometry: tuple[int, int, int, int, int, int, int, int]
    transforms: tuple[Array, Array]
    G: Array
    window: tuple[int, int, int, int, int]
    size: Pair
    n_channels: int
    between: Shape
    out_shape: Shape


@lru_cache(maxsize=1024)
def _plan(conv: Conv2D, after: _After, in_shape: Shape, dtype: np.dtype[Any]) -> _Plan:
    between = conv.out_shape(in_shape)
    rows, columns, k = between
    (kh, kw), stride, c = pair(conv.kernel_size), pair(conv.stride), in_shape[2]
    (top, _), (left, _) = pad_width_for(conv.padding, (kh, kw), stride, in_shape[:2])
    most = BYTES_IN_CACHE // dtype.itemsize
    is_winograd = (kh, kw) in WINOGRAD_TILES and stride == (1, 1) and min(c, k) >= WINOGRAD_CHANNELS
    per_tile, depth = 1, kh
    A = G = B = np.empty(0, dtype)
    if is_winograd:
        m = WINOGRAD_TILES[kh, kw]
        G = transforms(m, kh, dtype).G
        tiling = convolution.WINOGRAD, m, max(1, most // (36 * -(-rows // m) * -(-columns // m) * (c + k)))
    elif stride == (1, 1) and c <= SHIFTED_CHANNELS:
        columns += kw - 1
        tiling = convolution.SHIFTED, 1, max(1, most // 8 // (kh * kw * c * columns))
    else:
        per_tile = _per_tile(columns, k)
        m = max(1, min(4, MAX_PRODUCTS + 1 - kh, rows)) if stride[0] == 1 and kh > 1 else 1
        if m > 1:
            depth, (A, G, B) = 1, transforms(m, kh, dtype)
        length = depth * ((per_tile - 1) * stride[1] + kw) * c
        of_row = -(-columns // per_tile) * 2 * (m + kh) * (length + per_tile * k)
        tiling = convolution.ROWS, m, min(max(1, most // 2 // of_row), -(-rows // m))
    geometry = (kh, kw, *stride, top, left, per_tile, depth)
    matrices, size = (A.reshape(-1), B.reshape(-1)), (rows, columns)
    return _Plan(tiling, geometry, matrices, G.reshape(-1), after.window(), size, c, between, after.out_shape(between))


def _per_tile(columns: int, k: int) -> int:
    """Return how many neighbouring outputs one row of a product computes: few channels make wide products."""
    wanted = min(-(-NARROW // k), columns)
    return next((n for n in range(wanted, 2 * wanted) if columns % n == 0), wanted)


class _Kernels(NamedTuple):
    """The kernels of a convolution, prepared for images of one shape."""

    plan: _Plan
    matrices: Array
    affine: Array

    @classmethod
    def prepare(cls, conv: Conv2D, after: _After, in_shape: Shape, W: Array, bias: Array | float) -> _Kernels:
        plan = _plan(conv, after, in_shape, W.dtype)
        affine = np.zeros((4, W.shape[3]), W.dtype)
        affine[1::2], affine[2] = 1, bias
        return cls(plan, _matrices(W, plan), affine)

    def forward(self, x: Array, relu: bool, out: Array, winners: Array, sums: Array) -> None:
        tiling, geometry, AB, _, window, size, _, _, _ = self.plan
        convolution.forward(x, tiling, geometry, AB, self.matrices, self.affine, relu, window, size, out, winners, sums)

    def backward(
        self, x: Array, after: _After, out: Array, winners: Array, d_out: Array, norm: tuple[Array, Array, Array],
        has_bias: bool, need_d_x: bool,
    ) -> Backward:  # fmt: skip
        tiling, geometry, AB, _, _, size, _, between, _ = self.plan
        is_turned = tiling[0] == convolution.ROWS
        d_kernels = np.empty(self.matrices.transpose(0, 2, 1).shape if is_turned else self.matrices.shape, x.dtype)
        d_bias = np.zeros(between[2] if has_bias else 0, x.dtype)
        d_x = np.empty(x.shape if need_d_x else (0, 0, 0, 0), x.dtype)
        convolution.backward(
            x, tiling, geometry, AB, self.matrices, after.relu, after.window(), size, out, winners,
            _plain(d_out, x.dtype), *norm, d_kernels, d_bias, d_x,
        )  # fmt: skip
        return d_x if need_d_x else None, (d_kernels, d_bias)

    def gradients(self, conv: Conv2D, d_prepared: Any) -> Params:
        d_kernels, d_bias = d_prepared
        d_W = _kernel_gradient(d_kernels, self.plan)
        return {"W": d_W, "b": d_bias} if conv.bias else {"W": d_W}


@dataclass(frozen=True, repr=False)
class CompiledConvolution(Layer):
    """A convolution, and what follows it: batch normalisation (only in prediction), ReLU, and a max or min pool."""

    conv: Conv2D
    norm: BatchNorm | None
    after: _After

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
        return _Kernels.prepare(self.conv, self.after, in_shape, W, bias)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        x = _plain(x, params.matrices.dtype)
        out = np.empty((len(x), *params.plan.out_shape), x.dtype)
        winners = self.after.winners(out)
        params.forward(x, self.after.relu, out, winners, np.empty((0, 0, 0), x.dtype))
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


class _NormCache(NamedTuple):
    x: Array
    out: Array
    winners: Array
    deviation: Array  # (c,)
    weight: Array  # (n,), or empty if all weights are 1
    total: Any  # the number of pixels in the batch, or the sum of their weights
    mean: Array  # (c,)
    variance: Array | None  # (c,); None if the batch has only one pixel


@dataclass(frozen=True, repr=False)
class CompiledNorm(Layer):
    """Batch normalisation in training, and what follows it: ReLU, and a max or min pool. See `BatchNorm`."""

    depends_on_batch: ClassVar[bool] = True

    norm: BatchNorm
    after: _After

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.after.out_shape(in_shape)

    @property
    def _is_alone(self) -> bool:
        return not (self.after.relu or self.after.pool)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        return params if self._is_alone else params["0"]

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Exchange[Forward]:
        maps = _as_maps(_plain(x, params["scale"].dtype))
        sums = np.empty((len(maps), 3, maps.shape[3]), maps.dtype)
        batch_norm.measure(maps, int64(0), int64(len(maps)), sums)
        out, cache = yield from self.normalise(params, maps, sums, context)
        return out.reshape(len(x), *self.out_shape(x.shape[1:])), cache

    def normalise(self, params: Params, maps: Array, sums: Array, context: Context) -> Exchange[Forward]:
        """Return the output for feature maps with known sums, see `skcnn._kernels.compiled.batch_norm.measure`."""
        assert context.n_samples is not None
        positions = maps.shape[1] * maps.shape[2]
        weight = np.ones(len(maps), maps.dtype) if context.weight is None else context.weight.astype(maps.dtype)
        means, rests, squares = sums.swapaxes(0, 1)
        both = yield np.append(weight @ (positions * means + rests), weight.sum())
        total = both[-1] * positions
        if context.weight is None:  # exactly, even if it is too large for a float32
            weight, total = np.empty(0, maps.dtype), maps.dtype.type(context.n_samples * positions)
        mean = both[:-1] / total
        around = means - mean
        of_images = squares + around * (2 * rests + positions * around)
        variance = (yield weight @ of_images if weight.size else of_images.sum(axis=0)) / total
        deviation = np.sqrt(variance + maps.dtype.type(self.norm.epsilon))
        factor = params["scale"] / deviation
        affine = np.stack([mean, factor, params["shift"], np.where(factor < 0, -1, 1)], dtype=maps.dtype)
        out = np.empty((len(maps), *self.after.out_shape(maps.shape[1:])), maps.dtype)
        winners = self.after.winners(out)
        batch_norm.normalise(maps, affine, self.after.relu, self.after.window(), out, winners)
        known_variance = None if context.n_samples * positions == 1 else variance
        return out, _NormCache(maps, out, winners, deviation, weight, total, mean, known_variance)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Exchange[Backward]:
        d_maps = _as_maps(_plain(d_out, cache.x.dtype))
        slopes, grads = yield from self.slopes(params, cache, d_maps)
        d_x = np.empty_like(cache.x)
        batch_norm.gradients(
            d_maps, cache.out, cache.winners, self.after.relu, self.after.window(), cache.x, slopes, cache.weight, d_x
        )
        return d_x.reshape(len(d_x), *([] if d_out.ndim == 2 else d_x.shape[1:3]), d_x.shape[3]), grads

    def slopes(self, params: Params, cache: Any, d_out: Array) -> Exchange[tuple[Array, Params]]:
        """Return the `slopes` of `skcnn._kernels.compiled.batch_norm.to_gradients`, and the gradients."""
        x, out, winners, deviation, _, total, mean, _ = cache
        sums = np.zeros((2, len(mean)), x.dtype)
        batch_norm.add_gradient_sums(d_out, out, winners, self.after.relu, self.after.window(), x, mean, sums)
        sums[1] /= deviation
        grads = {"scale": sums[1].copy(), "shift": sums[0].copy()}
        all_shift, all_scale = yield sums
        factor = params["scale"] / deviation
        slope, constant = factor * all_scale / (deviation * total), factor * all_shift / total
        return np.stack([mean, factor, slope, constant]), grads

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        return d_prepared if self._is_alone else {"0": d_prepared}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        state = self.norm.initial_state(in_shape, dtype)
        return state if self._is_alone else {"0": state}

    def next_state(self, state: Params, cache: Any) -> Params:
        new = self.norm.next_state(state if self._is_alone else state["0"], cache)
        return new if self._is_alone else {"0": new}


_NOTHING_AFTER = _After(False, None)


@dataclass(frozen=True, repr=False)
class CompiledNormedConvolution(Layer):
    """A convolution in training, batch normalisation, and what follows it: ReLU, and a max or min pool.

    The sums of batch normalisation are computed while the outputs of the convolution are in the cache, and so are the
    gradients with respect to these outputs.
    """

    depends_on_batch: ClassVar[bool] = True

    conv: Conv2D
    norm: BatchNorm
    after: _After

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.after.out_shape(self.conv.out_shape(in_shape))

    @property
    def _of_norm(self) -> CompiledNorm:
        return CompiledNorm(self.norm, self.after)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        W, bias = params["0"]["W"], params["0"].get("b", 0.0)
        return _Kernels.prepare(self.conv, _NOTHING_AFTER, in_shape, W, bias), params["1"]

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Exchange[Forward]:
        prepared, of_norm = params
        x = _plain(x, prepared.matrices.dtype)
        y = np.empty((len(x), *prepared.plan.between), x.dtype)
        sums = np.empty((len(x), 3, y.shape[3]), x.dtype)
        prepared.forward(x, False, y, _NOTHING_AFTER.winners(y), sums)
        out, cache = yield from self._of_norm.normalise(of_norm, y, sums, context)
        return out, (x, cache)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Exchange[Backward]:
        (prepared, of_norm), (x, normed) = params, cache
        d_out = _plain(d_out, x.dtype)
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


@dataclass(frozen=True, repr=False)
class CompiledDense(Layer):
    """A dense layer, and the ReLU after it."""

    dense: Dense
    relu: bool

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.dense.out_shape(in_shape)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        own = params["0"] if self.relu else params
        W = own["W"]
        return _plain(W, W.dtype), _plain(own.get("b", np.empty(0, W.dtype)), W.dtype)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        W, bias = params
        x = _plain(x, W.dtype)
        out = np.empty((len(x), W.shape[1]), x.dtype)
        dense.forward(x, W, bias, self.relu, out)
        return out, (x, out) if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        (W, bias), (x, out) = params, cache
        d_W, d_bias = np.empty_like(W), np.zeros_like(bias)
        d_x = np.empty(x.shape if context.need_d_x else (0, 0), x.dtype)
        dense.backward(x, W, out, self.relu, _plain(d_out, x.dtype), d_W, d_bias, d_x)
        return d_x if context.need_d_x else None, {"W": d_W, "b": d_bias} if len(bias) else {"W": d_W}

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        return {"0": d_prepared} if self.relu else d_prepared


@dataclass(frozen=True, repr=False)
class CompiledDropout(Layer):
    """Dropout in training, see `Dropout`. The random numbers have 16 bits, so the rate is rounded to 1/65536."""

    draws: ClassVar[bool] = True

    dropout: Dropout

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        assert context.rng is not None
        drawn = np.frombuffer(context.rng.bytes(2 * x.size), np.uint16)
        return self._drop(x, drawn), drawn

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return self._drop(d_out, cache), {}

    def _drop(self, x: Array, drawn: Array) -> Array:
        x = _plain(x, x.dtype)
        out = np.empty_like(x)
        rate = min(round(self.dropout.rate * 2**16), 2**16 - 1)
        factor = x.dtype.type(2**16 / (2**16 - rate))
        dropout.drop(x.reshape(-1), drawn, np.uint16(rate), factor, out.reshape(-1))
        return out


def _plain(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return x itself, or a writable and contiguous copy of a dtype, so that no kernel is compiled anew for it."""
    return x if type(x) is np.ndarray and x.flags.carray and x.dtype == dtype else np.array(x, dtype, order="C")


def _as_maps(x: Array) -> Array:
    """View rows (n, c) as feature maps of one pixel."""
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, x.shape[1])


def _matrices(W: Array, plan: _Plan) -> Array:
    """Return the matrices of the products, for kernels W (kh, kw, c, k)."""
    W, (kh, kw, c, k) = _plain(W, W.dtype), W.shape
    algorithm, m, _ = plan.tiling
    _, _, _, stride, _, _, per_tile, _ = plan.geometry
    if algorithm == convolution.SHIFTED:
        return W.reshape(1, -1, k)
    if algorithm == convolution.WINOGRAD:
        matrices = np.empty((36, c, k), W.dtype)
        kernels.matrices_of_tiles(W, plan.G, matrices)
        return matrices
    length = ((per_tile - 1) * stride + kw) * c
    matrices = np.empty((m + kh - 1, length, per_tile * k) if m > 1 else (1, kh * length, per_tile * k), W.dtype)
    kernels.matrices_of_rows(W, stride, per_tile, plan.G, matrices)
    return matrices


def _kernel_gradient(d_matrices: Array, plan: _Plan) -> Array:
    """Reverse `_matrices` for gradients, which are transposed with ROWS."""
    kh, kw, _, stride, _, _, per_tile, _ = plan.geometry
    c, k = plan.n_channels, plan.between[2]
    if plan.tiling[0] == convolution.SHIFTED:
        return d_matrices.reshape(kh, kw, c, k)
    d_W = np.empty((kh, kw, c, k), d_matrices.dtype)
    if plan.tiling[0] == convolution.WINOGRAD:
        kernels.sum_tiles(d_matrices, plan.G, d_W)
    else:
        kernels.add_rows(d_matrices, stride, per_tile, plan.G, d_W)
    return d_W
