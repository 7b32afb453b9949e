"""Matrix products in the form in which they are fastest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def column_sums(d_out: Array) -> Array:
    """Sum (n, ..., k) over all but the last axis, by a product with ones, much faster than by `sum`."""
    d_rows = d_out.reshape(-1, d_out.shape[-1])
    sums: Array = np.ones(len(d_rows), d_out.dtype) @ d_rows
    return sums


def weight_gradient(x: Array, d_out: Array) -> Array:
    """x.T @ d_out of x (m, p) and d_out (m, q); a single row takes the outer product, several times faster."""
    if len(x) == 1:
        return x.reshape(-1, 1) * d_out
    product: Array = x.T @ d_out
    return product
