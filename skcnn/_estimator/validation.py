"""The validation set: samples that are not trained on, and a network's loss and scores on them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from inspect import signature
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.calculation import calculate
from skcnn._estimator.images import Images
from skcnn._estimator.magnitudes import ANY
from skcnn._estimator.model import FittedModel
from skcnn._estimator.prediction import predict
from skcnn._estimator.reading import read_images
from skcnn._estimator.targets import as_labels, check_weights, encode, moderate
from skcnn._functions import name_error, require_arguments, returned_number
from skcnn._training.config import DataSet
from skcnn._training.state import Row
from skcnn.network import Network

__all__ = ["ValidationSet", "no_figures", "scorer_of"]

Array = NDArray[Any]
Scorer = Callable[[FittedModel, Array, Array, Array | None], float]
COLUMNS = ("val_loss", "val_accuracy", "val_f1", "val_score")


def no_figures(network: Network) -> Row:
    """Return the validation columns of the history for an epoch without a validation set."""
    return dict.fromkeys(COLUMNS)


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Images with their class indices `y` (n,) and weights (n,) or None.

    Attributes
    ----------
    model : FittedModel
        The model that is being trained. The network to evaluate is passed separately.
    images : Images
    y, weight : ndarray of shape (n,), or None
    n_threads : int
    backend : {"numpy", "numba"}
    score : callable or None
        It receives a model, pixels (n, h * w * c), labels and weights, and returns the score. None: the accuracy.
    """

    model: FittedModel
    images: Images
    y: Array
    weight: Array | None
    n_threads: int
    backend: str
    score: Scorer | None

    @classmethod
    def given(
        cls,
        estimator: Any,
        model: FittedModel,
        X: Any,
        y: Any,
        sample_weight: Any,
        n_threads: int,
        backend: str,
        score: Scorer | None,
    ) -> ValidationSet | None:
        """Read the arguments X_val, y_val and sample_weight_val of `fit`. Return None if all are None."""
        if X is None and y is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be passed together, and sample_weight_val only with both of them")
        try:
            rows, y = read_images(estimator, model, X, as_labels(y, "y"))
        except ValueError as error:
            raise ValueError(f"X_val, y_val: {error}") from error
        model.warn_if_scale_is_off(rows, "X_val")
        weight = check_weights("sample_weight_val", sample_weight, rows)
        if weight is not None and not weight.any():
            raise ValueError("sample_weight_val leaves no samples: all weights are zero")
        y_index = encode("y_val", y, model.classes)
        return cls(model, Images(rows, model.image_format), y_index, moderate(weight), n_threads, backend, score)

    @classmethod
    def split(
        cls,
        data: DataSet,
        model: FittedModel,
        fraction: float,
        n_threads: int,
        backend: str,
        score: Scorer | None,
    ) -> tuple[DataSet, ValidationSet]:
        """Split a validation set off a data set at random, by the model's seed. The split is stratified by class.

        Each class has a sample in both parts. The only sample of a class is kept for training. The weights are those of
        training, so the score judges what training aims at.

        Raises
        ------
        ValueError
            If no class has a second sample.
        """
        kept, held = _split_indices(data.indices, data.y, fraction, model.seed)
        weight = None if data.weight is None else moderate(data.weight[held])
        images = Images(data.images.X[held], model.image_format)
        return replace(data, indices=kept), cls(model, images, data.y[held], weight, n_threads, backend, score)

    @property
    def n_effective(self) -> float:
        """The number of samples of equal weight whose mean has the same standard error (Kish's effective size)."""
        return len(self.y) if self.weight is None else float(self.weight.sum() ** 2 / (self.weight**2).sum())

    def __call__(self, network: Network) -> Row:
        """Return the mean loss, accuracy, macro F1 and score of a network."""
        from sklearn.metrics import accuracy_score, f1_score  # imported here, since most programs do not need it

        loss = self.model.loss
        logits = predict(network, self.images, len(self.y), self.n_threads, lambda logits: logits, backend=self.backend)
        losses, _ = calculate(lambda _: loss(logits, self.y, None))
        predicted = loss.decide(logits)
        macro_f1 = f1_score(self.y, predicted, average="macro", sample_weight=self.weight, zero_division=0.0)
        accuracy = float(accuracy_score(self.y, predicted, sample_weight=self.weight))
        score = accuracy if self.score is None else self.score_of(network)
        mean_loss = float(np.average(losses.astype(np.float64), weights=self.weight))
        return dict(zip(COLUMNS, (mean_loss, accuracy, float(macro_f1), score), strict=True))

    def try_scorer(self, network: Network) -> None:
        """Raise an error before training if the scorer cannot score the validation set."""
        if self.score is not None:
            with suppress(Warning):  # as with `python -W error`; a trained network may not cause it
                self.score_of(network)

    def score_of(self, network: Network) -> float:
        """Return the score of a network. An error names the classes that the validation set has no samples of."""
        assert self.score is not None
        labels = self.model.classes[self.y]
        try:
            return self.score(replace(self.model, network=network), self.images.X, labels, self.weight)
        except Exception as error:
            missing = np.setdiff1d(self.model.classes, labels)
            if len(missing):
                error.add_note(f"The validation set has no samples of the classes {missing[:9].tolist()}")
            raise


