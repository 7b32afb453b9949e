"""Weight decay, which keeps the weights `W` small. Biases and the scales of `BatchNorm` do not decay."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._trees import is_weight, leaves
from skcnn.network import Network
from skcnn.optimizers import Optimizer, decouples_decay

__all__ = ["WeightDecay"]

Array = NDArray[Any]


class WeightDecay:
    """The decay of a network's weights.

    If the optimizer decouples the decay, the weights are multiplied by ``1 - learning_rate * alpha`` before each step.
    Otherwise, the decay is an L2 penalty: ``0.5 * alpha * sum(W ** 2)`` is added to the mean loss.
    """

    def __init__(self, network: Network, optimizer: Optimizer, alpha: float):
        paths_and_arrays = enumerate(leaves(network.params))
        self._alpha = alpha
        self._weights = [(i, array) for i, (path, array) in paths_and_arrays if alpha and is_weight(path)]
        self._decoupled = decouples_decay(optimizer)

    def add_penalty(self, grads: list[Array]) -> float:
        """Add the gradients of the penalty to `grads`, which has the order of `leaves`. Return the penalty."""
        if self._decoupled:
            return 0.0
        penalty = 0.0
        for i, w in self._weights:
            grads[i] += self._alpha * w
            penalty += float(np.vdot(w, w))
        return 0.5 * self._alpha * penalty

    def shrink_weights(self, learning_rate: float) -> None:
        """Shrink the weights, if the optimizer decouples the decay."""
        for _, w in self._weights if self._decoupled else ():
            w *= 1 - learning_rate * self._alpha
