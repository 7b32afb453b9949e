"""Optimizers: from gradients to steps.

An optimizer is frozen configuration. What it remembers from step to step (velocities, moments) is a `State` that
`start` makes and `step` renews; training holds it. It sees parameters and gradients as lists of arrays, in the same
order; weights are updated in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn.values import Value, is_real

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer", "optimizer_from"]

Array = NDArray[Any]
State = dict[str, Any]


class Optimizer(Protocol):
    """What training asks of an optimizer."""

    def start(self, weights: list[Array]) -> State:
        """Return the state before the first step."""

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        """Take one step: update `weights` and `state` in place. The gradients are used up."""


@dataclass(frozen=True, repr=False)
class SGD(Value):
    """Stochastic gradient descent, with momentum.

    ``v = momentum * v - learning_rate * g``, then ``w += v``; by Nesterov ``w += momentum * v - learning_rate * g``.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        0 is plain gradient descent.
    nesterov : bool, default=True
        Nesterov's form, which looks ahead along the velocity. Without momentum it changes nothing.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep learning.

    Examples
    --------
    >>> import numpy as np
    >>> W, sgd = np.array([1.0]), SGD(momentum=0.0)
    >>> sgd.step([W], [np.array([2.0])], sgd.start([W]), learning_rate=0.1)
    >>> W
    array([0.8])
    """

    momentum: float = 0.9
    nesterov: bool = True

    def __post_init__(self) -> None:
        self._check_number("momentum", 0, 1)
        self._check("nesterov", isinstance(self.nesterov, bool | np.bool_), "a bool")

    def start(self, weights: list[Array]) -> State:
        return {"velocities": [np.zeros_like(w) for w in weights]} if self.momentum else {}

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        momentum = float(self.momentum)  # a NumPy float would have float32 computed in double precision
        if not momentum:
            for w, g in zip(weights, grads, strict=True):
                g *= learning_rate
                w -= g
            return
        for w, g, v in zip(weights, grads, state["velocities"], strict=True):
            g *= learning_rate
            v *= momentum
            v -= g
            w += momentum * v - g if self.nesterov else v


@dataclass(frozen=True, repr=False)
class Adam(Value):
    """Adam: steps scaled by running means of the gradient and of its square, corrected for their start at 0.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g^2``,
    ``w -= learning_rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`` at step t = 1, 2, ...

    Parameters
    ----------
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        How long the means remember.
    epsilon : float in (0, 1), default=1e-8
        Keeps the division finite.

    References
    ----------
    Kingma, Ba (2015), Adam: A method for stochastic optimization, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> W, adam = np.array([1.0]), Adam()
    >>> adam.step([W], [np.array([2.0])], adam.start([W]), learning_rate=0.1)
    >>> W
    array([0.9])
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("beta_1", "beta_2"):
            self._check_number(name, 0, 1)
        self._check("epsilon", is_real(self.epsilon) and 0 < self.epsilon < 1, "a number in (0, 1)")

    def start(self, weights: list[Array]) -> State:
        zeros = [np.zeros_like(w) for w in weights]
        return {"n_steps": 0, "means": zeros, "squares": [z.copy() for z in zeros]}

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        state["n_steps"] += 1
        t = state["n_steps"]
        beta_1, beta_2, epsilon = float(self.beta_1), float(self.beta_2), float(self.epsilon)
        rate = learning_rate / (1 - beta_1**t)
        correction = 1 / sqrt(1 - beta_2**t)
        for w, g, m, v in zip(weights, grads, state["means"], state["squares"], strict=True):
            m *= beta_1
            part = np.multiply(1 - beta_1, g, out=np.empty_like(g))
            m += part
            v *= beta_2
            g *= g
            g *= 1 - beta_2
            v += g
            scale = np.sqrt(v, out=g)
            scale *= correction
            scale += epsilon
            np.multiply(rate, m, out=part)
            part /= scale
            w -= part


OPTIMIZERS: dict[str, type[SGD] | type[Adam]] = {"sgd": SGD, "adam": Adam}


def optimizer_from(solver: str | Optimizer) -> Optimizer:
    """Look an optimizer up by name; an object is returned as it is."""
    if isinstance(solver, type):
        raise ValueError(f"solver must be an object, as in {solver.__name__}(), got the class {solver.__name__}")
    return OPTIMIZERS[solver]() if isinstance(solver, str) else solver
