"""Early stopping: when to end training, and which weights to keep."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

from skcnn.network import Network

__all__ = ["EarlyStopping"]


class EarlyStopping:
    """Keeps the weights with the best score, and stops training if the score has not improved for too long.

    An epoch whose score or validation loss is not finite counts as an epoch without improvement.

    Parameters
    ----------
    patience : int
        Stop if the score has not improved by `tol` for more than this many epochs in a row.
    tol : float

    Attributes
    ----------
    best_score, best_epoch : float, int
        The best score so far, and its epoch.
    best : Network or None
        The network with this score.
    stale : int
        The number of epochs since the score last improved by `tol`.
    """

    def __init__(self, patience: int, tol: float):
        self.patience, self.tol = patience, tol
        self.best_score = -inf
        self.best_epoch: int | None = None
        self.best: Network | None = None
        self.stale = 0

    def update(self, row: dict[str, Any], network: Network) -> bool:
        """Record an epoch, given its row of the history. Return whether to stop."""
        score = row["val_score"] if isfinite(row["val_loss"]) else nan
        self.stale = 0 if score >= self.best_score + self.tol else self.stale + 1
        if score > self.best_score:
            self.best_score, self.best_epoch, self.best = score, row["epoch"], network.copy()
        return self.stale > self.patience

    def restore_best(self, network: Network) -> None:
        """Write the best weights into the network."""
        if self.best is not None:
            network.restore(self.best)
