"""Targets: class labels as indices, and the weights of samples and classes as one weight a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

__all__ = ["check_labels", "encode", "row_weights"]

Array = NDArray[Any]
ClassWeight = dict[Any, float] | str | None


def check_labels(y: Any) -> None:
    """Raise ValueError unless y is one class label a row. None is left to scikit-learn's own message."""
    if y is None:
        return
    with np.errstate(all="ignore"):  # scikit-learn casts NaN on its way to the error
        kind = type_of_target(y, input_name="y")
    if kind.startswith("multilabel") or kind.endswith("multioutput"):
        raise ValueError(f"Unknown label type: {kind}. y must hold one class label a row, not several")
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


def row_weights(
    sample_weight: Array | None, class_weight: ClassWeight, y: Array, classes: Array
) -> tuple[Array | None, Array]:
    """Multiply the weights of samples and classes, and scale them to mean 1 over the rows of positive weight.

    Parameters
    ----------
    sample_weight : ndarray (n,), not negative, or None
    class_weight : dict, "balanced" or None
        "balanced": every class weighs the same in total.
    y : ndarray of int (n,)
        Class indices.
    classes : ndarray
        The labels, for which `class_weight` may be a dict.

    Returns
    -------
    weight : ndarray (n,) or None
        None if all in `rows` are equal, so that such weights change nothing, to the bit.
    rows : ndarray of int
        The rows of positive weight: the others take no part in training.

    Raises
    ------
    ValueError
        If no row, or rows of one class of several only, have a weight.
    """
    if sample_weight is None and class_weight is None:
        return None, np.arange(len(y))
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    if isinstance(class_weight, str):
        totals = np.bincount(y, weights=weight, minlength=len(classes))
        weight = weight / np.where(totals > 0, totals, 1.0)[y]
    elif class_weight is not None:
        weight = weight * compute_sample_weight(class_weight, classes[y])
    rows = np.flatnonzero(weight > 0)
    _require_classes(y, rows, classes)
    if np.all(weight[rows] == weight[rows[0]]):
        return None, rows
    return weight * (len(rows) / weight[rows].sum()), rows


def _require_classes(y: Array, rows: Array, classes: Array) -> None:
    if len(rows) == 0:
        raise ValueError("sample_weight and class_weight leave no row: all weights are zero")
    if len(np.unique(y)) > 1 and len(np.unique(y[rows])) == 1:
        only = classes[y[rows[:1]]].tolist()  # plain Python, for the message
        raise ValueError(f"sample_weight and class_weight leave rows of one class only: {only}")
