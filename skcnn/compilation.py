"""Compiling the kernels of ``backend="numba"`` ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.backends import loss_on, missing_backend, optimizer_on
from skcnn._engine.numpy_settings import set_numpy
from skcnn._engine.workers import Workers
from skcnn.layers import BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, ReLU
from skcnn.layers.base import alone
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam, RMSprop

__all__ = ["compile_kernels"]


def compile_kernels(dtypes: Sequence[str] = ("float32", "float64")) -> None:
    """Compile all kernels of ``backend="numba"``, and store them for later processes.

    Otherwise, each kernel is compiled when it is first needed. Call this function when you build a container image, or
    before a search starts many processes, which would otherwise all compile the same kernels.

    The kernels are stored in the user's cache folder: ``~/.cache/skcnn`` on Linux, or the folder in the environment
    variable ``SKCNN_CACHE_DIR``. The folder is used only if it belongs to the user and no one else can write to it.
    Otherwise, the kernels are not stored, and every process compiles them again.

    Parameters
    ----------
    dtypes : sequence of {"float32", "float64"}, default=("float32", "float64")
        The precisions to compile for. Each takes 20 to 40 seconds.

    Raises
    ------
    ImportError
        If numba is not installed.
    """
    if missing := missing_backend("numba"):
        raise ImportError(missing)
    layers = [
        Conv2D(8),
        BatchNorm(),
        ReLU(),
        MaxPool2D(2),
        Conv2D(8),
        ReLU(),
        Conv2D(8, stride=2),
        Flatten(),
        BatchNorm(),
        Dense(1),
    ]
    for dtype in dtypes:
        network = Network.build(layers, (8, 8, 1), np.random.default_rng(0), dtype)
        x = np.zeros((2, 8, 8, 1), dtype)
        network.predict(x, backend="numba")
        passes = network.passes(train=True, backend="numba")
        context = passes.context(len(x))
        out, caches = alone(passes.forward(x, context))
        passes.gradients(alone(passes.backward(caches, out, context)))
        loss_on("numba", SoftmaxCrossEntropy())(np.zeros((1, 3), dtype), np.zeros(1, np.intp))
        _compile_optimizers(np.zeros(1, dtype))


def _compile_optimizers(w: NDArray[Any]) -> None:
    for optimizer in (SGD(momentum=0.0), SGD(), Adam(), RMSprop(), RMSprop(momentum=0.9)):
        compiled = optimizer_on("numba", optimizer, Workers(1, set_numpy))
        compiled.step([w], [w.copy()], compiled.init([w]), learning_rate=0.1)
