"""Optimizers: how gradients update the weights.

An optimizer is frozen and holds only its configuration. Its velocities and moments are in a separate `State`: `init`
creates it, `step` updates it, and the training state holds it between steps. Weights and gradients are lists of arrays
in the same order. Weights are updated in place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn._functions import require_arguments
from skcnn._values import Value

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ClipNorm",
    "Optimizer",
    "RMSprop",
]

Array = NDArray[Any]
State = dict[str, Any]


class Optimizer(Protocol):
    """The methods that training needs.

    If an optimizer has an attribute `decouples_decay` that is true, training does not add the gradient of the L2
    penalty to the other gradients. Instead, it multiplies the weights W by ``1 - learning_rate * alpha`` before each
    step.

    If the state contains lists of arrays, training regularly sets tiny elements of these arrays to 0
    (`flush_subnormals`).
    """

    def init(self, weights: list[Array]) -> State:
        """Return the state before the first step."""

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        """Take one step: update `weights` and `state` in place. The gradients may be overwritten."""


@dataclass(frozen=True, repr=False)
class SGD(Value):
    """Stochastic gradient descent with momentum.

    ``v = momentum * v - learning_rate * g``, then ``w += v``, or with Nesterov momentum
    ``w += momentum * v - learning_rate * g``.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        0 means plain gradient descent.
    nesterov : bool, default=True
        Whether to use Nesterov momentum, which looks ahead along the velocity. It has no effect without momentum.

    References
    ----------
    Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization and momentum in deep learning.

    Examples
    --------
    >>> import numpy as np
    >>> W, sgd = np.array([1.0]), SGD(momentum=0.0)
    >>> sgd.step([W], [np.array([2.0])], sgd.init([W]), learning_rate=0.1)
    >>> W
    array([0.8])
    """

    momentum: float = 0.9
    nesterov: bool = True

    def __post_init__(self) -> None:
        self._check_number("momentum", 0, 1)
        self._check("nesterov", isinstance(self.nesterov, bool | np.bool_), "a bool")

    def init(self, weights: list[Array]) -> State:
        return {"velocities": [np.zeros_like(w) for w in weights]} if self.momentum else {}

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        if not self.momentum:
            for w, g in zip(weights, grads, strict=True):
                g *= learning_rate
                w -= g
            return
        for w, g, v in zip(weights, grads, state["velocities"], strict=True):
            g *= learning_rate
            v *= self.momentum
            v -= g
            w += self.momentum * v - g if self.nesterov else v


@dataclass(frozen=True, repr=False)
class Adam(Value):
    """Adam: steps from running means of the gradient and its square. The means start at 0 and are corrected for this.

    ``m = beta_1 * m + (1 - beta_1) * g``, ``v = beta_2 * v + (1 - beta_2) * g^2``,
    ``w -= learning_rate * m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)`` at step t = 1, 2, ...

    Parameters
    ----------
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay rates of the running means. The closer they are to 1, the longer the means remember.
    epsilon : float in (0, 1), default=1e-8
        Prevents division by zero.

    References
    ----------
    Kingma, Ba (2015), Adam: A method for stochastic optimization, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> W, adam = np.array([1.0]), Adam()
    >>> adam.step([W], [np.array([2.0])], adam.init([W]), learning_rate=0.1)
    >>> W
    array([0.9])
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("beta_1", "beta_2"):
            self._check_number(name, 0, 1)
        self._check_number("epsilon", 0, 1, closed="neither")

    def init(self, weights: list[Array]) -> State:
        _check_epsilon(self, weights)
        zeros = [np.zeros_like(w) for w in weights]
        return {"n_steps": 0, "means": zeros, "squares": [z.copy() for z in zeros]}

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        state["n_steps"] += 1
        t = state["n_steps"]
        beta_1, beta_2, epsilon = self.beta_1, self.beta_2, self.epsilon
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


