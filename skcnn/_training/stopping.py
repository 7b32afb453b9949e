"""Early stopping: when to end training, and which weights to keep."""

from __future__ import annotations

from math import inf, isfinite, nan, sqrt
from typing import Any

from skcnn.network import Network

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Keeps the weights with the best score, and finds out when the score has not improved for too long.

    Scores on a few samples differ by chance, and networks become better while the learning rate falls. So of all scores
    that are about as high as the highest one, the last one is the best. An epoch whose validation loss is not finite
    counts as an epoch without improvement.

    Parameters
    ----------
    patience : int
        The score is stale if it has not improved by `tol` for more than this many epochs in a row.
    tol : float
        Scores that differ by at most `tol` are about the same.
    n_samples : float or None
        If the score is the accuracy: the number of samples that it is the mean of. Scores within one standard error of
        the highest one are then about the same as well.

    Attributes
    ----------
    highest : float
        The highest score so far.
    best_score, best_epoch : float, int
        The best score so far, and its epoch.
    best : Network or None
        The network with this score.
    stale : int
        The number of epochs since the score last improved by `tol`.
    stopped_at : int or None
        The number of epochs after which the score was stale.
    """

    def __init__(self, patience: int, tol: float, n_samples: float | None = None):
        self.patience, self.tol, self.n_samples = patience, tol, n_samples
        self.highest = self.best_score = -inf
        self.best_epoch: int | None = None
        self.best: Network | None = None
        self.stale = 0
        self.stopped_at: int | None = None

    def update(self, row: dict[str, Any], network: Network) -> bool:
        """Record an epoch, given its row of the history. Return whether the score is stale."""
        score = row["val_score"] if isfinite(row["val_loss"]) else nan
        self.stale = 0 if score >= self.highest + self.tol else self.stale + 1
        self.highest = max(self.highest, score)  # in this order, NaN is never the highest
        if score >= self.highest - self._margin():
            self.best_score, self.best_epoch, self.best = score, row["epoch"], network.copy()
        return self.stale > self.patience

    def _margin(self) -> float:
        """Return by how much two scores that are about the same may differ."""
        if self.n_samples is None or not 0 <= self.highest <= 1:
            return self.tol
        return max(self.tol, sqrt(self.highest * (1 - self.highest) / self.n_samples))

    def restore_best(self, network: Network) -> None:
        """Write the best weights into the network."""
        if self.best is not None:
            network.restore(self.best)
