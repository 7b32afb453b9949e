"""Rows of numbers: flattening maps into them, and the fully connected layer on them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from skcnn._kernels.products import times_transposed, weight_gradient
from skcnn.initializers import INITIALIZERS, Initializer, draw, is_initializer
from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Rng, Shape, Window

__all__ = ["Dense", "Flatten"]


@dataclass(frozen=True, repr=False)
class Flatten(Layer):
    """Write each map as one row: in (h, w, c), out (h * w * c,).

    Examples
    --------
    >>> import numpy as np
    >>> Flatten().build((7, 7, 32), np.random.default_rng(0), np.float32)
    ({}, (1568,))
    """

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        return {}, (prod(in_shape),)

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        return x.reshape(len(x), prod(x.shape[1:])), x.shape if train else None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        return d_out.reshape(cache), {}


@dataclass(frozen=True, repr=False)
class Dense(Layer):
    """Fully connected layer: ``out = x @ W + b``.

    Parameters
    ----------
    n_units : int
        Width of the output. At least 1.
    use_bias : bool, default=True
        Whether there is a `b`.
    initializer : str or callable, default="he_uniform"
        See `skcnn.initializers`. Biases start at 0.

    Shape
    -----
    in (p,), out (n_units,); `W` (p, n_units), `b` (n_units,).

    Raises
    ------
    ValueError
        At once, if a field is out of range; in `build`, if the input is a map.

    Examples
    --------
    >>> import numpy as np
    >>> params, out_shape = Dense(10).build((100,), np.random.default_rng(0), np.float32)
    >>> params["W"].shape, out_shape
    ((100, 10), (10,))
    """

    n_units: int
    use_bias: bool = True
    initializer: Initializer = "he_uniform"

    def __post_init__(self) -> None:
        self._check_count("n_units")
        self._check("use_bias", isinstance(self.use_bias, bool | np.bool_), "a bool")
        self._check("initializer", is_initializer(self.initializer), f"callable or one of {INITIALIZERS}")

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        if len(in_shape) != 1:
            raise ValueError(f"needs rows, got maps of shape {in_shape}; put Flatten() or GlobalAvgPool2D() before it")
        units = int(self.n_units)
        params: Params = {"W": draw(self.initializer, (in_shape[0], units), rng, dtype)}
        if self.use_bias:
            params["b"] = np.zeros(units, dtype)
        return params, (units,)

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        out = x @ params["W"]
        if "b" in params:
            out += params["b"]
        return out, x if train else None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        grads = {"W": weight_gradient(cache, d_out)}
        if "b" in params:
            grads["b"] = d_out.sum(axis=0)
        return times_transposed(d_out, params["W"]) if need_d_x else None, grads

    def window(self, in_shape: Shape) -> Window | None:
        return None

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        return in_shape[0] * out_shape[0]