def scorer_of(estimator: Any) -> Scorer | None:
    """Return a function that scores a model by the estimator's `scoring`, or None if `scoring` is not set."""
    if estimator.scoring is None:
        return None
    from sklearn.metrics import check_scoring  # imported here, since most programs do not need it

    scorer, name = check_scoring(estimator, estimator.scoring), f"scoring={estimator.scoring!r}"
    require_arguments("scoring", scorer, "estimator", "X", "y")
    takes_weights = _takes_weights(scorer)

    def score(model: FittedModel, X: Array, y: Array, weight: Array | None) -> float:
        fitted = copy(estimator)
        # X was read before: it has no column names now, and its scale was checked
        fitted._hand_over(replace(model, features={"n_features_in_": X.shape[1]}, magnitudes=ANY))
        weights = {"sample_weight": weight} if takes_weights and weight is not None else {}
        try:
            value = scorer(fitted, X, y, **weights)
        except Exception as error:
            name_error(error, f"{name} cannot score the validation set")
            raise
        number = returned_number(value)
        if not isfinite(number):
            raise ValueError(f"{name} must return a finite number for the validation set, got {value!r}")
        return number

    return score


def _takes_weights(scorer: Any) -> bool:
    """Return whether a scorer accepts `sample_weight`. Scorers from scikit-learn accept it if their metric does."""
    try:
        parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    except (TypeError, ValueError):  # not every function has a signature
        return False
    return "sample_weight" in parameters


def _split_indices(indices: Array, y: Array, fraction: float, seed: int) -> tuple[Array, Array]:
    """Return the indices that are kept for training, and those that are held out."""
    from sklearn.model_selection import train_test_split  # imported here, since most programs do not need it

    _, position, counts = np.unique(y[indices], return_inverse=True, return_counts=True)
    is_only_one = counts[position] == 1
    only_ones, others = indices[is_only_one], indices[~is_only_one]
    if not len(others):
        raise ValueError(
            f"early_stopping: no validation set can be split off with validation_fraction={fraction}, because the "
            f"{len(indices)} sample(s) belong to {len(counts)} class(es), and the only sample of a class is never held "
            "out; pass X_val and y_val, or set early_stopping=False"
        )
    n_classes = np.count_nonzero(counts > 1)  # each of them has room in both parts
    n_held = min(max(ceil(fraction * len(indices)), n_classes), len(others) - n_classes)
    kept, held = train_test_split(others, test_size=n_held, stratify=y[others], random_state=seed)
    to_hold, to_keep = _of_missing_classes(kept, held, y), _of_missing_classes(held, kept, y)
    kept = np.concatenate([kept[~np.isin(kept, to_hold)], to_keep, only_ones])
    return kept, np.concatenate([held[~np.isin(held, to_keep)], to_hold])


def _of_missing_classes(part: Array, other: Array, y: Array) -> Array:
    """Return one sample in `part` of each class that is missing in `other`."""
    classes, first = np.unique(y[part], return_index=True)
    return part[first[~np.isin(classes, y[other])]]
