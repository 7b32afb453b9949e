"""Softmax with cross-entropy: the losses of a shard and their gradient, in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uintp

from skcnn._kernels.compiled.compiler import kernel

__all__ = ["softmax_cross_entropy"]


@kernel
def softmax_cross_entropy(logits: Any, y: Any, weight: Any, smoothing: float, losses: Any, d_logits: Any) -> None:
    """Compute losses (n,) and d_logits (n, k), see `skcnn.losses.SoftmaxCrossEntropy`.

    `weight` has one number for each image, or is empty if all are 1.
    """
    n, k = logits.shape
    of, z, d = logits.dtype.type, logits.reshape(-1), d_logits.reshape(-1)
    moved, share = of(smoothing), of(smoothing) / of(k)
    for row in range(n):
        if y[row] < 0 or y[row] >= k:
            raise IndexError("no class has this index")
        start, true = uintp(row * k), uintp(row * k + y[row])
        largest, total, total_shifted = z[start], of(0), of(0)
        for e in range(uintp(k)):
            largest = max(largest, z[start + e])
        for e in range(uintp(k)):
            shifted = z[start + e] - largest
            d[start + e] = np.exp(shifted)
            total += d[start + e]
            total_shifted += shifted
        factor = weight[row] if weight.size else of(1)
        of_true = z[true] - largest
        loss = np.log(total) - of_true
        if moved:  # without smoothing, a logit of -inf would give 0 * inf = NaN
            loss += moved * (of_true - total_shifted / of(k))
        losses[row] = factor * loss
        for e in range(uintp(k)):
            d[start + e] = factor * (d[start + e] / total - share)
        d[true] -= factor * (of(1) - moved)
