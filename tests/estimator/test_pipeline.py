"""The classifier in a pipeline, with metadata routing."""

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, bits


def test_metadata_routing_in_a_pipeline(split_digits):
    X, _, y, _ = split_digits
    X, y = X[:300], y[:300]
    weight = np.where(y == 0, 5.0, 1.0)
    with config_context(enable_metadata_routing=True):
        clf = NumpyCNNClassifier(**QUICK).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        clf.set_score_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(lambda X: X), clf)
        pipeline.fit(X, y, sample_weight=weight, X_val=X[:50], y_val=y[:50])
        scores = cross_validate(clone(clf), X, y, params={"sample_weight": weight}, cv=3, error_score="raise")
    assert pipeline[-1].validation_scores_ is not None
    assert bits(pipeline[-1], X) == bits(NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight), X)
    assert len(scores["test_score"]) == 3


def test_validation_images_go_through_the_pipeline(make, parts):
    X, y, X_val, y_val = parts
    weight = np.arange(10.0)
    with config_context(enable_metadata_routing=True):
        cnn = make(max_iter=2).set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("cnn", cnn)], transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    scale = StandardScaler().fit(X)
    by_hand = make(max_iter=2).fit(
        scale.transform(X), y, X_val=scale.transform(X_val), y_val=y_val, sample_weight_val=weight
    )
    assert pipeline[-1].validation_loss_curve_ == by_hand.validation_loss_curve_
