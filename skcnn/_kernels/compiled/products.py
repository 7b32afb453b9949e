"""Matrix products of parts of arrays, by the BLAS library that numba calls."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numba.np.linalg import ensure_blas

__all__ = ["product"]

_KINDS = {types.float32: ("s", np.float32), types.float64: ("d", np.float64)}


def product(
    m: int,
    n: int,
    length: int,
    a: Any,
    a_start: int,
    a_row: int,
    a_transposed: bool,
    b: Any,
    b_start: int,
    b_row: int,
    b_transposed: bool,
    c: Any,
    c_start: int,
    c_row: int,
    add: bool,
) -> None:
    """Write A @ B to C, or add it to C, where A is (m, length), B (length, n) and C (m, n).

    Only compiled functions can call it.

    Parameters
    ----------
    m, n, length : int
    a, b, c : ndarray
        One axis each, of one dtype.
    a_start, b_start, c_start : int
        Where the matrix starts in the array.
    a_row, b_row, c_row : int
        The distance from one row of the stored matrix to the next: at least the length of a row.
    a_transposed, b_transposed : bool
        Whether the array stores the transposed matrix.
    add : bool
        Whether to add the product to C instead of overwriting it.
    """
    raise NotImplementedError


@overload(product)
def _product(
    m: Any,
    n: Any,
    length: Any,
    a: Any,
    a_start: Any,
    a_row: Any,
    a_transposed: Any,
    b: Any,
    b_start: Any,
    b_row: Any,
    b_transposed: Any,
    c: Any,
    c_start: Any,
    c_row: Any,
    add: Any,
) -> Any:
    # numba's np.dot calls the same function of BLAS, but it cannot multiply parts of rows or add to C
    ensure_blas()
    letter, dtype = _KINDS[a.dtype]
    kind, plain, transposed = ord(letter), ord("N"), ord("T")
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    gemm = _gemm(a.dtype)

    def call(
        m: Any,
        n: Any,
        length: Any,
        a: Any,
        a_start: Any,
        a_row: Any,
        a_transposed: Any,
        b: Any,
        b_start: Any,
        b_row: Any,
        b_transposed: Any,
        c: Any,
        c_start: Any,
        c_row: Any,
        add: Any,
    ) -> None:
        # BLAS stores matrices by columns, so it sees their transposes: it computes C.T = B.T @ A.T
        gemm(
            kind,
            transposed if b_transposed else plain,
            transposed if a_transposed else plain,
            n,
            m,
            length,
            one.ctypes,
            b[b_start:].ctypes,
            b_row,
            a[a_start:].ctypes,
            a_row,
            one.ctypes if add else zero.ctypes,
            c[c_start:].ctypes,
            c_row,
        )

    return call


def _gemm(dtype: Any) -> Any:
    """Declare the function of numba that calls gemm, the matrix product of BLAS."""
    pointer, integer, char = types.CPointer(dtype), types.intp, types.char
    sizes = (char, char, char, integer, integer, integer)
    matrices = (pointer, pointer, integer, pointer, integer, pointer, pointer, integer)
    return types.ExternalFunction("numba_xxgemm", types.intc(*sizes, *matrices))
