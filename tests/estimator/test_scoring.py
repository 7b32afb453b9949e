"""The parameter scoring: scores of held-out images by any scorer."""

import re
import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, make_scorer

from skcnn.augmentation import Shift
from tests.estimator.helpers import last_row

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
    assert last_row(clf)["val_accuracy"] == clf.score(X_val, labels[y_val]), "the accuracy is measured too"


def without_weights(y_true, y_pred):
    return float((y_true == y_pred).mean())


@pytest.mark.parametrize("scoring", [lambda clf, X, y: clf.score(X, y), make_scorer(without_weights), print])
def test_weights_are_for_scorers_that_take_them(scoring, make, parts):
    X, y, X_val, y_val = parts
    if scoring is print:  # print stands for a callable that takes no weights
        scoring = lambda *args, _print=print: 1.0  # noqa: E731
    clf = make(max_iter=2, scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=np.arange(10.0))
    assert clf.validation_scores_[-1] == (scoring(clf, X_val, y_val))


@pytest.mark.parametrize("validation", ["given", "split"])
def test_scorers_are_given_the_weights(validation, make, parts):
    X, y, X_val, y_val = parts
    seen = []

    def scoring(clf, X, y, sample_weight=None):
        seen.append(sample_weight)
        return clf.score(X, y, sample_weight=sample_weight)

    weight, given = 1.0 + np.arange(30), {}
    if validation == "given":
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.arange(10.0)}
    clf = make(scoring=scoring, early_stopping=True).fit(X, y, sample_weight=weight, **given)
    if given:
        np.testing.assert_array_equal(seen, [np.arange(10.0)] * 2)  # before training, and after the epoch
    else:
        assert len(seen[0]) == 3
        assert set(seen[0]) < set(weight)
    if validation == "given":
        assert clf.validation_scores_ == [clf.score(X_val, y_val, sample_weight=np.arange(10.0))]


def test_scorers_run_under_the_caller_s_errstate(make, parts):
    X, y, X_val, y_val = parts

    def scoring(clf, X, y):
        return float(np.ones(1)[0] / np.zeros(1)[0])

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        make(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)


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


def test_scorers_see_the_parameters_of_the_fit_and_no_warnings_of_the_scale(make, parts):
    X, y, X_val, y_val = parts
    seen = []

    def scoring(clf, X, y):
        seen.append(clf.get_params())
        clf.predict(X[:1])
        return 1.0

    clf = make(scoring=scoring, scaling="standard")
    with pytest.warns(UserWarning, match="the pixels of X_val reach"):
        clf.fit(X, y, X_val=X_val * 1000, y_val=y_val)
    assert seen == [clf.get_params()] * (1 + clf.n_iter_)


