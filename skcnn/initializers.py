"""Initializers: how the initial weights of a layer are drawn.

All initializers except "zeros" keep the variance of the signal about the same from layer to layer. `fan_in` is the
number of inputs of one output. He's and LeCun's variances depend on `fan_in` and keep the signal in the forward pass.
Glorot's variance depends on `fan_in + fan_out` and keeps it on average over the forward and backward passes. He's
variance, 2 / fan_in, compensates for the half of the signal that ReLU cuts off. Glorot's, 2 / (fan_in + fan_out), suits
tanh, sigmoid and linear outputs. LeCun's is 1 / fan_in.

References
----------
He, Zhang, Ren, Sun (2015), Delving Deep into Rectifiers. Glorot, Bengio (2010), Understanding the difficulty of
training deep feedforward neural networks. LeCun et al. (1998), Efficient BackProp.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._memory import require_memory

__all__ = ["INITIALIZERS", "Initializer"]

Initializer = str | Callable[[tuple[int, ...], np.random.Generator], NDArray[Any]]

# the variance of a weight, as a function of (fan_in, fan_out)
_VARIANCES: dict[str, Callable[[int, int], float]] = {
    "he": lambda fan_in, fan_out: 2.0 / fan_in,
    "glorot": lambda fan_in, fan_out: 2.0 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1.0 / fan_in,
}
INITIALIZERS = ("zeros", *(f"{name}_{shape}" for name in _VARIANCES for shape in ("normal", "uniform")))


def is_initializer(value: object) -> bool:
    """Return whether `value` is the name of an initializer or a callable."""
    return callable(value) or (isinstance(value, str) and value in INITIALIZERS)


def draw(initializer: Initializer, shape: tuple[int, ...], rng: np.random.Generator, dtype: Any) -> NDArray[Any]:
    """Draw the weights of one array.

    Parameters
    ----------
    initializer : str or callable
        One of ``INITIALIZERS``, or a callable ``initializer(shape, rng)`` that returns an array of this shape.
    shape : tuple of int
        The shape of kernels (kh, kw, c, k) or of a dense layer's matrix (inputs, outputs). The last axis is the output.
    rng : numpy.random.Generator
    dtype : dtype
        The type of the result. Weights are drawn in float64 and then rounded, so both precisions start from the same
        weights.

    Returns
    -------
    ndarray of `shape`

    Raises
    ------
    MemoryError
        If the weights are far too large for this computer.

    Examples
    --------
    >>> import numpy as np
    >>> W = draw("he_normal", (5, 5, 16, 32), np.random.default_rng(0), np.float32)
    >>> W.shape, round(float(W.var() * 5 * 5 * 16), 1)
    ((5, 5, 16, 32), 2.0)
    """
    # training needs memory for the weights, two copies of them, and their gradients
    require_memory(4 * prod(shape) * np.dtype(dtype).itemsize, f"training weights of shape {shape}")
    weights = initializer(shape, rng) if callable(initializer) else _draw_named(initializer, shape, rng)
    if np.shape(weights) != shape:
        raise ValueError(f"initializer {initializer!r} returned shape {np.shape(weights)}, needed {shape}")
    if np.asarray(weights).dtype.kind not in "biufO":
        raise ValueError(f"initializer {initializer!r} must return real numbers, got {np.asarray(weights).dtype}")
    with np.errstate(over="ignore"):  # if a weight is then infinite, training raises an error
        return np.array(weights, dtype=dtype, order="C")  # a copy, because training writes to it


def _draw_named(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[Any]:
    if name == "zeros":
        return np.zeros(shape)
    family, distribution = name.split("_")
    receptive_field = prod(shape[:-2])
    deviation = sqrt(_VARIANCES[family](receptive_field * shape[-2], receptive_field * shape[-1]))
    if distribution == "normal":
        return rng.normal(0.0, deviation, shape)
    limit = sqrt(3.0) * deviation  # the uniform distribution on (-a, a) has variance a^2 / 3
    return rng.uniform(-limit, limit, shape)
