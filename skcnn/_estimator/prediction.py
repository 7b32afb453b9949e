"""Prediction: what a network says of any number of images, block by block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.process import calculation
from skcnn._engine.workers import Workers
from skcnn.network import Network

__all__ = ["predict"]

Array = NDArray[Any]


def predict(network: Network, images: Any, n_rows: int, n_threads: int, finish: Callable[[Array], Array]) -> Array:
    """Return what `finish` makes of the network's outputs, for all images.

    Parameters
    ----------
    network : Network
        Is not written to, so any number of threads may predict with it at the same time.
    images : object
        ``images[rows]`` of a slice gives a batch (n, h, w, c) of the network's dtype: an array will do.
    n_rows : int
        How many images there are, at least 1.
    n_threads : int
        Does not change a bit of the result.
    finish : callable
        Given the outputs (n, n_outputs) of a block, returns an array (n, ...). So no more than a few blocks of anything
        but the result exist at a time.
    """
    blocks = network.shards(n_rows)
    with calculation(), Workers(n_threads) as workers:
        passes = network.passes()
        finished = workers.map(lambda rows: finish(passes.predict(images[rows])), blocks)
        for rows, part in zip(blocks, finished, strict=True):
            if rows.start == 0:
                whole = np.empty((n_rows, *part.shape[1:]), dtype=part.dtype)
            whole[rows] = part
    return whole
