"""Targets: class labels as indices, and one weight per sample, which includes the weight of its class."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from skcnn._estimator.sklearn_private import check_sample_weight
from skcnn._values import as_float, power_of_two

__all__ = [
    "check_labels",
    "check_weights",
    "encode",
    "mean_weight",
    "moderate",
    "require_classes",
    "sample_weights",
    "scaled_weight",
]

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


def check_weights(name: str, weight: Any, X: Array) -> Array | None:
    """Return the weights of the samples X as an array (n,), or None if there are none.

    Raises
    ------
    ValueError
        If they are not finite numbers of at least 0, or not one for each sample. The message begins with `name`.
    """
    if weight is None:
        return None
    try:
        checked: Array = check_sample_weight(weight, X, ensure_non_negative=True)
        if checked.dtype == object:  # from a scalar integer that is too large for int64
            checked = checked.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error
    if not (np.isrealobj(checked) and np.isfinite(checked).all()):  # scikit-learn does not check a scalar
        raise ValueError(f"{name} must contain finite numbers, got {weight!r}")
    return checked


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
        If `class_weight` has other labels, or weights that are negative or not finite. Also if all weights are 0, or if
        the largest one does not fit into float64.
    """
    if sample_weight is None and class_weight is None:
        return None
    of_samples = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    of_classes = _class_weights(class_weight, classes)[y] if isinstance(class_weight, dict) else np.ones(len(y))
    if not np.any((of_samples > 0) & (of_classes > 0)):
        raise ValueError("sample_weight and class_weight leave no samples: all weights are zero")
    if isinstance(class_weight, str):
        return _balanced(of_samples, y)
    with np.errstate(all="ignore"):
        weight: Array = of_samples * of_classes
    limits = np.finfo(np.float64)
    if not limits.tiny <= weight.max() <= limits.max:
        raise ValueError(
            f"sample_weight and class_weight: the largest weight is {weight.max():.3g}, but it must be between "
            f"{limits.tiny:.3g} and {limits.max:.3g}; multiply all weights by the same number"
        )
    return weight


def _balanced(weight: Array, y: Array) -> Array:
    weight = weight / power_of_two(float(weight.max()))  # so that sums of weights cannot overflow
    totals = np.bincount(y, weights=weight)
    balanced: Array = weight / np.where(totals > 0, totals, 1.0)[y]
    return balanced


def _class_weights(class_weight: dict[Any, float], classes: Array) -> Array:
    numbers = {label: as_float(weight) for label, weight in class_weight.items()}
    if not all(0 <= number < inf for number in numbers.values()):
        raise ValueError(f"class_weight must contain finite numbers of at least 0, got {class_weight}")
    # with a dict, y is not used, but must be given
    weights: Array = compute_class_weight(numbers, classes=classes, y=classes)
    return weights


def mean_weight(weight: Array | None, indices: Array) -> float:
    """Return the mean weight of some samples. If all weights are equal, the result is exactly this weight."""
    if weight is None:
        return 1.0
    largest = weight[indices].max()
    return float(largest if largest == weight[indices].min() else largest * (weight[indices] / largest).mean())


def scaled_weight(weight: Array | None, mean: float | None, dtype: Any) -> Array | None:
    """Divide weights by their mean. Return None if they are then all 1, so that equal weights change nothing at all.

    Raises
    ------
    ValueError
        If a weight is too large for `dtype` after the division.
    """
    if weight is None or np.all(weight == mean):
        return None
    with np.errstate(all="ignore"):
        scaled: Array = (weight / mean).astype(dtype)
    if not np.isfinite(scaled).all():
        raise ValueError(
            f"sample_weight: the largest weight, {weight.max():.3g}, is too large for {np.dtype(dtype)} when divided "
            f"by the mean weight of the first call, {mean:.3g}"
        )
    return scaled


def moderate(weight: Array | None) -> Array | None:
    """Return weights whose sum neither overflows nor loses digits. Only huge or tiny weights are changed."""
    unit = 1.0 if weight is None else power_of_two(float(weight.max()))
    return weight if weight is None or 2.0**-500 <= unit <= 2.0**500 else weight / unit


def require_classes(y: Array, indices: Array, classes: Array) -> None:
    """Raise ValueError if `y` has several classes, but all samples with positive weight belong to one class."""
    if len(np.unique(y)) > 1 and len(np.unique(y[indices])) == 1:
        only = classes[y[indices[:1]]].tolist()  # plain Python objects, for the message
        raise ValueError(f"sample_weight and class_weight leave samples of one class only: {only}")
