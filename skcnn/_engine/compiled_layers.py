"""Private layers that compute with compiled kernels, for ``backend="numba"``. Importing this module imports numba.

`join` finds a private layer that computes the first few layers of a chain, so that lowering can replace them by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcnn._engine.compiled_arguments import After, plain
from skcnn._engine.compiled_convolution import CompiledConvolution, CompiledNormedConvolution
from skcnn._engine.compiled_norm import CompiledNorm
from skcnn._kernels.compiled import dense
from skcnn._values import pair
from skcnn.layers.activations import ReLU
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Shape
from skcnn.layers.conv import Conv2D
from skcnn.layers.dense import Dense
from skcnn.layers.norm import BatchNorm
from skcnn.layers.pool import MaxPool2D, MinPool2D

__all__ = ["CompiledDense", "join"]

MOST_IN_WINDOW = 255  # pixels of a pool's window


def join(layers: Sequence[Layer], train: bool) -> tuple[Layer, int] | None:
    """Return a layer that computes the first few of these layers, and how many they are, or None."""
    # the types must be exactly these, because a subclass may compute something else
    rest: list[Any] = [*layers, None, None, None]
    if type(rest[0]) is Dense and (train or type(rest[1]) is not BatchNorm):
        is_joined = type(rest[1]) is ReLU
        return CompiledDense(rest[0], is_joined), 1 + is_joined
    conv = rest.pop(0) if _is_supported(rest[0]) else None
    norm: Any = rest.pop(0) if type(rest[0]) is BatchNorm and (conv or train) else None
    if conv is norm is None:
        return None
    relu = rest.pop(0) if type(rest[0]) is ReLU else None
    pool = rest[0] if _is_supported_pool(rest[0]) else None
    n_layers = sum(layer is not None for layer in (conv, norm, relu, pool))
    after = After(relu is not None, pool)
    if conv is None:
        return CompiledNorm(norm, after), n_layers
    if norm and train:
        return CompiledNormedConvolution(conv, norm, after), n_layers
    return CompiledConvolution(conv, norm, after), n_layers


def _is_supported(layer: Layer) -> bool:
    return type(layer) is Conv2D and layer.bias != "position" and layer.pad_value == 0


def _is_supported_pool(layer: Layer | None) -> bool:
    if not isinstance(layer, MaxPool2D | MinPool2D) or type(layer) not in (MaxPool2D, MinPool2D):
        return False
    rows, columns = pair(layer.pool_size)
    return rows * columns <= MOST_IN_WINDOW


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
        return plain(W, W.dtype), plain(own.get("b", np.empty(0, W.dtype)), W.dtype)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        W, bias = params
        x = plain(x, W.dtype)
        out = np.empty((len(x), W.shape[1]), x.dtype)
        dense.forward(x, W, bias, self.relu, out)
        return out, (x, out) if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        (W, bias), (x, out) = params, cache
        d_W, d_bias = np.empty_like(W), np.zeros_like(bias)
        d_x = np.empty(x.shape if context.need_d_x else (0, 0), x.dtype)
        dense.backward(x, W, out, self.relu, plain(d_out, x.dtype), d_W, d_bias, d_x)
        return d_x if context.need_d_x else None, {"W": d_W, "b": d_bias} if len(bias) else {"W": d_W}

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        return {"0": d_prepared} if self.relu else d_prepared
