"""Private layers that compute with compiled kernels, for ``backend="numba"``. Importing this module imports numba.

`join` replaces neighbouring layers of a chain by one of them, if it computes the same. So a convolution, the bias, ReLU
and a pool after it take one compiled call, in which intermediate results stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from skcnn._kernels.compiled import convolution
from skcnn._kernels.winograd import transforms
from skcnn._values import Pair, pair
from skcnn.layers.activations import ReLU
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Shape
from skcnn.layers.conv import Conv2D, pad_width_for
from skcnn.layers.norm import BatchNorm
from skcnn.layers.pool import MaxPool2D, MinPool2D

__all__ = ["CompiledConvolution", "join"]

MOST_IN_WINDOW = 255  # pixels of a pool's window
WINOGRAD_CHANNELS = 8  # at least; with fewer, its products are too narrow
BYTES_IN_CACHE = 2**20  # of Winograd's values, for as many images as are computed together
NO_WINDOW = (0, 0, 0, 0, 0)


def join(layers: Sequence[Layer], train: bool) -> tuple[Layer, int] | None:
    """Return a layer that computes the first few of these layers, and how many they are, or None."""
    conv, *others = layers
    if not _is_compiled(conv):
        return None
    rest = iter([*others, None, None, None])
    following = next(rest)
    norm = relu = pool = None
    # the types must be exactly these, because a subclass may compute something else
    if type(following) is BatchNorm and not train:
        norm, following = following, next(rest)
    if type(following) is ReLU:
        relu, following = following, next(rest)
    if isinstance(following, MaxPool2D | MinPool2D) and _is_compiled_pool(following):
        pool = following
    joined = CompiledConvolution(conv, norm, relu is not None, pool)
    return joined, 1 + sum(layer is not None for layer in (norm, relu, pool))


def _is_compiled(layer: Layer) -> TypeGuard[Conv2D]:
    return isinstance(layer, Conv2D) and type(layer) is Conv2D and layer.bias != "position" and layer.pad_value == 0


def _is_compiled_pool(pool: MaxPool2D | MinPool2D) -> bool:
    rows, columns = pair(pool.pool_size)
    return type(pool) in (MaxPool2D, MinPool2D) and rows * columns <= MOST_IN_WINDOW


class _Plan(NamedTuple):
    """How to convolve images of one shape.

    Attributes
    ----------
    size : (int, int)
        The rows and columns of the convolution's output.
    tiling : (int, int)
        Rows and columns of Winograd's tiles, and how many images are computed at a time; or 0 and 1 if the convolution
        is computed directly.
    geometry : tuple of int
        See `skcnn._kernels.compiled.direct`.
    """

    size: Pair
    tiling: Pair
    geometry: tuple[int, int, int, int, int, int, int]


@lru_cache(maxsize=1024)
def _plan(conv: Conv2D, in_shape: Shape, itemsize: int) -> _Plan:
    rows, columns, k = conv.out_shape(in_shape)
    size, stride, c = pair(conv.kernel_size), pair(conv.stride), in_shape[2]
    (top, _), (left, _) = pad_width_for(conv.padding, size, stride, in_shape[:2])
    m = {(3, 3): 4, (5, 5): 2}.get(size, 0) if stride == (1, 1) and min(c, k) >= WINOGRAD_CHANNELS else 0
    group = 1
    if m:
        values = 36 * -(-rows // m) * -(-columns // m) * (c + k) * itemsize
        group = max(1, BYTES_IN_CACHE // values)
    per_tile = _per_tile(columns, c, k)
    return _Plan((rows, columns), (m, group), (*size, *stride, top, left, per_tile))


def _per_tile(columns: int, c: int, k: int) -> int:
    """Return how many neighbouring outputs one row of a product computes: few channels make wide products."""
    wanted = 1 if c * k >= 256 else 4
    return next((n for n in range(min(wanted, columns), 1, -1) if columns % n == 0), min(wanted, columns))


class _Prepared(NamedTuple):
    plan: _Plan
    kernels: Array
    bias: Array
    window: tuple[int, int, int, int, int]


@dataclass(frozen=True, repr=False)
class CompiledConvolution(Layer):
    """A convolution, and what follows it: batch normalisation (only in prediction), ReLU, and a max or min pool."""

    conv: Conv2D
    norm: BatchNorm | None
    relu: bool
    pool: MaxPool2D | MinPool2D | None

    def out_shape(self, in_shape: Shape) -> Shape:
        between = self.conv.out_shape(in_shape)
        return self.pool.out_shape(between) if self.pool else between

    @property
    def _is_alone(self) -> bool:
        return not (self.norm or self.relu or self.pool)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        own = params if self._is_alone else params["0"]
        W = own["W"]
        bias = own.get("b", np.zeros(W.shape[3], W.dtype))
        if self.norm:
            factor, term = self.norm.in_prediction(params["1"], context.state["1"])
            W, bias = W * factor, bias * factor + term
        plan = _plan(self.conv, in_shape, W.itemsize)
        kernels = _values_of_kernels(W, plan.tiling[0]) if plan.tiling[0] else _tiled(W, plan)
        return _Prepared(plan, kernels, np.ascontiguousarray(bias), self._window())

    def _window(self) -> tuple[int, int, int, int, int]:
        if self.pool is None:
            return NO_WINDOW
        size, stride = self.pool.windows()
        return (*size, *stride, 1 if isinstance(self.pool, MaxPool2D) else -1)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        plan, kernels, bias, window = params
        out = np.empty((len(x), *self.out_shape(x.shape[1:])), x.dtype)
        winners = np.empty(out.shape if self.pool else (0, 0, 0, 0), np.uint8)
        convolution.forward(x, plan.tiling, plan.geometry, kernels, bias, self.relu, window, plan.size, out, winners)
        return out, (x, out, winners) if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        plan, kernels, bias, window = params
        x, out, winners = cache
        d_kernels, d_bias = np.empty_like(kernels), np.zeros_like(bias)
        d_x = np.empty(x.shape if context.need_d_x else (0, 0, 0, 0), x.dtype)
        d_out = np.ascontiguousarray(d_out)
        convolution.backward(
            x, plan.tiling, plan.geometry, kernels, self.relu, window, plan.size, out, winners, d_out, d_kernels,
            d_bias, d_x,
        )  # fmt: skip
        return d_x if context.need_d_x else None, (d_kernels, d_bias)

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        d_kernels, d_bias = d_prepared
        plan = params.plan
        d_W = _kernel_gradient(d_kernels, plan.tiling[0]) if plan.tiling[0] else _untiled(d_kernels, plan, len(d_bias))
        grads = {"W": d_W, "b": d_bias} if self.conv.bias else {"W": d_W}
        return grads if self._is_alone else {"0": grads}


def _values_of_kernels(W: Array, m: int) -> Array:
    """Return Winograd's values (36, c, k) of kernels (r, r, c, k): G @ W @ G.T."""
    r, _, c, k = W.shape
    G = transforms(m, r, W.dtype).G
    along_rows = (G @ W.reshape(r, -1)).reshape(6, r, -1)
    values: Array = np.matmul(G, along_rows).reshape(36, c, k)
    return values


