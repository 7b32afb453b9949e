"""Predictions, and what they need."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import PREDICTIONS, QUICK


@pytest.mark.parametrize("n_classes", [2, 3])
def test_outputs_agree_with_each_other(split_digits, n_classes):
    X, _, y, _ = split_digits
    X, y = X[y < n_classes], np.array(["a", "b", "c"])[y[y < n_classes]]
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    probabilities, logits = clf.predict_proba(X), clf.decision_function(X)
    assert logits.shape == ((len(X),) if n_classes == 2 else (len(X), 3))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(probabilities), atol=1e-9)
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(axis=1)])
    if n_classes == 2:
        np.testing.assert_array_equal(clf.predict(X) == "b", logits > 0)
    else:
        np.testing.assert_allclose(
            logits - logits.max(axis=1, keepdims=True),
            np.log(probabilities) - np.log(probabilities.max(axis=1, keepdims=True)),
            atol=1e-9,
        )
    assert (clf.n_outputs_, clf.out_activation_) == ((1, "logistic") if n_classes == 2 else (3, "softmax"))


def test_log_probabilities_stay_finite_where_probabilities_vanish(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    clf.network_.params[-1]["W"] *= 1e4
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert (clf.predict_proba(X) == 0).any()
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits_give_probabilities(make, data, n_classes, dtype):
    X, y = data
    clf = make(dtype=dtype, learning_rate_init=0.002).fit(X, y % n_classes)
    clf.coefs_[-1][...] *= 1e4 / np.abs(clf.decision_function(X)).max()
    assert 5e3 < np.abs(clf.decision_function(X)).max() < 2e4
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert np.isfinite(clf.predict_log_proba(X)).all()


@pytest.mark.parametrize("name", PREDICTIONS)
def test_before_fit(make, data, fitted, name):
    for unfitted in (make(), clone(fitted)):
        # the error is the same for an X that a fitted network would refuse
        for X in (data[0], data[0].reshape(40, 6, 6), None):
            with pytest.raises(NotFittedError, match="This NumpyCNNClassifier instance is not fitted yet"):
                getattr(unfitted, name)(X)


def test_score_before_fit(make, data):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        make().score(*data)


def test_score_with_unseen_labels(fitted, data):
    X, y = data
    assert fitted.score(X, y + 100) == 0
    right = fitted.predict(X)
    assert fitted.score(X, np.where(np.arange(40) < 10, 100, right)) == 0.75


def test_prediction_needs_no_more_memory_for_more_images():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (40_960, 8, 8), dtype=np.uint8), np.arange(40_960) % 3
    # one thread makes the peak repeatable: two threads may have their peaks at the same time
    clf = NumpyCNNClassifier(max_iter=1, n_jobs=1, random_state=0).fit(X[:100], y[:100])
    peaks = []
    for n in (8_192, 40_960):  # 16 blocks, and 80 blocks of the same size
        tracemalloc.start()
        result = clf.predict_proba(X[:n])
        peaks.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
