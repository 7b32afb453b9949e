"""Losses: each fused with the link that turns the network's logits into probabilities.

Taken together, the logarithm undoes the exponential: nothing overflows at logits of 1e4, and the gradient is the plain
difference between what was predicted and what is true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn.layers.activations import sigmoid, softmax
from skcnn.values import Value

__all__ = ["Loss", "SigmoidCrossEntropy", "SoftmaxCrossEntropy", "loss_for"]

Array = NDArray[Any]


class Loss(Protocol):
    """A loss with its link. `y` (n,) are class indices, `weight` (n,) weights of the rows or None."""

    @property
    def out_activation(self) -> str:
        """The link's name."""

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        """Return the weighted losses (n,) and the gradient of their sum by the logits."""

    def probabilities(self, logits: Array) -> Array:
        """Return the probabilities (n, n_classes)."""

    def log_probabilities(self, logits: Array) -> Array:
        """Return their logarithms (n, n_classes), exact where the probabilities round to 0."""

    def decide(self, logits: Array) -> Array:
        """Return the index (n,) of the likeliest class, the first of equals."""


@dataclass(frozen=True, repr=False)
class SoftmaxCrossEntropy(Value):
    """-log softmax(logits)[y], for logits (n, n_classes).

    Examples
    --------
    >>> import numpy as np
    >>> losses, d_logits = SoftmaxCrossEntropy()(np.array([[1e4, 0.0, -1e4]]), np.array([1]))
    >>> losses, d_logits
    (array([10000.]), array([[ 1., -1.,  0.]]))
    """

    out_activation = "softmax"

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        true = np.arange(len(y)), y
        shifted = logits - logits.max(axis=1, keepdims=True)
        d_logits = np.exp(shifted)
        sums = d_logits.sum(axis=1, keepdims=True)
        losses = np.log(sums[:, 0]) - shifted[true]
        d_logits /= sums
        d_logits[true] -= 1
        return _weighted(losses, d_logits, weight)

    def probabilities(self, logits: Array) -> Array:
        return softmax(logits)

    def log_probabilities(self, logits: Array) -> Array:
        shifted = logits - logits.max(axis=1, keepdims=True)
        out: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return out

    def decide(self, logits: Array) -> Array:
        decided: Array = logits.argmax(axis=1)
        return decided


@dataclass(frozen=True, repr=False)
class SigmoidCrossEntropy(Value):
    """log(1 + exp(-z)) for class 1, log(1 + exp(z)) for class 0, for one logit z: (n, 1).

    Examples
    --------
    >>> import numpy as np
    >>> losses, d_logits = SigmoidCrossEntropy()(np.array([[1e4], [-1e4]]), np.array([0, 0]))
    >>> losses, d_logits[:, 0]
    (array([10000.,     0.]), array([1., 0.]))
    """

    out_activation = "logistic"

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        z = logits[:, 0]
        losses = _softplus(np.where(y == 1, -z, z))
        d_logits = sigmoid(logits) - (y == 1).reshape(-1, 1).astype(logits.dtype)
        return _weighted(losses, d_logits, weight)

    def probabilities(self, logits: Array) -> Array:
        return np.hstack([sigmoid(-logits), sigmoid(logits)])

    def log_probabilities(self, logits: Array) -> Array:
        return np.hstack([-_softplus(logits), -_softplus(-logits)])

    def decide(self, logits: Array) -> Array:
        return (logits[:, 0] > 0).astype(np.intp)


def loss_for(n_classes: int) -> Loss:
    """Return the loss for so many classes: one sigmoid logit for two, else a softmax over one logit a class."""
    return SigmoidCrossEntropy() if n_classes == 2 else SoftmaxCrossEntropy()


def _softplus(z: Array) -> Array:
    """log(1 + exp(z))."""
    out: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return out


def _weighted(losses: Array, d_logits: Array, weight: Array | None) -> tuple[Array, Array]:
    if weight is None:
        return losses, d_logits
    return losses * weight, d_logits * weight[:, np.newaxis]
