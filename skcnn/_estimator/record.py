"""Record: what a fitted estimator tells of its network and training, under the names of `MLPClassifier`."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any

from skcnn._trees import is_weight, leaves
from skcnn.network import Network

__all__ = ["RecordMixin"]


class RecordMixin:
    """Fitted attributes that follow from `history_` and `network_`; before fit they do not exist."""

    history_: list[dict[str, Any]]
    network_: Network

    @property
    def n_iter_(self) -> int:
        """Epochs trained."""
        return len(self.history_)

    @property
    def loss_(self) -> float:
        """Loss of the last epoch."""
        return float(self.history_[-1]["loss"])

    @property
    def loss_curve_(self) -> list[float]:
        """Loss of every epoch."""
        return [row["loss"] for row in self.history_]

    @property
    def best_loss_(self) -> float:
        """Smallest loss of an epoch, but for one that diverged."""
        return min((loss for loss in self.loss_curve_ if isfinite(loss)), default=nan)

    @property
    def validation_loss_curve_(self) -> list[float | None] | None:
        """Loss on the held-out images after every epoch, None for one that had none; None without any."""
        return self._validation_column("val_loss")

    @property
    def validation_scores_(self) -> list[float | None] | None:
        """Score, accuracy if no `scoring` was given, on the held-out images after every epoch; None without any."""
        return self._validation_column("val_score")

    def _validation_column(self, name: str) -> list[float | None] | None:
        column = [row[name] for row in self.history_]
        return None if all(value is None for value in column) else column

    @property
    def n_outputs_(self) -> int:
        """Outputs of the network: one a class, or one for two classes."""
        return self.network_.shapes[-1][0]

    @property
    def n_layers_(self) -> int:
        """Layers with weights, and the input, as `MLPClassifier` counts them."""
        return 1 + len(self.coefs_)

    @property
    def coefs_(self) -> list[Any]:
        """All weights `W`, by layers: kernels (kh, kw, c, k), dense matrices (inputs, outputs)."""
        return [array for path, array in leaves(self.network_.params) if is_weight(path)]

    @property
    def intercepts_(self) -> list[Any]:
        """The bias `b` beside each of `coefs_`, or None."""
        arrays = dict(leaves(self.network_.params))
        return [arrays.get(path.removesuffix("W") + "b") for path in arrays if is_weight(path)]
