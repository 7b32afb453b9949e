"""Fully connected layers, and `Flatten`, which turns feature maps into rows."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from skcnn._kernels.products import times_transposed, weight_gradient
from skcnn.initializers import INITIALIZERS, Initializer, draw, is_initializer
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Rng, Shape, Window

__all__ = ["Dense", "Flatten"]


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """Write each feature map as one row: in (h, w, c), out (h * w * c,).

    Examples
    --------
    >>> Flatten().out_shape((7, 7, 32))
    (1568,)
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        return (prod(in_shape),)

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        return x.reshape(len(x), prod(x.shape[1:])), x.shape if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return d_out.reshape(cache), {}


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """Fully connected layer: ``out = x @ W + b``.

    Parameters
    ----------
    n_units : int
        The number of units, and so the length of the output. At least 1.
    bias : bool, default=True
        Whether each unit has a bias `b`.
    initializer : str or callable, default="he_uniform"
        See `skcnn.initializers`. Biases start at 0.

    Shape
    -----
    in (p,), out (n_units,); `W` (p, n_units), `b` (n_units,).

    Raises
    ------
    ValueError
        On creation, if a field is out of range. In `out_shape`, if the input is a feature map.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Dense(10)
    >>> params = layer.init((100,), np.random.default_rng(0), np.float32)
    >>> params["W"].shape, layer.out_shape((100,))
    ((100, 10), (10,))
    """

    n_units: int
    bias: bool = True
    initializer: Initializer = "he_uniform"

    def __post_init__(self) -> None:
        self._check_count("n_units")
        self._check("bias", isinstance(self.bias, bool | np.bool_), "True or False")
        self._check("initializer", is_initializer(self.initializer), f"callable or one of {INITIALIZERS}")

    def out_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != 1:
            raise ValueError(
                f"needs rows, got feature maps of shape {in_shape}; put Flatten() or GlobalAvgPool2D() before it"
            )
        return (self.n_units,)

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        params: Params = {"W": draw(self.initializer, (in_shape[0], self.n_units), rng, dtype)}
        if self.bias:
            params["b"] = np.zeros(self.n_units, dtype)
        return params

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        out = x @ params["W"]
        if "b" in params:
            out += params["b"]
        return out, x if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        grads = {"W": weight_gradient(cache, d_out)}
        if "b" in params:
            grads["b"] = d_out.sum(axis=0)
        return times_transposed(d_out, params["W"]) if context.need_d_x else None, grads

    def window(self, in_shape: Shape) -> Window | None:
        return None

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        return in_shape[0] * out_shape[0]
