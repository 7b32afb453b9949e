"""What all displays check: that the estimator is a fitted classifier, and that an image fits it."""

from __future__ import annotations

import os
import warnings
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skcnn.classifier import NumpyCNNClassifier

__all__ = ["flat_rows", "read_image", "require_fitted", "without_names"]

Array = NDArray[Any]


def require_fitted(estimator: Any) -> None:
    """Raise TypeError or NotFittedError unless `estimator` is a fitted `NumpyCNNClassifier`."""
    if not isinstance(estimator, NumpyCNNClassifier):
        raise TypeError(
            f"estimator must be a NumpyCNNClassifier, got {type(estimator).__name__}; pass the NumpyCNNClassifier in "
            "it, such as pipeline[-1] or search.best_estimator_"
        )
    check_is_fitted(estimator)


def read_image(estimator: NumpyCNNClassifier, image: Any) -> Array:
    """Return a single image as (h, w, c), with its own values. It may have any shape that the classifier knows."""
    if isinstance(image, str | os.PathLike):
        raise TypeError(f"image must be an array, got the path {os.fspath(image)!r}; read it with datasets.load_images")
    h, w, c = estimator.image_shape_
    channels_first = _is_channels_first(estimator)
    whole = (c, h, w) if channels_first else (h, w, c)
    shapes = [*([(h, w)] if c == 1 else []), whole, (prod(whole),)]
    array = np.asarray(image)
    if array.shape not in shapes:
        hint = "; pass a single image, such as X[0]" if array.shape[1:] in shapes else ""
        raise ValueError(f"image must have the shape {' or '.join(map(str, shapes))}, got {array.shape}{hint}")
    array = array.reshape(whole)
    return array.transpose(1, 2, 0) if channels_first else array


def flat_rows(estimator: NumpyCNNClassifier, images: Array) -> Array:
    """Return images (n, h, w, c) as the flat rows that the classifier takes."""
    if _is_channels_first(estimator):
        images = images.transpose(0, 3, 1, 2)
    return images.reshape(len(images), -1)


def without_names(method: Any, X: Array, **kwargs: Any) -> Array:
    """Call a method of the classifier, without the warning that the columns of X have no names."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        result: Array = method(X, **kwargs)
    return result


def _is_channels_first(estimator: NumpyCNNClassifier) -> bool:
    return estimator._model.image_format.data_format == "channels_first"
