"""Early stopping."""

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn._estimator.validation import _split_indices
from skcnn.schedules import SCHEDULES, ReduceOnPlateau
from tests.estimator.helpers import QUICK


def test_early_stopping_selects_and_restores_the_best_weights(split_digits):
    X, X_test, y, y_test = split_digits
    settings = {**QUICK, "max_iter": 60, "learning_rate": "constant", "learning_rate_init": 0.02}
    clf = NumpyCNNClassifier(early_stopping=True, n_iter_no_change=3, **settings).fit(X, y, X_val=X_test, y_val=y_test)
    assert clf.stop_reason_ == "early_stopping"
    assert clf.n_iter_ < 60
    scores, highest = np.array(clf.validation_scores_), max(clf.validation_scores_)
    assert scores[clf.best_iter_ - 1] == clf.best_validation_score_ == clf.score(X_test, y_test)
    # the last one within a standard error of the highest score
    error = np.sqrt(highest * (1 - highest) / len(y_test))
    assert clf.best_iter_ == 1 + np.flatnonzero(scores >= highest - error)[-1]
    assert clf.best_iter_ < clf.n_iter_, "otherwise the last weights would be the best ones"


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "exponential"])
def test_a_schedule_is_not_cut_off(split_digits, schedule):
    """After early stopping, the learning rate falls as far as it would have fallen, but faster."""
    X, X_test, y, y_test = split_digits
    rates = []

    def rate(epoch, n_epochs):
        rates.append((epoch, SCHEDULES[schedule]()(epoch, n_epochs)))
        return rates[-1][1]

    settings = {**QUICK, "max_iter": 40, "learning_rate": rate, "tol": 1.0, "n_iter_no_change": 4, "batch_size": 50}
    clf = NumpyCNNClassifier(early_stopping=True, **settings).fit(X, y, X_val=X_test, y_val=y_test)
    stale = 1 + 4 + 1  # the first epoch, and more epochs than the patience without an improvement
    assert (clf.n_iter_, clf.stop_reason_) == (stale + 4, "early_stopping")
    at_starts = [row["learning_rate"] / 0.01 for row in clf.history_]
    times = [*range(stale), *(stale + (40 - stale) * i / 4 for i in range(4))]
    np.testing.assert_allclose(at_starts, [SCHEDULES[schedule]()(time, 40) for time in times], rtol=1e-12)
    assert max(epoch for epoch, _ in rates) < 40
    assert min(factor for _, factor in rates[-3:]) < 0.05


@pytest.mark.parametrize(
    ("schedule", "n_epochs"), [("constant", 6), (ReduceOnPlateau(patience=30), 6), ("cosine", 9), (lambda e, n: 1.0, 6)]
)
def test_training_ends_at_once_if_the_rate_does_not_fall_and_at_the_end_if_that_is_near(
    split_digits, schedule, n_epochs
):
    X, X_test, y, y_test = split_digits
    settings = {**QUICK, "max_iter": 9, "learning_rate": schedule, "tol": 1.0, "n_iter_no_change": 4}
    if n_epochs == 6:
        settings["max_iter"] = 30
    clf = NumpyCNNClassifier(early_stopping=True, **settings).fit(X, y, X_val=X_test, y_val=y_test)
    assert (clf.n_iter_, clf.stop_reason_) == (n_epochs, "early_stopping" if n_epochs == 6 else "max_iter")


def test_early_stopping_holds_rows_out(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(early_stopping=True, validation_fraction=0.2, **QUICK).fit(X, y)
    assert clf.t_ == 2 * (len(X) - np.ceil(0.2 * len(X)))
    assert clf.validation_scores_ is not None


SIZES = {  # of the classes
    "a class of two": (120, 78, 2),
    "a class of five": (120, 75, 5),
    "ten small classes": (500, 430, *[7] * 10),
    "only pairs": (2,) * 30,
    "one pair": (2,),
    "single samples too": (40, 1, 2, 1, 30),
    "more single samples than others": (2, *[1] * 50),
}


@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_class_with_two_samples_is_in_both_parts_and_single_samples_are_trained_on(sizes, fraction):
    counts = np.array(sizes)
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    indices = np.arange(len(y))
    for seed in range(5):
        kept, held = _split_indices(indices, y, fraction, seed)
        assert sorted([*kept, *held]) == list(indices)
        in_kept, in_held = (np.bincount(y[part], minlength=len(sizes)) for part in (kept, held))
        assert (in_kept >= 1).all()
        assert ((in_held >= 1) == (counts >= 2)).all()
        wanted = np.clip(np.ceil(fraction * len(y)), np.sum(counts > 1), np.sum(counts[counts > 1] - 1))
        assert abs(len(held) - wanted) <= np.sum((counts > 1) & (counts < 10))
        large = counts >= 100
        assert (abs(in_held[large] - fraction * counts[large]) <= 10).all()


def test_ordinary_data_is_split_as_by_scikit_learn(digits):
    y = digits[1]
    indices = np.flatnonzero(np.arange(len(y)) % 7)
    kept, held = _split_indices(indices, y, 0.2, 5)
    expected = train_test_split(indices, test_size=0.2, stratify=y[indices], random_state=5)
    np.testing.assert_array_equal(kept, expected[0])
    np.testing.assert_array_equal(held, expected[1])


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("labels", [list("aaaaaaabbbbcd"), list("aaaab"), list("aab")])
def test_early_stopping_trains_with_rare_classes(labels, fraction, make, rng):
    labels = np.array(labels)
    seen = []

    def scoring(clf, X, y):
        seen.append(set(y))
        return clf.score(X, y)

    clf = make(early_stopping=True, validation_fraction=fraction)
    X = rng.normal(size=(len(labels), 16))
    assert clf.fit(X, labels).n_iter_ == 1
    clf.set_params(scoring=scoring).fit(X, labels)
    classes, counts = np.unique(labels, return_counts=True)
    assert all(part == set(classes[counts > 1]) for part in seen)
    assert np.isfinite([clf.history_[-1][name] for name in ("val_loss", "val_accuracy", "val_f1")]).all()


def test_the_only_sample_with_weight_of_a_class_is_trained_on(make, data):
    X, y = data
    weight = np.where(y == 2, 0.0, 1.0 + y)
    weight[2] = 1.0
    clf = make(early_stopping=True, scoring=lambda clf, X, y: float(2 not in y)).fit(X, y, weight)
    assert clf.validation_scores_ == [1.0]


@pytest.mark.parametrize("n_samples", [1, 2, 7])
def test_a_split_is_impossible_if_every_class_has_a_single_sample(n_samples, make, data):
    X = data[0][:n_samples]
    text = rf"early_stopping: .* validation_fraction=0.2, because the {n_samples} sample\(s\) belong to"
    with pytest.raises(ValueError, match=text):
        make(early_stopping=True, validation_fraction=0.2).fit(X, np.arange(n_samples))


@pytest.mark.parametrize("validation", ["given", "split"])
def test_early_stopping_selects_by_scoring(validation, make, parts):
    X, y, X_val, y_val = parts
    given = {"X_val": X_val, "y_val": y_val} if validation == "given" else {}
    clf = make(max_iter=8, early_stopping=True, scoring="neg_log_loss", n_iter_no_change=8, alpha=0.05)
    clf.fit(X, y, sample_weight=1.0 + y, **given)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_iter_ == 1 + int(np.argmax(clf.validation_scores_))
    assert len(set(clf.validation_scores_)) > 1
    if given:
        np.testing.assert_allclose(-log_loss(y_val, clf.predict_proba(X_val)), clf.best_validation_score_, rtol=1e-9)
