"""Reading: from X, y and weights to a data set and, in the first fit, to an untrained network."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from skcnn._estimator.architecture import ARCHITECTURE, build_network, layers_from, warn_if_one_layer_dominates
from skcnn._estimator.arrays import as_images, numeric_dtype, require_no_images_in_cells
from skcnn._estimator.images import Images, image_format_for, require_same_shape
from skcnn._estimator.magnitudes import ROWS_THAT_TELL, magnitudes, warn_if_scales_are_mixed
from skcnn._estimator.model import FittedModel
from skcnn._estimator.outliers import warn_of_outliers
from skcnn._estimator.targets import as_labels, check_weights, encode, sample_weights
from skcnn._training.config import DataSet
from skcnn._training.randomness import stream

__all__ = ["check_classes", "read_data_set", "read_images"]

Array = NDArray[Any]
_SET_BY_SKLEARN = ("n_features_in_", "feature_names_in_")
_NO_Y = "no_validation"  # scikit-learn's name for it


def read_images(estimator: Any, model: FittedModel, X: Any, y: Any = _NO_Y) -> Any:
    """Return X as validated rows, and y if it is given. The images must have the shape that the model was fitted on."""
    return _validated(estimator, as_images(X), y, model)[0]


def read_data_set(
    estimator: Any, model: FittedModel | None, X: Any, y: Any, sample_weight: Any, classes: Array | None = None
) -> tuple[FittedModel, DataSet]:
    """Return the model to train, and the data set to train it on.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
        It is not changed.
    model : FittedModel or None
        The model from which training continues. None: create a new one, with an untrained network.
    X, y, sample_weight
        The arguments of `fit`.
    classes : ndarray or None
        The labels of a new model. None: the labels in y.
    """
    y = as_labels(y, "y")
    X = as_images(X)
    _require_a_batch(X, y)
    if y is not None:
        check_classification_targets(y)  # warns if the labels are probably numbers to predict
    (rows, y), features = _validated(estimator, X, y, model)
    if classes is None:
        classes = np.unique(y) if model is None else model.classes
    y_index = encode("y", y, classes)
    sample_weight = check_weights("sample_weight", sample_weight, rows)
    weight = sample_weights(sample_weight, estimator.class_weight, y_index, classes)
    indices = np.arange(len(y_index)) if weight is None else np.flatnonzero(weight > 0)
    if model is None:
        model = _new_model(estimator, features, classes, rows, _shape(X, rows), indices, weight)
    elif model.built_from != _built_from(estimator):
        _refuse_other_parameters(model.built_from, _built_from(estimator))
    model = _with_magnitudes(model, rows, indices)
    return model, DataSet(Images(rows, model.image_format), y_index, weight, indices)


def _with_magnitudes(model: FittedModel, rows: Array, indices: Array) -> FittedModel:
    """Return the model with the magnitudes of the images to train on. Warn if their scale seems to be wrong."""
    if model.history:
        model.warn_if_scale_is_off(rows[indices[:ROWS_THAT_TELL]], "X")
    found = magnitudes(rows, indices)
    warn_if_scales_are_mixed(rows, indices, found)
    return replace(model, magnitudes=model.magnitudes.including(found))


def check_classes(classes: Any, model: FittedModel | None) -> Array | None:
    """Return the argument `classes` of `partial_fit`, which must be the same as in the first call.

    Raises
    ------
    ValueError
        If they are missing in the first call, or if they are different in a later call.
    """
    if classes is None:
        if model is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return None
    labels: Array = np.unique(as_labels(classes, "classes"))
    if model is not None and not np.array_equal(labels, model.classes):
        raise ValueError(f"classes={labels.tolist()} is not the same as on the first call: {model.classes.tolist()}")
    return labels


def _require_a_batch(X: Any, y: Any) -> None:
    """Raise ValueError if X seems to be a single image, because y is a single label."""
    if isinstance(X, np.ndarray) and isinstance(y, np.ndarray) and len(y) == 1 < len(X):
        raise ValueError(
            f"X and y have inconsistent numbers of samples: {[len(X), len(y)]}; if X of shape {X.shape} is a single "
            "image, pass [X]"
        )


def _shape(X: Any, rows: Array) -> tuple[int, ...]:
    """Return the shape of X, given as an array or a table, before it was flattened to rows."""
    return X.shape if isinstance(X, np.ndarray) else rows.shape


def _validated(estimator: Any, X: Any, y: Any, model: FittedModel | None) -> tuple[Any, dict[str, Any]]:
    """Return the result of scikit-learn's `validate_data`, and the attributes that it sets if there is no model.

    X is from `as_images`, and is flattened first. The attributes are set on a stand-in, because the estimator itself
    must not change before a fit has succeeded.
    """
    is_array = type(X) is np.ndarray
    if is_array and model is not None:
        require_same_shape(X.shape, model.image_format)
    flat = X.reshape(len(X), prod(X.shape[1:])) if is_array else X
    if model is not None and y is _NO_Y and _is_plain(flat, model.features):
        return flat, model.features
    stand_in = object.__new__(type(estimator))
    attributes = vars(stand_in)
    attributes.update(vars(estimator))
    for name in _SET_BY_SKLEARN:
        attributes.pop(name, None)
    attributes.update(model.features if model else {})
    try:
        with np.errstate(all="ignore"):  # sums of huge values of both signs are not an error here
            validated = validate_data(stand_in, flat, y, dtype=numeric_dtype(flat), reset=model is None)
    except (TypeError, ValueError):
        require_no_images_in_cells(flat)
        raise
    except OverflowError as error:
        raise ValueError(f"X contains a number that is too large for float64: {error}") from error
    return validated, {name: attributes[name] for name in _SET_BY_SKLEARN if name in attributes}


def _is_plain(rows: Any, features: dict[str, Any]) -> bool:
    """Return whether rows are finite numbers in an array, as many as in training, and no columns have names.

    `validate_data` would return them unchanged, but takes a third of the time of predicting one image.
    """
    is_array = type(rows) is np.ndarray and rows.ndim == 2 and rows.dtype.kind in "biuf"
    if not (is_array and len(rows) and features == {"n_features_in_": rows.shape[1]}):
        return False
    with np.errstate(all="ignore"):  # if the sum overflows, `validate_data` decides
        return rows.dtype.kind != "f" or bool(np.isfinite(rows.sum()))


def _new_model(
    estimator: Any,
    features: dict[str, Any],
    classes: Array,
    rows: Array,
    shape: tuple[int, ...],
    indices: Array,
    weight: Array | None,
) -> FittedModel:
    parameters = _built_from(estimator)
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    image_format, guessed = image_format_for(
        rows,
        shape,
        indices,
        weight,
        **{name: parameters[name] for name in ("image_shape", "data_format", "scaling", "dtype")},
    )
    warn_of_outliers(rows, indices, image_format)
    layers = layers_from(parameters, image_format.shape, shrink=guessed)
    n_outputs = 1 if len(classes) == 2 else len(classes)
    network = build_network(layers, n_outputs, image_format.shape, stream(seed, "weights"), image_format.dtype)
    warn_if_one_layer_dominates(network)
    return FittedModel(features, classes, image_format, parameters, seed, network)


def _built_from(estimator: Any) -> dict[str, Any]:
    """Return the parameters that a network is built from. Lists become tuples, which cannot change."""
    names = (*ARCHITECTURE, "layers", "image_shape", "data_format", "scaling", "dtype")
    parameters = {name: getattr(estimator, name) for name in names}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}


def _refuse_other_parameters(old: dict[str, Any], new: dict[str, Any]) -> None:
    changes = [f"{name} was {old[name]} and is now {new[name]}" for name in old if old[name] != new[name]]
    raise ValueError(
        f"training cannot continue, because the network was built with other parameters: {', '.join(changes)}. "
        "Restore the old values, or start from scratch: set warm_start=False and call fit"
    )
