"""Activations: element-wise functions, and softmax, which runs along the last axis. They keep the shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import pi, prod, sqrt
from typing import Any

import numpy as np

from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Rng, Shape

__all__ = ["ELU", "GELU", "LeakyReLU", "ReLU", "SiLU", "Sigmoid", "Softmax", "Tanh"]


LARGE_IMAGE = 2**16  # elements


@dataclass(frozen=True, repr=False)
class ReLU(Layer):
    """max(x, 0). Its gradient at 0 is 0.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU().apply({}, np.array([[-1.0, 0.0, 2.0]]))
    array([[0., 0., 2.]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        out = np.maximum(x, _zeros(x.shape[1:], x.dtype))  # three times as fast as with the scalar 0
        return out, out if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return d_out * (cache > 0), {}


@dataclass(frozen=True, repr=False)
class LeakyReLU(Layer):
    """x where it is positive, `negative_slope` * x otherwise.

    Parameters
    ----------
    negative_slope : float in [0, 1), default=0.01

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.1).apply({}, np.array([[-1.0, 0.0, 2.0]]))
    array([[-0.1,  0. ,  2. ]])
    """

    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        self._check_number("negative_slope", 0, 1)

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        # the slope is below 1, so x is the larger one if x > 0, and x * slope is the larger one otherwise
        return np.maximum(x, x * x.dtype.type(self.negative_slope)), x if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        slope = np.where(cache > 0, d_out.dtype.type(1), d_out.dtype.type(self.negative_slope))
        return d_out * slope, {}


@dataclass(frozen=True, repr=False)
class ELU(Layer):
    """x where it is positive, `alpha` * (exp(x) - 1) otherwise, which approaches -`alpha`.

    Parameters
    ----------
    alpha : float, default=1.0
        At least 0.

    References
    ----------
    Clevert, Unterthiner, Hochreiter (2016), Fast and accurate deep network learning by exponential linear units.

    Examples
    --------
    >>> import numpy as np
    >>> ELU().apply({}, np.array([[-1e4, 0.0, 2.0]]))
    array([[-1.,  0.,  2.]])
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        self._check_number("alpha", 0)

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        self._check_in(dtype, "alpha", may_be_zero=True)
        return {}

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        zeros = _zeros(x.shape, x.dtype)
        out = np.expm1(np.minimum(x, zeros))  # exp of a large positive number would overflow
        out *= self.alpha
        out += np.maximum(x, zeros)
        return out, (x, out) if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        x, out = cache
        return d_out * np.where(x > 0, x.dtype.type(1), out + x.dtype.type(self.alpha)), {}


@dataclass(frozen=True, repr=False)
class GELU(Layer):
    """x * P(X <= x) for a standard normal X, computed exactly with the error function.

    References
    ----------
    Hendrycks, Gimpel (2016), Gaussian error linear units.

    Examples
    --------
    >>> import numpy as np
    >>> GELU().apply({}, np.array([[-1e4, 0.0, 1e4]]))
    array([[   -0.,     0., 10000.]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        from scipy.special import ndtr  # imported here, because it takes longer than all other imports of the layers

        below = ndtr(x)
        return x * below, (x, below) if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        x, below = cache
        density = np.exp(x * x * x.dtype.type(-0.5))
        density *= x.dtype.type(1 / sqrt(2 * pi))
        return d_out * (below + x * density), {}


@dataclass(frozen=True, repr=False)
class SiLU(Layer):
    """x / (1 + exp(-x)), also known as swish.

    References
    ----------
    Elfwing, Uchibe, Doya (2018), Sigmoid-weighted linear units for neural network function approximation.

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().apply({}, np.array([[-1e4, 0.0, 1e4]]))
    array([[   -0.,     0., 10000.]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        s = sigmoid(x)
        return x * s, (x, s) if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        x, s = cache
        return d_out * (s + x * s * (1 - s)), {}


@dataclass(frozen=True, repr=False)
class Tanh(Layer):
    """The hyperbolic tangent; its derivative is 1 - tanh^2.

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().apply({}, np.array([[0.0]]))
    array([[0.]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        out = np.tanh(x)
        return out, out if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return d_out * (1 - cache * cache), {}


@dataclass(frozen=True, repr=False)
class Sigmoid(Layer):
    """1 / (1 + exp(-x)); its derivative is s * (1 - s).

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().apply({}, np.array([[-1e4, 0.0, 1e4]]))
    array([[0. , 0.5, 1. ]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        out = sigmoid(x)
        return out, out if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return d_out * (cache * (1 - cache)), {}


@dataclass(frozen=True, repr=False)
class Softmax(Layer):
    """exp(x) / sum(exp(x)) along the last axis.

    Its backward pass is the product with the Jacobian, diag(s) - s s'. This layer is for use inside a network. The
    output of a network does not need it, because the loss includes it.

    Examples
    --------
    >>> import numpy as np
    >>> Softmax().apply({}, np.array([[1e4, 1e4]]))
    array([[0.5, 0.5]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        out = softmax(x)
        return out, out if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return cache * (d_out - (d_out * cache).sum(axis=-1, keepdims=True)), {}


@lru_cache
def _zeros(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return zeros to compare an image with: one per element, or per element of a row for large images, or just one."""
    fitting = (s for s in (shape, shape[1:], ()) if prod(s) <= LARGE_IMAGE)
    zeros = np.zeros(next(fitting), dtype)
    zeros.flags.writeable = False
    return zeros


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), computed from exp(-|x|), which never overflows and keeps the digits of small results."""
    e = np.exp(-np.abs(x))
    out: Array = np.where(x >= 0, x.dtype.type(1), e)
    out /= 1 + e
    return out


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) along the last axis, after subtracting its largest value so that nothing overflows."""
    out: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    out /= out.sum(axis=-1, keepdims=True)
    return out
