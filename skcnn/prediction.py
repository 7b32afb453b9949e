"""Prediction: a network's outputs for any number of images, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.network import Network
from skcnn.parallel import Workers, calculation, cut, rows_per_shard

__all__ = ["predict_logits"]


def predict_logits(network: Network, images: Any, n_rows: int, n_threads: int) -> NDArray[Any]:
    """Return the network's outputs (n_rows, n_outputs).

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
    """
    logits = np.empty((n_rows, *network.shapes[-1]), dtype=network.dtype)

    def predict(rows: slice) -> None:
        logits[rows] = network.predict(images[rows])

    with calculation(), Workers(n_threads) as workers:
        for _ in workers.map(predict, cut(n_rows, rows_per_shard(n_rows, network.shapes[0]))):
            pass
    return logits