@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay: `alpha` shrinks the weights directly and is not scaled like the gradient.

    ``W -= learning_rate * alpha * W``, then Adam's step. Biases and the scales of `BatchNorm` do not decay.
    The classifier's `alpha` is the `weight_decay` of other libraries, whose default is often 0.01.

    Parameters
    ----------
    beta_1, beta_2, epsilon
        As for `Adam`.

    References
    ----------
    Loshchilov, Hutter (2019), Decoupled weight decay regularization.
    """

    decouples_decay: ClassVar[bool] = True


@dataclass(frozen=True, repr=False)
class RMSprop(Value):
    """RMSprop: steps divided by a running root mean square of the gradient.

    ``v = rho * v + (1 - rho) * g^2``, ``u = momentum * u + g / (sqrt(v) + epsilon)``, ``w -= learning_rate * u``

    Parameters
    ----------
    rho : float in [0, 1), default=0.9
        Decay rate of the running mean square. The closer it is to 1, the longer the mean remembers.
    momentum : float in [0, 1), default=0.0
        0 means no momentum.
    epsilon : float in (0, 1), default=1e-8
        Prevents division by zero.

    References
    ----------
    Tieleman, Hinton (2012), Neural networks for machine learning, lecture 6.5.

    Examples
    --------
    >>> import numpy as np
    >>> W, rmsprop = np.array([1.0]), RMSprop(rho=0.75)
    >>> rmsprop.step([W], [np.array([2.0])], rmsprop.init([W]), learning_rate=0.1)
    >>> W
    array([0.8])
    """

    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("rho", "momentum"):
            self._check_number(name, 0, 1)
        self._check_number("epsilon", 0, 1, closed="neither")

    def init(self, weights: list[Array]) -> State:
        _check_epsilon(self, weights)
        state = {"squares": [np.zeros_like(w) for w in weights]}
        return state | ({"velocities": [np.zeros_like(w) for w in weights]} if self.momentum else {})

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        rho, momentum, epsilon = self.rho, self.momentum, self.epsilon
        for i, (w, g, v) in enumerate(zip(weights, grads, state["squares"], strict=True)):
            v *= rho
            part = np.multiply(1 - rho, g, out=np.empty_like(g))
            part *= g
            v += part
            np.sqrt(v, out=part)
            part += epsilon
            g /= part
            if momentum:
                velocity = state["velocities"][i]
                velocity *= momentum
                velocity += g
                np.multiply(learning_rate, velocity, out=g)
            else:
                g *= learning_rate
            w -= g


@dataclass(frozen=True, repr=False)
class ClipNorm(Value):
    """Clip the norm of the gradients over all parameters to `max_norm`, then pass the gradients to another optimizer.

    Parameters
    ----------
    optimizer : Optimizer, default=Adam()
        Receives the clipped gradients.
    max_norm : float, default=1.0
        Above 0. If the norm is larger, the gradients are scaled down to `max_norm` and keep their direction.

    References
    ----------
    Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> W, clipped = np.array([1.0, 1.0]), ClipNorm(SGD(momentum=0.0), max_norm=1.0)
    >>> clipped.step([W], [np.array([3.0, 4.0])], clipped.init([W]), learning_rate=1.0)
    >>> W
    array([0.4, 0.2])
    """

    always_shown = ("optimizer", "max_norm")

    optimizer: Optimizer = Adam()
    max_norm: float = 1.0

    def __post_init__(self) -> None:
        fits = not isinstance(self.optimizer, type) and callable(getattr(self.optimizer, "step", None))
        self._check("optimizer", fits, "an optimizer object, as in Adam()")
        _require_methods("ClipNorm: optimizer", self.optimizer)
        self._check_number("max_norm", 0, closed="neither")

    @property
    def decouples_decay(self) -> bool:
        return decouples_decay(self.optimizer)

    def init(self, weights: list[Array]) -> State:
        return self.optimizer.init(weights)

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        norm = sqrt(sum(float(np.vdot(g, g)) for g in grads))
        if norm > self.max_norm:
            for g in grads:
                g *= self.max_norm / norm
        self.optimizer.step(weights, grads, state, learning_rate)


def _check_epsilon(optimizer: Adam | RMSprop, weights: list[Array]) -> None:
    """Raise ValueError if epsilon is rounded to 0, because a weight's gradient may be 0 too."""
    for w in weights:
        optimizer._check_in(w.dtype, "epsilon", may_be_zero=False)


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def decouples_decay(optimizer: Optimizer) -> bool:
    """Return whether the weight decay shrinks the weights directly, instead of adding a penalty to the gradients."""
    return bool(getattr(optimizer, "decouples_decay", False))


def flush_subnormals(state: State) -> None:
    """Set elements that have decayed almost to 0 to exactly 0, in the lists of arrays of a state.

    In float32, these are elements below 1e-32. If a unit no longer fires, its velocities shrink at every step, but
    never reach 0: the smallest positive number times 0.9 rounds to itself. Processors are a hundred times slower with
    subnormal numbers, which in float32 are those below 1e-38.
    """
    for arrays in state.values():
        for array in arrays if isinstance(arrays, list) else ():
            if isinstance(array, np.ndarray) and np.issubdtype(array.dtype, np.floating):
                array *= np.abs(array) >= 2**20 * np.finfo(array.dtype).tiny


def optimizer_from(solver: str | Optimizer) -> Optimizer:
    """Return the optimizer of this name. An object is returned unchanged.

    Raises
    ------
    ValueError, TypeError
        If it is a class, or if its methods do not take the arguments of an optimizer.
    """
    if isinstance(solver, str):
        return OPTIMIZERS[solver]()
    if isinstance(solver, type):
        raise ValueError(f"solver must be an object, as in {solver.__name__}(), got the class {solver.__name__}")
    if not isinstance(solver, Value):  # this runs in every call of partial_fit
        _require_methods("solver", solver)
    return solver


def _require_methods(name: str, optimizer: Optimizer) -> None:
    require_arguments(f"{name}.init", optimizer.init, "weights")
    require_arguments(f"{name}.step", optimizer.step, "weights", "grads", "state", "learning_rate")
