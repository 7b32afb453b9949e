"""Measurements on validation images."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, bits, last_row


def test_validation_images_have_weights(make, parts):
    X, y, X_val, y_val = parts
    weight = np.arange(10.0)
    clf = make(max_iter=2).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    predicted, probabilities, row = clf.predict(X_val), clf.predict_proba(X_val), last_row(clf)
    assert row["val_accuracy"] == row["val_score"] == accuracy_score(y_val, predicted, sample_weight=weight)
    assert row["val_f1"] == f1_score(y_val, predicted, average="macro", sample_weight=weight, zero_division=0.0)
    np.testing.assert_allclose(row["val_loss"], log_loss(y_val, probabilities, sample_weight=weight), rtol=1e-9)
    assert clf.validation_loss_curve_[-1] == row["val_loss"]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(10), "sample_weight_val.*zero"),
        (-np.ones(10), "sample_weight_val: Negative values"),
        (np.ones(3), r"sample_weight_val: sample_weight.shape == \(3,\), expected \(10,\)"),
        (np.full(10, np.nan), "sample_weight_val: Input sample_weight contains NaN"),
    ],
)
def test_wrong_weights_of_validation_images(weight, message, make, parts):
    X, y, X_val, y_val = parts
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)


def test_weights_need_their_images(make, parts):
    with pytest.raises(ValueError, match="sample_weight_val only with both of them"):
        make().fit(*parts[:2], sample_weight_val=np.ones(10))


def test_validation_images_of_another_scale_warn_once_and_here(make, parts):
    X, y, X_val, y_val = parts
    with pytest.warns(UserWarning, match="the pixels of X_val reach") as caught:
        make(max_iter=3, scoring="neg_log_loss").fit(X, y, X_val=1000 * X_val, y_val=y_val)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]


def test_monitoring_does_not_change_the_model(split_digits):
    X, X_test, y, y_test = split_digits
    watched = NumpyCNNClassifier(**QUICK).fit(X, y, X_val=X_test, y_val=y_test)
    assert bits(watched, X) == bits(NumpyCNNClassifier(**QUICK).fit(X, y), X)
    assert NumpyCNNClassifier(**QUICK).fit(X, y).validation_loss_curve_ is None


def test_errors_in_validation_images_name_them(split_digits):
    X, X_val, y, y_val = split_digits
    for wrong_X, wrong_y in [(np.full_like(X_val, np.nan), y_val), (X_val, y_val[:-1]), (X_val[:, :9], y_val)]:
        with pytest.raises(ValueError, match=r"^X_val, y_val: "):
            NumpyCNNClassifier(**QUICK).fit(X, y, X_val=wrong_X, y_val=wrong_y)
