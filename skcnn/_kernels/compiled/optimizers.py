"""The steps of the optimizers in one pass, for the elements from `start` to `stop` of flat arrays.

The operations are those of `skcnn.optimizers`, in the same order, so the results are the same, bit for bit. The
learning rate and the other numbers are float64, and are rounded to the dtype of the weights w, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uintp

from skcnn._kernels.compiled.compiler import kernel

__all__ = ["adam", "momentum_rmsprop", "momentum_sgd", "rmsprop", "sgd"]


@kernel
def sgd(g: Any, w: Any, start: int, stop: int, learning_rate: float) -> None:
    """Update w by its gradient g."""
    rate = w.dtype.type(learning_rate)
    for i in range(uintp(start), uintp(stop)):
        w[i] -= g[i] * rate


@kernel
def momentum_sgd(
    g: Any, w: Any, velocity: Any, start: int, stop: int, learning_rate: float, momentum: float, nesterov: bool
) -> None:
    """Update w and the velocity by the gradient g."""
    rate, kept = w.dtype.type(learning_rate), w.dtype.type(momentum)
    for i in range(uintp(start), uintp(stop)):
        step = g[i] * rate
        velocity[i] = velocity[i] * kept - step
        w[i] += kept * velocity[i] - step if nesterov else velocity[i]


@kernel
def adam(
    g: Any,
    w: Any,
    mean: Any,
    square: Any,
    start: int,
    stop: int,
    learning_rate: float,
    correction: float,
    epsilon: float,
    beta_1: float,
    new_1: float,
    beta_2: float,
    new_2: float,
) -> None:
    """Update w and the running means of the gradient g and its square. new_1 is 1 - beta_1."""
    of = w.dtype.type
    rate, factor, least = of(learning_rate), of(correction), of(epsilon)
    kept_1, part_1, kept_2, part_2 = of(beta_1), of(new_1), of(beta_2), of(new_2)
    for i in range(uintp(start), uintp(stop)):
        mean[i] = mean[i] * kept_1 + part_1 * g[i]
        square[i] = square[i] * kept_2 + g[i] * g[i] * part_2
        w[i] -= rate * mean[i] / (np.sqrt(square[i]) * factor + least)


@kernel
def rmsprop(
    g: Any, w: Any, square: Any, start: int, stop: int, learning_rate: float, epsilon: float, rho: float, new: float
) -> None:
    """Update w and the running mean of the square of the gradient g. `new` is 1 - rho."""
    of = w.dtype.type
    rate, least, kept, part = of(learning_rate), of(epsilon), of(rho), of(new)
    for i in range(uintp(start), uintp(stop)):
        square[i] = square[i] * kept + part * g[i] * g[i]
        w[i] -= g[i] / (np.sqrt(square[i]) + least) * rate


@kernel
def momentum_rmsprop(
    g: Any,
    w: Any,
    square: Any,
    velocity: Any,
    start: int,
    stop: int,
    learning_rate: float,
    epsilon: float,
    rho: float,
    new: float,
    momentum: float,
) -> None:
    """Update w, the running mean of the square of the gradient g, and the velocity."""
    of = w.dtype.type
    rate, least, kept, part, of_velocity = of(learning_rate), of(epsilon), of(rho), of(new), of(momentum)
    for i in range(uintp(start), uintp(stop)):
        square[i] = square[i] * kept + part * g[i] * g[i]
        velocity[i] = velocity[i] * of_velocity + g[i] / (np.sqrt(square[i]) + least)
        w[i] -= rate * velocity[i]
