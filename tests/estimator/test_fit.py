"""Training by fit: what it learns, what it leaves in the attributes, and how it repeats."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, f1_score, log_loss

from skcnn import NumpyCNNClassifier
from skcnn.optimizers import SGD, Adam
from tests.estimator.helpers import QUICK, weights_of


def test_learns_digits_by_defaults(split_digits):
    X_train, X_test, y_train, y_test = split_digits
    assert NumpyCNNClassifier(random_state=0).fit(X_train, y_train).score(X_test, y_test) >= 0.97


def test_attributes_tell_of_the_training(split_digits):
    X, X_test, y, y_test = split_digits
    clf = NumpyCNNClassifier(**{**QUICK, "max_iter": 4})
    clf = clf.fit(X, y, X_val=X_test, y_val=y_test)
    held_out = ["val_loss", "val_accuracy", "val_f1", "val_score"]
    assert list(clf.history_[0]) == ["epoch", "loss", "accuracy", *held_out, "learning_rate", "seconds"]
    assert [row["epoch"] for row in clf.history_] == [1, 2, 3, 4]
    assert clf.n_iter_ == 4
    assert clf.t_ == 4 * len(X)
    assert clf.loss_curve_ == [row["loss"] for row in clf.history_]
    assert (clf.loss_, clf.best_loss_) == (clf.loss_curve_[-1], min(clf.loss_curve_))
    assert clf.loss_ < clf.loss_curve_[0]
    assert clf.stop_reason_ == "max_iter"
    assert (clf.best_validation_score_, clf.best_iter_) == (None, None)
    assert clf.n_layers_ == 5
    last, predicted = clf.history_[-1], clf.predict(X_test)
    assert last["val_accuracy"] == clf.validation_scores_[-1] == accuracy_score(y_test, predicted)
    assert last["val_f1"] == f1_score(y_test, predicted, average="macro")
    assert last["val_loss"] == clf.validation_loss_curve_[-1]
    assert last["val_loss"] == pytest.approx(log_loss(y_test, clf.predict_proba(X_test)))
    rates = [row["learning_rate"] for row in clf.history_]
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2)


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_accuracy_of_training_is_that_of_the_images_trained_on(split_digits, rng, n_classes, weighted):
    X, _, y, _ = split_digits
    X, y = X[y < n_classes], y[y < n_classes]
    y = np.where(rng.random(len(y)) < 0.2, rng.integers(n_classes, size=len(y)), y)  # not all can be correct
    weight = rng.uniform(0.1, 3, len(X)) if weighted else None
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    # two batches, of many shards; the weights stay what they are
    clf.set_params(warm_start=True, max_iter=1, batch_size=len(X) // 2 + 1, learning_rate_init=1e-12)
    accuracy = clf.fit(X, y, sample_weight=weight).history_[-1]["accuracy"]
    assert 0.2 < accuracy < 1
    assert accuracy == pytest.approx(accuracy_score(y, clf.predict(X), sample_weight=weight), abs=2 / len(X))
    assert clf.partial_fit(X, y).history_[-1]["accuracy"] == pytest.approx(clf.score(X, y), abs=2 / len(X))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_one_or_two_samples(make, data, n, batch_size):
    clf = make(batch_size=batch_size).fit(data[0][:n], data[1][:n])
    assert np.isfinite(clf.predict_proba(data[0])).all()


def test_a_refit_starts_anew(make, data, digits):
    X, y = data
    table = pd.DataFrame(digits[0], columns=[f"p{i}" for i in range(64)])
    clf = make(early_stopping=True).fit(table, digits[1]).set_params(early_stopping=False).fit(X, y)
    fresh = make().fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.n_features_in_ == 36
    assert not hasattr(clf, "feature_names_in_")
    assert vars(clf).keys() == vars(fresh).keys()
    assert (clf.n_iter_, clf.t_, clf.best_iter_, clf.validation_scores_) == (1, 40, None, None)
    assert clf.predict_proba(X).tobytes() == fresh.predict_proba(X).tobytes()


def test_batches_larger_than_the_data_are_clipped(make, data):
    X, y = data
    with pytest.warns(UserWarning, match="batch_size=41 is larger than the number of samples; it is clipped to 40"):
        clipped = make(batch_size=41).fit(X, y)
    assert clipped.predict_proba(X).tobytes() == make(batch_size=40).fit(X, y).predict_proba(X).tobytes()


@pytest.mark.parametrize("batch_size", [1, 3, 40, "auto"])
@pytest.mark.parametrize("n", [5, 40])
def test_batches_that_fit(make, data, batch_size, n):
    # "auto" must never be clipped with a warning
    X, y = data[0][:n], data[1][:n]
    clf = make(batch_size=min(batch_size, n) if batch_size != "auto" else "auto").fit(X, y)
    assert clf.t_ == n
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("batch_size", [0, -1, 2.5, "all"], id="batch_size"),
        pytest.param("max_iter", [0, -1, 1.5], id="max_iter"),
    ],
)
def test_counts_out_of_range(make, data, name, values):
    for value in values:
        with pytest.raises(
            ValueError, match=f"The '{name}' parameter of NumpyCNNClassifier must be .* Got {value!r} inst"
        ):
            make(**{name: value}).fit(*data)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_epochs_are_counted(make, data, max_iter):
    clf = make(max_iter=max_iter).fit(*data)  # without a warning that all epochs were used
    assert clf.n_iter_ == max_iter == len(clf.loss_curve_)
    assert clf.stop_reason_ == "max_iter"


def test_an_int_repeats_to_the_bit(make, data):
    first, second = (make(random_state=7, max_iter=2, early_stopping=True).fit(*data) for _ in range(2))
    assert first.predict_proba(data[0]).tobytes() == second.predict_proba(data[0]).tobytes()
    assert first.loss_curve_ == second.loss_curve_
    assert first.loss_ != make(random_state=8, max_iter=2, early_stopping=True).fit(*data).loss_


def test_a_random_state_is_drawn_from(make, data):
    state = np.random.RandomState(7)
    losses = [make(random_state=r).fit(*data).loss_ for r in (state, state, np.random.RandomState(7))]
    assert losses[0] == losses[2] != losses[1]


def test_none_differs_every_time(make, data):
    assert make(random_state=None).fit(*data).loss_ != make(random_state=None).fit(*data).loss_


@pytest.mark.parametrize("random_state", [np.random.default_rng(0), -1, "seed", 1.5], ids=str)
def test_what_is_no_random_state(make, data, random_state):
    with pytest.raises(ValueError, match="random_state"):
        make(random_state=random_state).fit(*data)


@pytest.mark.parametrize("max_time", [1e-9, 3600])
def test_a_limit_of_time_ends_training_after_a_step(make, data, max_time):
    clf = make(max_time=max_time, batch_size=10, max_iter=3).fit(*data)
    expected = ("max_time", 1, 10) if max_time < 1 else ("max_iter", 3, 120)
    assert (clf.stop_reason_, clf.n_iter_, clf.t_) == expected


@pytest.mark.parametrize("solver", [SGD(), Adam()])
def test_numbers_of_numpy_and_of_python_give_the_same_bits(split_digits, solver):
    X, _, y, _ = split_digits
    X, y = X[:400].astype(np.float32), y[:400]
    fields = {f"solver__{name}": np.float64(v) for name, v in vars(solver).items() if isinstance(v, float)}
    numbers = {"learning_rate_init": 0.01, "alpha": 1e-3}
    python = NumpyCNNClassifier(solver=solver, **{**QUICK, **numbers})
    numpy = clone(python).set_params(**fields, **{name: np.float64(v) for name, v in numbers.items()})
    assert weights_of(numpy.fit(X, y)) == weights_of(python.fit(X, y))
