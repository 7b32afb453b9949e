"""Targets: class labels as indices, and one weight per sample, which includes the weight of its class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

__all__ = ["check_labels", "encode", "mean_weight", "require_classes", "sample_weights", "scaled_weight"]

Array = NDArray[Any]
ClassWeight = dict[Any, float] | str | None


def check_labels(y: Any) -> None:
    """Raise ValueError unless y contains one class label per sample. scikit-learn raises an error if y is None."""
    if y is None:
        return
    with np.errstate(all="ignore"):  # scikit-learn casts NaN before it raises an error
        kind = type_of_target(y, input_name="y")
    if kind.startswith("multilabel") or kind.endswith("multioutput"):
        raise ValueError(
            f"Unknown label type: {kind}. y must contain one class label per sample, got shape {np.shape(y)}; "
            "if it is one-hot encoded, pass y.argmax(axis=1)"
        )
    check_classification_targets(y)


def encode(name: str, y: Array, classes: Array) -> Array:
    """Return the index of each label (n,) in `classes`, which is sorted.

    Raises
    ------
    ValueError
        If a label is not in `classes`.
    """
    unseen = np.setdiff1d(y, classes)
    if len(unseen):
        raise ValueError(
            f"{name} has labels {unseen[:5].tolist()} that are not among the classes {classes[:9].tolist()}"
        )
    return np.searchsorted(classes, y)


def sample_weights(sample_weight: Array | None, class_weight: ClassWeight, y: Array, classes: Array) -> Array | None:
    """Multiply the weights of samples and classes.

    Parameters
    ----------
    sample_weight : ndarray (n,), not negative, or None
    class_weight : dict, "balanced" or None
        "balanced": every class has the same total weight.
    y : ndarray of int (n,)
        Class indices.
    classes : ndarray
        The labels, which are the keys of `class_weight` if it is a dict.

    Returns
    -------
    weight : ndarray (n,) of float64, or None if there are no weights

    Raises
    ------
    ValueError
        If `class_weight` has other labels, or weights that are negative or not finite. Also if all weights are 0.
    """
    if sample_weight is None and class_weight is None:
        return None
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    if isinstance(class_weight, str):
        totals = np.bincount(y, weights=weight, minlength=len(classes))
        weight = weight / np.where(totals > 0, totals, 1.0)[y]
    elif class_weight is not None:
        weight = weight * _class_weights(class_weight, classes)[y]
    if not np.any(weight > 0):
        raise ValueError("sample_weight and class_weight leave no samples: all weights are zero")
    return weight


def _class_weights(class_weight: dict[Any, float], classes: Array) -> Array:
    # with a dict, y is not used, but must be given
    weights: Array = compute_class_weight(class_weight, classes=classes, y=classes)
    if not (np.isfinite(weights).all() and np.all(weights >= 0)):
        raise ValueError(f"class_weight must contain finite numbers of at least 0, got {class_weight}")
    return weights


def mean_weight(weight: Array | None, indices: Array) -> float:
    """Return the mean weight of some samples. If all weights are equal, the result is exactly this weight."""
    if weight is None:
        return 1.0
    largest = weight[indices].max()
    return float(largest if largest == weight[indices].min() else largest * (weight[indices] / largest).mean())


def scaled_weight(weight: Array | None, mean: float | None, dtype: Any) -> Array | None:
    """Divide weights by their mean. Return None if they are then all 1, so that equal weights change nothing at all."""
    return None if weight is None or np.all(weight == mean) else (weight / mean).astype(dtype)


def require_classes(y: Array, indices: Array, classes: Array) -> None:
    """Raise ValueError if `y` has several classes, but all samples with positive weight belong to one class."""
    if len(np.unique(y)) > 1 and len(np.unique(y[indices])) == 1:
        only = classes[y[indices[:1]]].tolist()  # plain Python objects, for the message
        raise ValueError(f"sample_weight and class_weight leave samples of one class only: {only}")
