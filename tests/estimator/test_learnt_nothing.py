"""A training that learnt nothing warns: its loss is not lower than that of guessing by class frequencies."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn._estimator.learning import cost_of_guessing
from skcnn._training.config import DataSet
from skcnn.augmentation import Crop, Cutout, Flip, Rotate, Shift
from skcnn.optimizers import SGD

TEXT = (
    r"learnt nothing: the loss is [\d.e+]+ in epoch \d+, but guessing by class frequencies would give [\d.]+\. It may"
)


def told(X, y, partial=False, **settings):
    """The warnings of a fit."""
    clf = NumpyCNNClassifier(**{"n_kernels": 8, "n_jobs": 1, "random_state": 0, **settings})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if partial:
            clf.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
        else:
            clf.fit(X, y)
    return [str(warning.message) for warning in caught if warning.category is ConvergenceWarning]


FAILURES = {
    "rate too small": {"learning_rate_init": 1e-9},
    "rate too large": {"learning_rate_init": 1.0},
    "SGD, rate too large": {"learning_rate_init": 1.0, "solver": "sgd", "scaling": (0, 16)},
    "L2 penalty": {"learning_rate_init": 1e-6, "solver": SGD(), "alpha": 0.01},
    "label smoothing": {"learning_rate_init": 1e-9, "label_smoothing": 0.3},
    "balanced": {"learning_rate_init": 1e-9, "class_weight": "balanced"},
    "early stopping": {"learning_rate_init": 1e-9, "early_stopping": True, "n_iter_no_change": 1, "max_iter": 20},
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_training_that_learnt_nothing_warns(split_digits, failure):
    X, y = split_digits[0][:500], split_digits[2][:500]
    settings = {"max_iter": 4, "learning_rate": "constant", **FAILURES[failure]}
    with pytest.warns(ConvergenceWarning, match=TEXT):
        NumpyCNNClassifier(8, random_state=0, **settings).fit(X, y)


@pytest.mark.parametrize("kind", ["black", "shuffled", "unscaled", "dead"])
def test_data_from_which_nothing_is_learnt_warns(split_digits, kind, rng):
    X, y = split_digits[0][:500], split_digits[2][:500]
    X = {"black": 0 * X, "unscaled": 1e4 * X}.get(kind, X)
    y = rng.permutation(y) if kind == "shuffled" else y
    settings = {
        "unscaled": {"scaling": None, "learning_rate_init": 0.01},
        "shuffled": {"learning_rate_init": 0.0003},  # at a higher rate, the labels are soon learnt by heart
        "dead": {"scaling": (16, 17), "learning_rate_init": 0.1, "learning_rate": "cosine"},
    }
    (text,) = told(X, y, max_iter=2, **settings.get(kind, {}))
    assert "learnt nothing" in text
    assert ("instead of scaling=None" in text) == (kind == "unscaled")
    assert "or more epochs than max_iter=2" in text


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_norm": True},
        {"dropout": 0.3, "max_iter": 8},
        {"augment": [Shift(2), Rotate(30)], "max_iter": 8},
        {"augment": [Crop(0.7), Flip(), Cutout(4)], "max_iter": 8},
        {"label_smoothing": 0.5},
        {"class_weight": "balanced"},
        {"solver": "sgd", "learning_rate_init": 0.05, "alpha": 0.01, "max_iter": 8},
        {"early_stopping": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_samples", [100, 400])
def test_ordinary_fits_do_not_warn(split_digits, settings, n_samples):
    settings = {"max_iter": 3, "n_kernels": (16, 32), **settings}
    assert told(split_digits[0][:n_samples], split_digits[2][:n_samples], **settings) == []


def test_a_network_that_predicts_well_does_not_warn_of_its_loss_with_dropout(split_digits):
    X, y = split_digits[0], split_digits[2]
    settings = {"scaling": (0, 16), "learning_rate": "cosine", "alpha": 0.05, "max_iter": 2}
    clf = NumpyCNNClassifier(dropout=0.5, random_state=0, **settings).fit(X, y)
    assert clf.loss_ > np.log(10)
    assert clf.score(X, y) > 0.25


def test_no_warning_where_training_is_not_judged(split_digits):
    X, y = split_digits[0][:200], split_digits[2][:200]
    stuck = {"learning_rate_init": 1e-9}
    assert told(X, y, max_iter=1, **stuck) == [], "one epoch does not tell"
    assert told(X, y, partial=True, **stuck) == []
    assert told(X, y, max_iter=50, max_time=1e-9, **stuck) == []
    assert told(X, np.zeros(200), max_iter=3, **stuck) == [], "one class"


def test_only_one_warning_of_a_loss_that_rose(split_digits):
    X, y = split_digits[0][:200], split_digits[2][:200]
    (text,) = told(X, y, max_iter=3, learning_rate_init=1.0, learning_rate=lambda epoch, n: 1e-9 if epoch < 1 else 10.0)
    assert "The loss rose" in text or "diverged" in text


def test_guessing_costs_the_entropy_of_the_mean_target():
    y, indices = np.array([0, 0, 0, 1, 2, 2]), np.arange(5)
    plain = DataSet(None, y, None, indices)
    shares = np.array([3, 1, 1]) / 5
    assert cost_of_guessing(plain, 3, 0.0) == pytest.approx(-(shares * np.log(shares)).sum())
    smooth = 0.7 * shares + 0.1
    assert cost_of_guessing(plain, 3, 0.3) == pytest.approx(-(smooth * np.log(smooth)).sum())
    weighted = DataSet(None, y, np.array([1, 1, 1, 3, 3, 9.0]), indices)
    assert cost_of_guessing(weighted, 4, 0.0) == pytest.approx(9 / 5 * np.log(3))
    assert cost_of_guessing(DataSet(None, y, None, indices[:3]), 3, 0.1) == np.inf
