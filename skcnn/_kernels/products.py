"""Matrix products in the form in which they are fastest."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def weight_gradient(x: Array, d_out: Array) -> Array:
    """x.T @ d_out of x (m, p) and d_out (m, q), by `dot`: of a single row it is seven times as fast as `matmul`."""
    product: Array = np.dot(x.T, d_out)
    return product


def times_transposed(d_out: Array, W: Array) -> Array:
    """d_out @ W.T of d_out (m, q) and W (p, q), the other way round: W @ d_out.T is up to twice as fast."""
    return np.ascontiguousarray((W @ d_out.T).T)


# OpenBLAS multiplies small matrices, of m * p * q up to a million, without laying them out anew first. For small p and
# q that is up to twice as fast, so a product of many rows is done as many products of about a hundred rows.
MOST_ROWS = 128
VECTOR = 16  # numbers of float32 that a processor multiplies at once


def narrow_product(x: Array, W: Array, out: Array | None = None) -> Array:
    """x @ W of x (..., m, p), with m much larger than p and q, and W (..., p, q)."""
    *some, m, p = x.shape
    q = W.shape[-1]
    # a width that leaves part of a vector gains nothing
    rows = m if q % VECTOR else _rows_at_a_time(m, p, q, fewest=24, largest=10**6)
    if rows == m:
        whole: Array = np.matmul(x, W, out=out)
        return whole
    parts = None if out is None else out.reshape(*some, m // rows, rows, q)
    return np.matmul(x.reshape(*some, m // rows, rows, p), W[..., np.newaxis, :, :], out=parts).reshape(*some, m, q)


def narrow_gradient(d_out: Array, x: Array) -> Array:
    """d_out.T @ x of d_out (..., m, q) and x (..., m, p), with m much larger than p and q."""
    *some, m, p = x.shape
    q = d_out.shape[-1]
    # the parts' results, of p * q numbers each, must be added up
    rows = _rows_at_a_time(m, p, q, fewest=96, largest=4 * 10**5)
    if rows == m:
        whole: Array = np.matmul(d_out.swapaxes(-1, -2), x)
        return whole
    d_columns = d_out.reshape(*some, m // rows, rows, q).swapaxes(-1, -2)
    product: Array = np.matmul(d_columns, x.reshape(*some, m // rows, rows, p)).sum(axis=-3)
    return product


@lru_cache(maxsize=1024)
def _rows_at_a_time(m: int, p: int, q: int, fewest: int, largest: int) -> int:
    """Return the largest part of m rows that makes a product of at most `largest`, or else all of them."""
    fits = (rows for rows in range(MOST_ROWS, fewest - 1, -1) if m % rows == 0 and rows * p * q <= largest)
    return next(fits, m)
