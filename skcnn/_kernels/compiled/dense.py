"""A fully connected layer, with the ReLU after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, uintp

from skcnn._kernels.compiled.compiler import kernel
from skcnn._kernels.compiled.products import product
from skcnn._kernels.compiled.runs import add_run

__all__ = ["backward", "forward"]


@kernel
def forward(x: Any, W: Any, bias: Any, relu: bool, out: Any) -> None:
    """Write x (n, p) @ W (p, k) + bias (k,), after ReLU if it is wanted, to out (n, k). The bias may be empty."""
    (n, k), zero = out.shape, out.dtype.type(0)
    outputs = out.reshape(-1)
    product(n, k, W.shape[0], x.reshape(-1), 0, x.shape[1], False, W.reshape(-1), 0, k, False, outputs, 0, k, False)
    for row in range(n if bias.size else 0):
        add_run(bias, int64(0), outputs, row * k, k)
    if relu:
        for e in range(uintp(out.size)):
            outputs[e] = zero if outputs[e] < zero else outputs[e]  # NaN stays


@kernel
def backward(x: Any, W: Any, out: Any, relu: bool, d_out: Any, d_W: Any, d_bias: Any, d_x: Any) -> None:
    """Compute the gradients. d_bias and d_x are empty if they are not needed."""
    (n, k), p, zero = d_out.shape, x.shape[1], out.dtype.type(0)
    d_y, pixels, d_weights = np.empty(n * k, x.dtype), x.reshape(-1), d_W.reshape(-1)
    outputs, gradients = out.reshape(-1), d_out.reshape(-1)
    for e in range(uintp(n * k)):
        d_y[e] = zero if relu and not outputs[e] > zero else gradients[e]
    for row in range(n if d_bias.size else 0):
        add_run(d_y, row * k, d_bias, int64(0), k)
    if n == 1:  # BLAS is slow for products of a column and a row
        for i in range(p):
            start, value = uintp(i * k), pixels[i]
            for e in range(uintp(k)):
                d_weights[start + e] = value * d_y[e]
    else:
        product(p, k, n, pixels, 0, p, True, d_y, 0, k, False, d_weights, 0, k, False)
    if d_x.size:
        product(n, p, k, d_y, 0, k, False, W.reshape(-1), 0, k, True, d_x.reshape(-1), 0, p, False)
