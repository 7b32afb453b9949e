"""Early stopping."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK


def test_early_stopping_selects_and_restores_the_best_weights(split_digits):
    X, X_test, y, y_test = split_digits
    settings = {**QUICK, "max_iter": 60, "learning_rate": "constant", "learning_rate_init": 0.02}
    clf = NumpyCNNClassifier(early_stopping=True, n_iter_no_change=3, **settings).fit(X, y, X_val=X_test, y_val=y_test)
    assert clf.stop_reason_ == "early_stopping"
    assert clf.n_iter_ < 60
    assert clf.best_validation_score_ == max(clf.validation_scores_) == clf.score(X_test, y_test)
    assert clf.validation_scores_[clf.best_iter_ - 1] == clf.best_validation_score_
    assert clf.validation_scores_[-1] < clf.best_validation_score_, "otherwise the last weights would be the best ones"


def test_early_stopping_holds_rows_out(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(early_stopping=True, validation_fraction=0.2, **QUICK).fit(X, y)
    assert clf.t_ == 2 * (len(X) - np.ceil(0.2 * len(X)))
    assert clf.validation_scores_ is not None


@pytest.mark.parametrize(("ones", "fraction"), [(2, 0.1), (2, 0.9)])
def test_early_stopping_needs_every_class_on_both_sides(split_digits, ones, fraction):
    X = np.zeros((300, 16))
    y = np.r_[np.zeros(300 - ones), np.ones(ones)]
    with pytest.raises(
        ValueError, match=r"(validation|training) set is too small: .* none of at least one class; change val"
    ):
        NumpyCNNClassifier(early_stopping=True, validation_fraction=fraction, **QUICK).fit(X, y)


@pytest.mark.parametrize("validation", ["given", "split"])
def test_early_stopping_selects_by_scoring(validation, make, parts):
    X, y, X_val, y_val = parts
    given = {"X_val": X_val, "y_val": y_val} if validation == "given" else {}
    clf = make(max_iter=8, early_stopping=True, scoring="neg_log_loss", n_iter_no_change=8)
    clf.fit(X, y, sample_weight=1.0 + y, **given)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_iter_ == 1 + int(np.argmax(clf.validation_scores_))
    assert len(set(clf.validation_scores_)) > 1
    if given:
        np.testing.assert_allclose(-log_loss(y_val, clf.predict_proba(X_val)), clf.best_validation_score_, rtol=1e-9)
