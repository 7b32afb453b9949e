"""Prediction: the outputs of a network for any number of images, block by block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.calculation import Calculation, calculate
from skcnn._engine.memory import keeping_memory
from skcnn._estimator.warning import warn_if_inexact
from skcnn.network import Network

__all__ = ["predict"]

Array = NDArray[Any]


def predict(
    network: Network,
    images: Any,
    n_samples: int,
    n_threads: int,
    finish: Callable[[Array], Array],
    *,
    backend: str = "numpy",
) -> Array:
    """Return the network's outputs for all images, after applying `finish`.

    Parameters
    ----------
    network : Network
        It is not changed, so any number of threads can predict with it at the same time.
    images : object
        ``images[slice]`` returns a batch (n, h, w, c) of the network's dtype. It can be an array.
    n_samples : int
        The number of images, at least 1.
    n_threads : int
        The result is the same, bit for bit, for any number.
    finish : callable
        It receives the outputs (n, n_outputs) of a block and returns an array (n, ...). Only this array is kept for all
        images; everything else is kept for only a few blocks at a time.
    backend : {"numpy", "numba"}
    """
    blocks = network.shards(n_samples, backend=backend)

    def output_of_blocks(calculation: Calculation) -> tuple[Array, bool]:
        passes = network.passes(backend=backend)

        def output(block: slice) -> Array:
            return calculation.exact(lambda: finish(passes.predict(images[block])))

        for block, part in zip(blocks, calculation.workers.map(output, blocks), strict=True):
            if block.start == 0:
                whole = np.empty((n_samples, *part.shape[1:]), dtype=part.dtype)
            whole[block] = part
        return whole, calculation.is_exact

    compute = partial(calculate, output_of_blocks, n_threads)
    whole, is_exact = compute() if len(blocks) == 1 else keeping_memory(compute)
    warn_if_inexact(is_exact)
    return whole
