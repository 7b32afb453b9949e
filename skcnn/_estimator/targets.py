"""Targets: class labels as indices, and one weight per sample, which includes the weight of its class."""

from __future__ import annotations

import reprlib
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from skcnn._estimator.arrays import as_array, is_missing
from skcnn._estimator.sklearn_private import check_sample_weight
from skcnn._values import as_float, power_of_two

__all__ = [
    "as_labels",
    "check_weights",
    "encode",
    "label_array",
    "mean_weight",
    "moderate",
    "require_classes",
    "sample_weights",
    "scaled_weight",
]

Array = NDArray[Any]
ClassWeight = dict[Any, float] | str | None


def as_labels(y: Any, name: str) -> Any:
    """Return the argument `name` as an array of labels, one for each sample. scikit-learn raises an error for None.

    Raises
    ------
    ValueError
        If labels are missing, or if it contains anything but labels that can be sorted.
    """
    if y is None:
        return None
    labels = _as_array(y, name)
    if labels.ndim == 0:
        raise ValueError(f"{name} must be an array or a list of labels, got {reprlib.repr(y)}")
    _require_none_missing(labels, name)
    _require_one_type(labels, name)
    with np.errstate(all="ignore"):  # scikit-learn casts NaN before it raises an error
        kind = type_of_target(labels, input_name=name)
    if labels.ndim > 2 or kind.startswith("multilabel") or kind.endswith("multioutput"):
        one_hot = "if it is one-hot encoded, pass y.argmax(axis=1)"
        images = "it looks like images, so X and y may be swapped"
        raise ValueError(
            f"Unknown label type: {kind}. {name} must contain one class label per sample, got shape {labels.shape}; "
            f"{one_hot if labels.ndim == 2 else images}"
        )
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {kind}. {name} must contain class labels: strings or whole numbers")
    return labels


def label_array(y: Any, name: str) -> Any:
    """Return labels as an array that is not checked yet. None and columns of pandas are left to scikit-learn."""
    return y if y is None or hasattr(y, "isna") else as_array(y, name)


def _as_array(y: Any, name: str) -> Array:
    try:
        labels = label_array(y, name)
    except ValueError as error:
        raise ValueError(f"{name} must contain one class label per sample; {error}") from error
    array: Array = check_array(
        labels,
        dtype=None,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        ensure_min_samples=0,
        ensure_min_features=0,
        input_name=name,
    )
    if not hasattr(y, "dtype") and array.dtype.kind == "U":  # NumPy converts all elements of a list to strings
        objects = np.asarray(y, dtype=object)
        return array if all(isinstance(label, str) for label in objects.flat) else objects
    return array


def _require_none_missing(labels: Array, name: str) -> None:
    if labels.dtype.kind in "mM":
        missing = np.isnat(labels)
    elif labels.dtype == object:
        missing = np.array([is_missing(label) for label in labels.flat], dtype=bool)
    else:
        return  # scikit-learn's errors name NaN among numbers
    if missing.any():
        first = int(np.flatnonzero(missing)[0])
        raise ValueError(
            f"{name} contains {np.count_nonzero(missing)} missing labels, the first at position {first} "
            f"({labels.flat[first]}); remove these samples or give them a label"
        )


def _require_one_type(labels: Array, name: str) -> None:
    types = {type(label) for label in labels.flat} if labels.dtype == object else set()
    if types != {bytes} and not all(issubclass(kind, str) for kind in types):  # scikit-learn's error names bytes
        found = " and ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(
            f"Unknown label type: {name} is an array of Python objects of type {found}; all labels must be strings, "
            "or numbers in an array of numbers, as from y.astype(int)"
        )


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