def _kernel_gradient(d_values: Array, m: int) -> Array:
    """Reverse `_values_of_kernels` for gradients: G.T @ d_values @ G."""
    _, c, k = d_values.shape
    r = 7 - m
    G = transforms(m, r, d_values.dtype).G
    along_columns = np.matmul(G.T, d_values.reshape(6, 6, -1))
    d_W: Array = (G.T @ along_columns.reshape(6, -1)).reshape(r, r, c, k)
    return d_W


def _tiled(W: Array, plan: _Plan) -> Array:
    """Repeat the rows of kernels (kh, kw, c, k) for every output of a tile: (kh, length, per_tile * k)."""
    kh, kw, c, k = W.shape
    stride, per_tile = plan.geometry[3], plan.geometry[6]
    tiled = np.zeros((kh, (per_tile - 1) * stride + kw, c, per_tile, k), W.dtype)
    for i in range(per_tile):
        tiled[:, i * stride : i * stride + kw, :, i] = W
    return tiled.reshape(kh, -1, per_tile * k)


def _untiled(d_tiled: Array, plan: _Plan, k: int) -> Array:
    """Reverse `_tiled` for gradients: add up those of all outputs of a tile."""
    kh, kw, _, stride, _, _, per_tile = plan.geometry
    by_output = d_tiled.reshape(kh, (per_tile - 1) * stride + kw, -1, per_tile, k)
    d_W: Array = by_output[:, :kw, :, 0].copy()
    for i in range(1, per_tile):
        d_W += by_output[:, i * stride : i * stride + kw, :, i]
    return d_W
