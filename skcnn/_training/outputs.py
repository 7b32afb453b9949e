"""Outputs: whether those of the network in prediction are finite for all training images.

Finite weights can still give infinite outputs, and batch normalisation uses other statistics in prediction than in
training. Predicting all training images would take about a quarter of the time of an epoch. So only a few images are
predicted at first. The others follow if something is so large that their outputs might overflow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.workers import Workers
from skcnn._training.config import DataSet
from skcnn._training.diagnosis import find_divergence
from skcnn._trees import leaves
from skcnn.network import Network

__all__ = ["Outputs"]

Array = NDArray[Any]
# unless the data set is tiny, predicting so few images takes less than 0.2 % of an epoch
IMAGES_PER_PROBE, MOST_PROBES = 300, 32
LARGE_WEIGHT = 1e3  # weights of a network that converges are far smaller


class Outputs:
    """The outputs of a network for the images of a data set."""

    def __init__(self, network: Network, data: DataSet, workers: Workers, backend: str = "numpy"):
        self._network, self._data, self._workers, self._backend = network, data, workers, backend
        self._weights = [array for _, array in leaves(network.params)]
        # the fourth root of the largest number: three more layers could multiply by the same factor without overflow
        self._large_output = float(np.finfo(network.dtype).max) ** 0.25
        self._n_probes = min(max(len(data.indices) // IMAGES_PER_PROBE, 1), MOST_PROBES)

    def find_overflow(self, recent: Array) -> str:
        """Name what overflows in the prediction of a training image, or return "".

        Parameters
        ----------
        recent : ndarray of int
            The indices of images. Some of these images are predicted, and the images with the extreme pixels. If the
            weights and these outputs have ordinary sizes, the outputs for the other images are finite too.
        """
        return "" if self._are_ordinary(recent) else self.find_overflow_in_all()

    def find_overflow_in_all(self) -> str:
        """Predict all training images. Name what overflows, or return ""."""
        passes, indices = self._network.passes(backend=self._backend), self._data.indices

        def is_finite(block: slice) -> bool:
            return bool(np.isfinite(passes.predict(self._data.images[indices[block]])).all())

        blocks = self._network.shards(len(indices), backend=self._backend)
        for block, fine in zip(blocks, self._workers.map(is_finite, blocks), strict=True):
            if not fine:
                image = f"an image in {self._network.dtype}"
                found = find_divergence(self._network, [self._data.images[indices[block]]], image)
                return "an output" if found == "the loss" else found  # only as it is computed in prediction
        return ""

    def _are_ordinary(self, recent: Array) -> bool:
        # if the output of a unit is 0 for these few images, only its weights show how large it may be for others
        if not all(np.abs(array).max(initial=0) <= LARGE_WEIGHT for array in self._weights):
            return False
        probes = np.concatenate([self._data.extremes, recent[: self._n_probes]])
        outputs = self._network.predict(self._data.images[probes], backend=self._backend)
        return bool(np.abs(outputs).max() <= self._large_output)