def test_wrong_scorings(make, parts):
    X, y, X_val, y_val = parts
    with pytest.raises(ValueError, match="'likability' is not a valid scoring value"):
        make(scoring="likability").fit(X, y, X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match="'likability' is not a valid scoring value"):
        make(scoring="likability").fit(X, y)  # without held-out images too
    with pytest.raises(ValueError, match="'scoring' parameter of NumpyCNNClassifier must be"):
        make(scoring=["accuracy"]).fit(X, y)
    clf = make(scoring=lambda clf, X, y: np.nan)
    with pytest.raises(ValueError, match="must return a finite number for the validation set, got nan"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert not hasattr(clf, "network_")


def raising(error):
    def scoring(clf, X, y):
        raise error

    return scoring


class OwnError(Exception):
    """An exception of several arguments."""


NO_NUMBERS = [None, "high", [0.5], np.ones(1), np.ones(3), 0.5j, np.nan, -np.inf, True, len]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_scorer_that_returns_no_finite_number_fails_before_training(value, make, parts, capsys):
    X, y, X_val, y_val = parts
    clf = make(scoring=lambda clf, X, y: value, verbose=1)
    with pytest.raises(ValueError, match=r"^scoring=.* must return a finite number for the validation set, got "):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.parametrize("value", [1, np.int8(1), np.float16(1), np.array(1.0), np.array(1), Fraction(1)])
def test_a_scorer_may_return_a_number_of_any_type(value, make, parts):
    X, y, X_val, y_val = parts
    scores = make(scoring=lambda clf, X, y: value).fit(X, y, X_val=X_val, y_val=y_val).validation_scores_
    assert scores == [1.0]
    assert type(scores[0]) is float


@pytest.mark.parametrize("error", [ValueError("too few"), KeyError("x"), OwnError(1, 2), ZeroDivisionError()], ids=repr)
@pytest.mark.parametrize("validation", ["given", "split"])
def test_an_error_that_a_scorer_raises_keeps_its_type_and_names_scoring(error, validation, make, parts, capsys):
    X, y, X_val, y_val = parts
    given = {"X_val": X_val, "y_val": y_val} if validation == "given" else {"X_val": None}
    with pytest.raises(type(error)) as raised:
        make(scoring=raising(error), early_stopping=True, verbose=1).fit(X, y, **given)
    text = "\n".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert re.search(r"scoring=<function .*> cannot score the validation set", text)
    assert "no samples" not in text
    assert raised.traceback[-1].name == "scoring"
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.parametrize("scoring", ["neg_log_loss", "roc_auc_ovr", "top_k_accuracy", "neg_brier_score"])
def test_a_scorer_that_needs_every_class_fails_before_training_and_the_error_says_which_are_missing(
    scoring, make, parts, capsys
):
    X, y, X_val, y_val = parts
    labels = np.array(["low", "middle", "high"])
    with pytest.raises(ValueError, match=rf"scoring='{scoring}' cannot score the validation set") as raised:
        make(scoring=scoring, verbose=1).fit(X, labels[y], X_val=X_val[y_val == 0], y_val=labels[y_val[y_val == 0]])
    assert raised.value.__notes__ == ["The validation set has no samples of the classes ['high', 'middle']"]
    assert "Epoch" not in capsys.readouterr().out


def test_a_scorer_that_needs_every_class_fails_if_the_split_lacks_one(make, parts):
    X, y, *_ = parts
    y = np.where(np.arange(30) == 7, 9, y)
    with pytest.raises(ValueError, match=r"(?s)scoring='neg_log_loss' .* no samples of the classes \[9\]"):
        make(scoring="neg_log_loss", early_stopping=True).fit(X, y)


@pytest.mark.parametrize("scoring", [lambda clf, X: 1.0, lambda: 1.0, lambda clf, X, y, z: 1.0, Shift(1)])
def test_a_scorer_of_other_arguments_fails_before_training(scoring, make, parts):
    X, y, X_val, y_val = parts
    with pytest.raises(TypeError, match=r"^scoring must take the arguments \(estimator, X, y\), but .* does not: "):
        make(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val)


def test_a_warning_about_the_untrained_network_is_not_raised(make, parts):
    """As with `python -W error`: scikit-learn warns if a class is never predicted, but training may change this."""
    X, y, X_val, y_val = parts
    calls = []

    def scoring(clf, X, y):
        calls.append(clf)
        if len(calls) == 1:
            warnings.warn("ill-defined", stacklevel=1)
        return 1.0

    assert make(scoring=scoring).fit(X, y, X_val=X_val, y_val=y_val).validation_scores_ == [1.0]


def test_a_finished_checkpoint_is_not_scored_again(make, parts, tmp_path, monkeypatch):
    X, y, X_val, y_val = parts
    given = {"X_val": X_val, "y_val": y_val, "checkpoint": tmp_path / "fit"}
    make(scoring=counted).fit(X, y, **given)
    monkeypatch.setattr(counted, "calls", 0)
    assert make(scoring=counted).fit(X, y, **given).validation_scores_ == [1.0]
    assert counted.calls == 0


def counted(clf, X, y):
    counted.calls += 1
    return 1.0


counted.calls = 0
