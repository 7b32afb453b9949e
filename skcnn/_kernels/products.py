"""Matrix products, each in its fastest form."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def weight_gradient(x: Array, d_out: Array) -> Array:
    """Return x.T @ d_out for x (m, p) and d_out (m, q). For a single row `dot` is seven times as fast as `matmul`."""
    product: Array = np.dot(x.T, d_out)
    return product


def times_transposed(d_out: Array, W: Array) -> Array:
    """Return d_out @ W.T for d_out (m, q) and W (p, q), as (W @ d_out.T).T, which is up to twice as fast."""
    return np.ascontiguousarray((W @ d_out.T).T)


# OpenBLAS multiplies small matrices, with m * p * q up to a million, without packing them first. For small p and q this
# is up to twice as fast. So a product of many rows is split into products of about a hundred rows each.
MAX_ROWS = 128
VECTOR_LENGTH = 16  # float32 elements that the processor multiplies at once


def narrow_product(x: Array, W: Array, out: Array | None = None) -> Array:
    """Return x @ W for x (..., m, p) and W (..., p, q), where m is much larger than p and q."""
    *batch_axes, m, p = x.shape
    q = W.shape[-1]
    # splitting gains nothing if the columns do not fill whole vectors
    rows = m if q % VECTOR_LENGTH else _rows_at_a_time(m, p, q, min_rows=24, max_multiply_adds=10**6)
    if rows == m:
        whole: Array = np.matmul(x, W, out=out)
        return whole
    x_parts = x.reshape(*batch_axes, m // rows, rows, p)
    out_parts = None if out is None else out.reshape(*batch_axes, m // rows, rows, q)
    return np.matmul(x_parts, W[..., np.newaxis, :, :], out=out_parts).reshape(*batch_axes, m, q)


def narrow_gradient(d_out: Array, x: Array) -> Array:
    """Return d_out.T @ x for d_out (..., m, q) and x (..., m, p), where m is much larger than p and q."""
    *batch_axes, m, p = x.shape
    q = d_out.shape[-1]
    # the results of the parts, of p * q elements each, must be summed, so the parts have more rows than above
    rows = _rows_at_a_time(m, p, q, min_rows=96, max_multiply_adds=4 * 10**5)
    if rows == m:
        whole: Array = np.matmul(d_out.swapaxes(-1, -2), x)
        return whole
    d_columns = d_out.reshape(*batch_axes, m // rows, rows, q).swapaxes(-1, -2)
    product: Array = np.matmul(d_columns, x.reshape(*batch_axes, m // rows, rows, p)).sum(axis=-3)
    return product


@lru_cache(maxsize=1024)
def _rows_at_a_time(m: int, p: int, q: int, min_rows: int, max_multiply_adds: int) -> int:
    """Return the largest divisor of m that keeps a product within both limits, or m if there is none."""
    fits = (r for r in range(MAX_ROWS, min_rows - 1, -1) if m % r == 0 and r * p * q <= max_multiply_adds)
    return next(fits, m)
