"""Training that diverges."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn._trees import leaves
from skcnn.layers import PREDICT, TRAIN, Dense, Flatten, Layer, ReLU, Tanh
from skcnn.optimizers import SGD, ClipNorm


@dataclass(frozen=True, repr=False)
class Explosive(Layer):
    """Its output overflows as soon as training has changed its one weight."""

    def init(self, in_shape, rng, dtype):
        return {"a": np.ones(1, dtype)}

    def forward(self, params, x, context=PREDICT):
        return x * (1 if params["a"] == 1 else np.inf), None

    def backward(self, params, cache, d_out, context=TRAIN):
        return d_out, {"a": np.ones_like(params["a"])}


@dataclass(frozen=True, repr=False)
class Poisoned(Explosive):
    """Its gradient is NaN, and its output stays finite."""

    def forward(self, params, x, context=PREDICT):
        return x, None

    def backward(self, params, cache, d_out, context=TRAIN):
        return d_out, {"a": np.full_like(params["a"], np.nan)}


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        # the first step changes the weight of Explosive, and then its output overflows
        ([Flatten(), Dense(5), ReLU(), Explosive()], r"the output of layers\[3\] Explosive\(\)"),
        ([Flatten(), Explosive(), Dense(5), Tanh()], r"the output of layers\[1\] Explosive\(\)"),
        ([Flatten(), Poisoned(), Tanh()], r"a weight of layers\[1\] Poisoned\(\)"),
    ],
)
def test_the_layer_that_diverged_is_named(split_digits, layers, text):
    clf = NumpyCNNClassifier(layers=layers, learning_rate="constant", max_iter=2, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=rf"in epoch 1: at a learning rate of 0.002, {text} was no longer finite"
    ):
        clf.fit(split_digits[0], split_digits[2])
    assert all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


def test_divergence_is_told_even_if_the_time_was_up(split_digits):
    clf = NumpyCNNClassifier(layers=[Flatten(), Poisoned()], max_time=1e-9, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        clf.fit(split_digits[0], split_digits[2])
    assert clf.stop_reason_ == "diverged"
    assert all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("rate", [1e-6, 0.001, 0.01])
def test_a_rate_at_which_it_converges_warns_of_nothing(split_digits, solver, rate):
    clf = NumpyCNNClassifier(solver=solver, learning_rate_init=rate, max_iter=5, random_state=0)
    assert clf.fit(split_digits[0], split_digits[2]).stop_reason_ == "max_iter"


@pytest.mark.parametrize("solver", ["sgd", "rmsprop", "adam", "adamw", SGD(momentum=0.0), ClipNorm(SGD())], ids=repr)
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_no_rate_leaves_numbers_that_are_not_finite(split_digits, solver, rate, batch_norm):
    X, X_test, y, _ = split_digits
    settings = {"batch_norm": batch_norm, "learning_rate": "constant", "max_iter": 4, "dtype": "float32"}
    clf = NumpyCNNClassifier(4, solver=solver, learning_rate_init=rate, random_state=0, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    assert all(np.isfinite(array).all() for _, array in leaves([clf.network_.params, clf.network_.states]))
    clf.predict(X_test)
    rose = clf.loss_curve_[-1] > clf.loss_curve_[0] + 0.1
    assert bool(caught) == (clf.stop_reason_ == "diverged" or rose)


def test_a_loss_that_rose_warns(split_digits):
    clf = NumpyCNNClassifier(
        learning_rate=lambda epoch, n_epochs: 1.0 if epoch < 1 else 1e3, max_iter=2, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"The loss rose by .*in epoch 2. .* rate smaller than .*=0.002"):
        clf.fit(split_digits[0], split_digits[2])


@pytest.mark.filterwarnings("ignore:.*n_classes")
def test_divergence_warns_and_leaves_finite_weights(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(solver=SGD(), learning_rate_init=1e6, learning_rate="constant", random_state=0)
    text = r"diverged in epoch \d+: at a learning rate of 1e\+06, .* was no longer finite.*learning_rate_init=1000000.0"
    with pytest.warns(ConvergenceWarning, match=text):
        clf.fit(X, y)
    assert clf.stop_reason_ == "diverged"
    assert clf.n_iter_ >= 1
    assert np.isfinite(clf.predict_proba(X)).all()
