"""Losses, each fused with the link function that turns the network's logits into probabilities.

In the fused form, the logarithm cancels the exponential. So logits of 1e4 do not overflow, and the gradient is just the
predicted probability minus the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Value
from skcnn.layers.activations import sigmoid, softmax

__all__ = ["Loss", "SigmoidCrossEntropy", "SoftmaxCrossEntropy"]

Array = NDArray[Any]


class Loss(Protocol):
    """A loss with its link function. `y` (n,) holds class indices; `weight` (n,) holds sample weights or is None."""

    @property
    def out_activation(self) -> str:
        """The name of the link function."""

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        """Return the weighted losses (n,) and the gradient of their sum with respect to the logits."""

    def probabilities(self, logits: Array) -> Array:
        """Return the probabilities (n, n_classes)."""

    def log_probabilities(self, logits: Array) -> Array:
        """Return the logarithms of the probabilities (n, n_classes), accurate even if a probability rounds to 0."""

    def decide(self, logits: Array) -> Array:
        """Return the index (n,) of the most probable class. If several are equal, the first one wins."""


@dataclass(frozen=True, repr=False)
class SoftmaxCrossEntropy(Value):
    """-sum(target * log softmax(logits)), for logits (n, n_classes).

    The target is 1 for class y and 0 for the other classes.

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        The part of the target that is distributed evenly over all classes.

    References
    ----------
    Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2016), Rethinking the Inception architecture for computer vision, section
    7 (label smoothing).

    Examples
    --------
    >>> import numpy as np
    >>> losses, d_logits = SoftmaxCrossEntropy()(np.array([[1e4, 0.0, -1e4]]), np.array([1]))
    >>> losses, d_logits
    (array([10000.]), array([[ 1., -1.,  0.]]))
    """

    out_activation: ClassVar[str] = "softmax"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("label_smoothing", 0, 1)

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        true = np.arange(len(y)), y
        shifted = logits - logits.max(axis=1, keepdims=True)
        d_logits = np.exp(shifted)
        sums = d_logits.sum(axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - shifted[true]
        d_logits /= sums
        d_logits[true] -= 1
        if self.label_smoothing:
            # this part of the target is moved from class y to all classes, in equal shares
            moved = logits.dtype.type(self.label_smoothing)
            losses += moved * (shifted[true] - shifted.mean(axis=1))
            d_logits[true] += moved
            d_logits -= moved / logits.dtype.type(logits.shape[1])
        return _weighted(losses, d_logits, weight)

    def probabilities(self, logits: Array) -> Array:
        return _without_ties(softmax(logits), self.decide(logits))

    def log_probabilities(self, logits: Array) -> Array:
        shifted = logits - logits.max(axis=1, keepdims=True)
        out: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return _without_ties(out, self.decide(logits))

    def decide(self, logits: Array) -> Array:
        decided: Array = logits.argmax(axis=1)
        return decided


@dataclass(frozen=True, repr=False)
class SigmoidCrossEntropy(Value):
    """log(1 + exp(-z)) for class 1 and log(1 + exp(z)) for class 0, for a single logit z: (n, 1).

    Parameters
    ----------
    label_smoothing : float in [0, 1), default=0.0
        The part of the target that is distributed evenly over both classes.

    Examples
    --------
    >>> import numpy as np
    >>> losses, d_logits = SigmoidCrossEntropy()(np.array([[1e4], [-1e4]]), np.array([0, 0]))
    >>> losses, d_logits[:, 0]
    (array([10000.,     0.]), array([1., 0.]))
    """

    out_activation: ClassVar[str] = "logistic"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        self._check_number("label_smoothing", 0, 1)

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        z = logits[:, 0]
        losses = _softplus(np.where(y == 1, -z, z))
        d_logits = sigmoid(logits) - (y == 1).reshape(-1, 1).astype(logits.dtype)
        if self.label_smoothing:
            half = logits.dtype.type(self.label_smoothing / 2)
            losses += half * np.where(y == 1, z, -z)
            d_logits += np.where(y == 1, half, -half)[:, np.newaxis]
        return _weighted(losses, d_logits, weight)

    def probabilities(self, logits: Array) -> Array:
        return _without_ties(np.hstack([sigmoid(-logits), sigmoid(logits)]), self.decide(logits))

    def log_probabilities(self, logits: Array) -> Array:
        out = np.hstack([-_softplus(logits), -_softplus(-logits)])
        if out.dtype == np.float32:  # where the probability rounds to 1, its logarithm is 0, as with softmax
            out[out > -np.finfo(np.float32).eps / 2] = 0
        return _without_ties(out, self.decide(logits))

    def decide(self, logits: Array) -> Array:
        return (logits[:, 0] > 0).astype(np.intp)


def loss_for(n_classes: int, label_smoothing: float = 0.0) -> Loss:
    """Return the loss for `n_classes`: one sigmoid logit for two classes, otherwise a softmax over all classes."""
    return (SigmoidCrossEntropy if n_classes == 2 else SoftmaxCrossEntropy)(label_smoothing)


def _softplus(z: Array) -> Array:
    """log(1 + exp(z))."""
    out: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return out


def _without_ties(out: Array, decided: Array) -> Array:
    """Make the (log) probability of the predicted class the largest in its row, or the first of the largest, in place.

    If logits differ only in their last digits, rounding can make several probabilities equal. The probability of the
    predicted class is then increased by one unit in the last place.
    """
    differs = out.argmax(axis=1) != decided
    if differs.any():
        rows = np.flatnonzero(differs)
        out[rows, decided[rows]] = np.nextafter(out[rows].max(axis=1), out.dtype.type(np.inf))
    return out


def _weighted(losses: Array, d_logits: Array, weight: Array | None) -> tuple[Array, Array]:
    if weight is None:
        return losses, d_logits
    return losses * weight, d_logits * weight[:, np.newaxis]
