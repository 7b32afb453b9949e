"""Backends: the kernels that compute the passes of a network."""

from __future__ import annotations

import importlib

__all__ = ["BACKENDS", "missing_backend", "must_compile"]

BACKENDS = ("numpy", "numba")


def missing_backend(backend: str) -> str:
    """Return why a backend cannot be used, and what to do, or "" if it can be used."""
    if backend == "numpy":
        return ""
    try:
        importlib.import_module("skcnn._kernels.compiled.convolution")
    except ImportError as error:
        return f'backend="numba" needs numba: pip install "skcnn[fast]", or set backend="numpy" ({error})'
    return ""


def must_compile(backend: str) -> bool:
    """Return whether the kernels of a backend will be compiled, which takes some seconds."""
    if backend == "numpy":
        return False
    compiler = importlib.import_module("skcnn._kernels.compiled.compiler")
    return not compiler.are_compiled()
