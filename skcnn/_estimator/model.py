"""The fitted model: everything that a classifier has learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from skcnn._estimator.images import ImageFormat
from skcnn._estimator.magnitudes import NONE_SEEN, Magnitudes, warn_if_scale_is_off
from skcnn._training.state import Row
from skcnn.losses import Loss, loss_for
from skcnn.network import Network
from skcnn.optimizers import Optimizer, State

__all__ = ["FittedModel"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class FittedModel:
    """The start and the result of a fit. It is replaced, never changed.

    Attributes
    ----------
    features : dict
        The attributes that scikit-learn sets: n_features_in_, and feature_names_in_ for tables with named columns.
    classes : ndarray of shape (n_classes,)
    image_format : ImageFormat
    built_from : dict
        The parameters that the network was built from, by name.
    seed : int
    network : Network
    history : tuple of dict
        One row per epoch.
    n_seen : int
        The number of samples trained on, added up over all epochs.
    mean_weight : float or None
        The mean by which sample weights are divided. None before the first training.
    magnitudes : Magnitudes
        The magnitudes of all images trained on.
    optimizer : tuple of Optimizer and dict, or None
        The optimizer and its state, if training can be continued.
    stop_reason : str or None
    best_epoch : int or None
    best_score : float or None
        The best validation score of the last fit, if early stopping was used and the validation loss was finite in at
        least one epoch. `best_epoch` is the epoch of this score.
    """

    features: dict[str, Any]
    classes: Array
    image_format: ImageFormat
    built_from: dict[str, Any]
    seed: int
    network: Network
    history: tuple[Row, ...] = ()
    n_seen: int = 0
    mean_weight: float | None = None
    magnitudes: Magnitudes = NONE_SEEN
    optimizer: tuple[Optimizer, State] | None = None
    stop_reason: str | None = None
    best_epoch: int | None = None
    best_score: float | None = None

    @property
    def loss(self) -> Loss:
        """The loss, including the link function."""
        return loss_for(len(self.classes))

    def warn_if_scale_is_off(self, X: Array, name: str) -> None:
        """Warn if images, the argument `name`, are much larger or smaller than those in training."""
        if self.built_from["scaling"] is not None:
            warn_if_scale_is_off(X, self.magnitudes, self.image_format, name)
