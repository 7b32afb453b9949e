"""CNNFeatures: the output of a layer, as features for other estimators."""

from __future__ import annotations

from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.sklearn_private import DocumentationLinkMixin
from skcnn.classifier import ImagesLike, NumpyCNNClassifier
from skcnn.layers.path import LayerIndex, require_index

__all__ = ["CNNFeatures"]

Array = NDArray[Any]


class CNNFeatures(
    DocumentationLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetaEstimatorMixin, BaseEstimator
):
    """Transform images to the output of a layer of a convolutional network.

    `fit` trains the network to classify. Other estimators can use what a layer then returns: a classifier, a
    clustering, a search for similar images.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
        `fit` trains a clone of it. To use a classifier that is already fitted, pass
        ``sklearn.frozen.FrozenEstimator(clf)``; `fit` then trains nothing and needs no y.
    layer : int or tuple of int, default=-2
        The index of the layer in ``network_.layers``. Negative indices count from the end: -1 is the output layer,
        without softmax or sigmoid, and -2 is the layer before it. A tuple is the position of a layer inside
        `Sequential` or `Residual`: ``(2, 0)`` is the first layer in ``network_.layers[2]``.

    Attributes
    ----------
    estimator_ : NumpyCNNClassifier or FrozenEstimator
        The fitted classifier.
    n_features_in_ : int
        h * w * c.
    feature_names_in_ : ndarray of str
        Names of the columns of X. Defined only if X was a table with named columns.

    See Also
    --------
    NumpyCNNClassifier.activations : The same output, with the shape of the feature maps.

    Examples
    --------
    A network that was trained to tell even from odd digits, as the first step of a classifier of all ten digits:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skcnn import CNNFeatures, NumpyCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=10, random_state=0).fit(X[:1000], y[:1000] % 2)
    >>> pipeline = make_pipeline(CNNFeatures(FrozenEstimator(clf)), LogisticRegression(max_iter=1000))
    >>> bool(pipeline.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9)
    True
    """

    def __init__(self, estimator: Any, *, layer: LayerIndex = -2) -> None:
        self.estimator = estimator
        self.layer = layer

    def __sklearn_tags__(self) -> Any:
        tags, of_estimator = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags, tags.target_tags = of_estimator.input_tags, of_estimator.target_tags
        tags.target_tags.required = not isinstance(self.estimator, FrozenEstimator)
        keeps_dtype = isinstance(self.estimator, NumpyCNNClassifier) and self.estimator.dtype == "auto"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"] if keeps_dtype else []
        return tags

    def get_metadata_routing(self) -> Any:
        """Return which metadata `fit` passes on to the classifier.

        Returns
        -------
        routing : MetadataRouter
        """
        # pipelines of scikit-learn 1.6 ask for the metadata of fit_transform
        mapping = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(estimator=self.estimator, method_mapping=mapping)

    def fit(self, X: ImagesLike, y: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Train a clone of the classifier, unless it is frozen.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w), (n, h, w, c) or (n, c, h, w)
            Images, as for `NumpyCNNClassifier.fit`.
        y : array-like of shape (n,), default=None
            Class labels. Required unless the classifier is frozen.
        **fit_params
            Further arguments of `NumpyCNNClassifier.fit`, such as `sample_weight`.

        Returns
        -------
        self : CNNFeatures

        Raises
        ------
        TypeError
            If `estimator` is not a `NumpyCNNClassifier` or a `FrozenEstimator` of one, or if `layer` is not an int or a
            tuple of ints.
        IndexError
            If the network has no such layer.
        NotFittedError
            If the classifier is frozen, but not fitted.
        ValueError
            As in `NumpyCNNClassifier.fit`.
        """
        _require_classifier(self.estimator)
        require_index(self.layer)
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        estimator = clone(self.estimator).fit(X, y, **fit_params)
        estimator.network_.up_to(self.layer)  # raises an error if there is no such layer
        self.estimator_ = estimator
        return self

    def transform(self, X: ImagesLike) -> Array:
        """Return the output of the layer for each image.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        features : ndarray of shape (n, n_features_out)
            The feature maps or rows of the layer, flattened. They have the network's dtype.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If X is invalid, or if its images do not have the fitted shape.
        """
        check_is_fitted(self)
        activations: Array = self.estimator_.activations(X, layer=self.layer)
        return activations.reshape(len(activations), -1)

    @property
    def n_features_in_(self) -> int:
        """The number of values of an image: h * w * c."""
        return int(self._fitted_estimator.n_features_in_)

    @property
    def feature_names_in_(self) -> Array:
        """The names of the columns of X. Defined only if X was a table with named columns."""
        return np.asarray(self._fitted_estimator.feature_names_in_)

    @property
    def _n_features_out(self) -> int:
        return prod(self._fitted_estimator.network_.up_to(self.layer).shapes[-1])

    @property
    def _fitted_estimator(self) -> Any:
        """The fitted classifier. Raise NotFittedError, which is an AttributeError too, if there is none."""
        check_is_fitted(self)
        return self.estimator_


def _require_classifier(estimator: Any) -> None:
    is_frozen = isinstance(estimator, FrozenEstimator)
    classifier = estimator.estimator if is_frozen else estimator
    if not isinstance(classifier, NumpyCNNClassifier):
        raise TypeError(
            "estimator must be a NumpyCNNClassifier, or a FrozenEstimator of one, got "
            f"{type(classifier).__name__}{' in a FrozenEstimator' if is_frozen else ''}"
        )
