"""The fitted state of a classifier: its attributes, and how it is pickled."""

from __future__ import annotations

from math import isfinite, nan
from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.history import History
from skcnn._estimator.model import FittedModel
from skcnn._estimator.pickling import is_pickled_by_name, require_picklable
from skcnn._estimator.warning import warn
from skcnn._training.state import Row
from skcnn._trees import is_weight, leaves
from skcnn._version import __version__
from skcnn.network import Network

__all__ = ["FittedStateMixin", "VersionWarning"]

Array = NDArray[Any]


class VersionWarning(InconsistentVersionWarning):
    """Warns about loading a classifier that was saved by another version of skcnn."""

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved by skcnn {self.original_sklearn_version} and is loaded by skcnn "
            f"{self.current_sklearn_version}; its results may differ. To be sure, fit it again."
        )


class FittedStateMixin(BaseEstimator):
    """Fitted attributes, with the names of `MLPClassifier`. They are read from one `FittedModel`.

    So a fit hands over its result in one assignment. If another thread predicts meanwhile, it uses either the old model
    or the new one.
    """

    _fitted: FittedModel

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    @property
    def _model(self) -> FittedModel:
        """The fitted model. Raise NotFittedError, which is an AttributeError too, if there is none."""
        if not hasattr(self, "_fitted"):
            check_is_fitted(self)
        return self._fitted

    def _hand_over(self, model: FittedModel) -> None:
        """Take over the model from a fit that has ended, in one step, which no signal handler can interrupt."""
        attributes = vars(self) | model.features | {"_fitted": model}
        if "feature_names_in_" not in model.features:  # the last fit may have had a table
            attributes.pop("feature_names_in_", None)
        self.__dict__ = attributes

    def __getstate__(self) -> dict[str, Any]:
        if is_pickled_by_name():
            require_picklable(self.get_params(deep=False))
            if hasattr(self, "_fitted"):
                require_picklable(self._fitted.built_from)
        return {**super().__getstate__(), "_skcnn_version": __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        written_by = state.pop("_skcnn_version", "unknown")
        if written_by != __version__:
            warning = VersionWarning(
                estimator_name=type(self).__name__,
                current_sklearn_version=__version__,
                original_sklearn_version=written_by,
            )
            warn(warning)
        super().__setstate__(state)

    @property
    def classes_(self) -> Array:
        """Labels, sorted."""
        return self._model.classes

    @property
    def image_shape_(self) -> tuple[int, int, int]:
        """Shape (h, w, c) of one image."""
        return self._model.image_format.shape

    @property
    def network_(self) -> Network:
        """The layers with their weights."""
        return self._model.network

    @property
    def history_(self) -> list[Row]:
        """One row per epoch."""
        return History(self._model.history)

    @property
    def t_(self) -> int:
        """Number of samples trained on, added up over all epochs."""
        return self._model.n_seen

    @property
    def stop_reason_(self) -> str | None:
        """Why training ended."""
        return self._model.stop_reason

    @property
    def best_iter_(self) -> int | None:
        """The epoch with the best validation score, whose weights were kept. None without such an epoch."""
        return self._model.best_epoch

    @property
    def best_validation_score_(self) -> float | None:
        """Best validation score in the last call of `fit`. None in the same cases as `best_iter_`."""
        return self._model.best_score

    @property
    def n_iter_(self) -> int:
        """Number of epochs trained."""
        return len(self._model.history)

    @property
    def loss_(self) -> float:
        """Loss of the last epoch."""
        return float(self._model.history[-1]["loss"])

    @property
    def loss_curve_(self) -> list[float]:
        """Loss of each epoch."""
        return [row["loss"] for row in self._model.history]

    @property
    def best_loss_(self) -> float:
        """Lowest loss of all epochs that did not diverge."""
        return min((loss for loss in self.loss_curve_ if isfinite(loss)), default=nan)

    @property
    def validation_loss_curve_(self) -> list[float | None] | None:
        """Loss on the validation set after each epoch (None without one), or None if no epoch had a validation set."""
        return self._validation_column("val_loss")

    @property
    def validation_scores_(self) -> list[float | None] | None:
        """Score on the validation set after each epoch (None without one), or None if no epoch had a validation set."""
        return self._validation_column("val_score")

    def _validation_column(self, name: str) -> list[float | None] | None:
        column = [row[name] for row in self._model.history]
        return None if all(value is None for value in column) else column

    @property
    def out_activation_(self) -> str:
        """The link function, which turns the network's outputs into probabilities."""
        return self._model.loss.out_activation

    @property
    def n_outputs_(self) -> int:
        """The number of outputs of the network: one per class, or a single one for two classes."""
        return self._model.network.shapes[-1][0]

    @property
    def n_layers_(self) -> int:
        """The number of layers with weights, plus 1 for the input, as in `MLPClassifier`."""
        return 1 + len(self.coefs_)

    @property
    def coefs_(self) -> list[Array]:
        """All weights `W`, in the order of the layers: kernels (kh, kw, c, k), dense matrices (inputs, outputs)."""
        return [array for path, array in leaves(self._model.network.params) if is_weight(path)]

    @property
    def intercepts_(self) -> list[Array | None]:
        """The biases `b` of the same layers as in `coefs_`, or None for a layer without a bias."""
        arrays = dict(leaves(self._model.network.params))
        return [arrays.get(path.removesuffix("W") + "b") for path in arrays if is_weight(path)]
