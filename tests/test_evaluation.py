"""What is measured on held-out images, and how it gets there."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, make_scorer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def last_row(clf):
    return clf.history_[-1]


@pytest.fixture
def parts(data):
    X, y = data
    return X[:30], y[:30], X[30:], y[30:]


def test_held_out_images_have_weights(make, parts):
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
def test_wrong_weights_of_held_out_images(weight, message, make, parts):
    X, y, X_val, y_val = parts
    with pytest.raises(ValueError, match=message):
        make().fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)


def test_weights_need_their_images(make, parts):
    with pytest.raises(ValueError, match="sample_weight_val goes with them"):
        make().fit(*parts[:2], sample_weight_val=np.ones(10))


SCORINGS = {
    "name": "neg_log_loss",
    "scorer": make_scorer(balanced_accuracy_score),
    "callable": lambda clf, X, y, sample_weight=None: float((clf.predict(X) == y).sum()),
    "numpy number": lambda clf, X, y: np.float32(len(X)),
}


@pytest.mark.parametrize("name", SCORINGS)
def test_any_scoring(name, make, parts):
    X, y, X_val, y_val = parts
    labels = np.array(["low", "middle", "high"])
    clf = make(max_iter=3, scoring=SCORINGS[name]).fit(X, labels[y], X_val=X_val, y_val=labels[y_val])
    from sklearn.metrics import check_scoring

    assert clf.validation_scores_[-1] == check_scoring(clf, SCORINGS[name])(clf, X_val, labels[y_val])
    assert last_row(clf)["val_accuracy"] == clf.score(X_val, labels[y_val]), "measured all the same"


@pytest.mark.parametrize("held_out", ["given", "split"])
def test_early_stopping_selects_by_scoring(held_out, make, parts):
    X, y, X_val, y_val = parts
    given = {"X_val": X_val, "y_val": y_val} if held_out == "given" else {}
    clf = make(max_iter=8, early_stopping=True, scoring="neg_log_loss", n_iter_no_change=8)
    clf.fit(X, y, sample_weight=1.0 + y, **given)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_iter_ == 1 + int(np.argmax(clf.validation_scores_))
    assert len(set(clf.validation_scores_)) > 1
    if given:
        np.testing.assert_allclose(-log_loss(y_val, clf.predict_proba(X_val)), clf.best_validation_score_, rtol=1e-9)


def without_weights(y_true, y_pred):
    return float((y_true == y_pred).mean())


@pytest.mark.parametrize("scoring", [lambda clf, X, y: clf.score(X, y), make_scorer(without_weights), print])
def test_weights_are_for_scorers_that_take_them(scoring, make, parts):
    X, y, X_val, y_val = parts
    if scoring is print:  # takes anything but weights, and returns nothing
        scoring = lambda *args, _print=print: 1.0  # noqa: E731
    clf = make(max_iter=2, scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=np.arange(10.0))
    assert clf.validation_scores_[-1] == (scoring(clf, X_val, y_val))


@pytest.mark.parametrize("held_out", ["given", "split"])
def test_scorers_are_given_the_weights(held_out, make, parts):
    X, y, X_val, y_val = parts
    seen = []

    def scoring(clf, X, y, sample_weight=None):
        seen.append(sample_weight)
        return clf.score(X, y, sample_weight=sample_weight)

    weight, given = 1.0 + np.arange(30), {}
    if held_out == "given":
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.arange(10.0)}
    clf = make(scoring=scoring, early_stopping=True).fit(X, y, sample_weight=weight, **given)
    if given:
        np.testing.assert_array_equal(seen, [np.arange(10.0)])
    else:
        assert len(seen[0]) == 3
        assert set(seen[0]) < set(weight)
    if held_out == "given":
        assert clf.validation_scores_ == [clf.score(X_val, y_val, sample_weight=np.arange(10.0))]


def test_scorers_hear_numpy_as_their_caller_does(make, parts):
    X, y, X_val, y_val = parts

    def scoring(clf, X, y):
        return float(np.ones(1)[0] / np.zeros(1)[0])

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        make(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)


def test_held_out_images_of_another_scale_warn_once_and_here(make, parts):
    X, y, X_val, y_val = parts
    with pytest.warns(UserWarning, match="the pixels of X_val reach") as caught:
        make(max_iter=3, scoring="neg_log_loss").fit(X, y, X_val=1000 * X_val, y_val=y_val)
    assert [Path(warning.filename).name for warning in caught] == ["test_evaluation.py"]


def test_what_is_watched_is_shown(make, parts, capsys):
    X, y, X_val, y_val = parts
    clf = make(verbose=True, scoring="neg_log_loss").fit(X, y, X_val=X_val, y_val=y_val)
    assert f"val_score={clf.validation_scores_[0]:.4f}" in capsys.readouterr().out
    make(verbose=True).fit(X, y, X_val=X_val, y_val=y_val)
    assert "val_score" not in capsys.readouterr().out


def test_scoring_meets_tables_without_complaint(make, parts):
    X, y, X_val, y_val = parts
    names = [f"pixel {i}" for i in range(36)]
    tables = pd.DataFrame(X, columns=names), pd.DataFrame(X_val, columns=names)
    clf = make(scoring="accuracy").fit(tables[0], y, X_val=tables[1], y_val=y_val)
    assert list(clf.feature_names_in_) == names


def test_wrong_scorings(make, parts):
    X, y, X_val, y_val = parts
    with pytest.raises(ValueError, match="'likability' is not a valid scoring value"):
        make(scoring="likability").fit(X, y, X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match="'likability' is not a valid scoring value"):
        make(scoring="likability").fit(X, y)  # though there is nothing to score
    with pytest.raises(ValueError, match="'scoring' parameter of NumpyCNNClassifier must be"):
        make(scoring=["accuracy"]).fit(X, y)
    clf = make(scoring=lambda clf, X, y: np.nan)
    with pytest.raises(ValueError, match="must give a finite number for held-out images, got nan"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert not hasattr(clf, "network_")


def test_held_out_images_go_through_the_pipeline(make, parts):
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
