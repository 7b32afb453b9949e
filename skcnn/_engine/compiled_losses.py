"""Losses of small shards with compiled kernels, for ``backend="numba"``. Importing this module imports numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._kernels.compiled.losses import softmax_cross_entropy
from skcnn.losses import Loss, SoftmaxCrossEntropy

__all__ = ["CompiledSoftmaxCrossEntropy", "with_compiled_loss"]

Array = NDArray[Any]
DTYPES = np.dtype(np.float32), np.dtype(np.float64)  # in the byte order of the machine
MOST_LOGITS = 2048  # with more, NumPy is faster despite its many calls, because its exp is vectorised


def with_compiled_loss(loss: Loss) -> Loss:
    """Return a loss that computes the same, up to rounding errors."""
    # the type must be exactly this, because a subclass may compute something else
    return CompiledSoftmaxCrossEntropy(loss.label_smoothing) if type(loss) is SoftmaxCrossEntropy else loss


@dataclass(frozen=True, repr=False)
class CompiledSoftmaxCrossEntropy(SoftmaxCrossEntropy):
    """Softmax cross-entropy in one compiled call, for few logits."""

    def __call__(self, logits: Array, y: Array, weight: Array | None = None) -> tuple[Array, Array]:
        weights = np.empty(0, logits.dtype) if weight is None else weight
        is_plain = logits.dtype in DTYPES and _is_plain(weights, logits.dtype) and _is_plain(y, np.dtype(np.intp))
        if logits.size > MOST_LOGITS or not (is_plain and _is_plain(logits, logits.dtype)):
            return super().__call__(logits, y, weight)
        losses, d_logits = np.empty(len(logits), logits.dtype), np.empty_like(logits)
        softmax_cross_entropy(logits, y, weights, float(self.label_smoothing), losses, d_logits)
        return losses, d_logits


def _is_plain(array: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether an array has the type and layout for which the kernel is compiled."""
    return type(array) is np.ndarray and array.dtype == dtype and array.flags.carray
