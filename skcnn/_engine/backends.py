"""Backends: the kernels that compute the passes of a network, its loss and the steps of an optimizer."""

from __future__ import annotations

import importlib

from skcnn._engine.workers import Workers
from skcnn.losses import Loss
from skcnn.optimizers import Optimizer

__all__ = ["BACKENDS", "loss_on", "missing_backend", "must_compile", "optimizer_on"]

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
    """Return whether no kernel of a backend has been compiled yet, so that the first call will take much longer."""
    if backend == "numpy":
        return False
    compiler = importlib.import_module("skcnn._kernels.compiled.compiler")
    return not compiler.are_compiled()


def loss_on(backend: str, loss: Loss) -> Loss:
    """Return a loss that computes the same with the kernels of a backend, up to rounding errors."""
    if backend == "numpy":
        return loss
    from skcnn._engine.compiled_losses import with_compiled_loss  # imported here, because it imports numba

    return with_compiled_loss(loss)


def optimizer_on(backend: str, optimizer: Optimizer, workers: Workers) -> Optimizer:
    """Return an optimizer that takes the same steps with the kernels of a backend, bit for bit."""
    if backend == "numpy":
        return optimizer
    from skcnn._engine.compiled_optimizers import with_compiled_steps  # imported here, because it imports numba

    return with_compiled_steps(optimizer, workers)
