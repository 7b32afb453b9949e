"""Training that diverges: what is told, and which weights stay."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn._engine.numpy_settings import set_numpy
from skcnn._engine.workers import Workers
from skcnn._training.config import DataSet
from skcnn._training.outputs import Outputs
from skcnn._trees import leaves
from skcnn.layers import PREDICT, TRAIN, BatchNorm, Conv2D, Dense, Flatten, Layer, ReLU, Tanh
from skcnn.network import Network
from skcnn.optimizers import SGD, ClipNorm
from tests.estimator.helpers import weights_of


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
@pytest.mark.parametrize("rate", [0.0003, 0.001, 0.01])
def test_a_rate_at_which_it_converges_warns_of_nothing(split_digits, solver, rate):
    clf = NumpyCNNClassifier(solver=solver, learning_rate_init=rate, max_iter=5, random_state=0)
    assert clf.fit(split_digits[0], split_digits[2]).stop_reason_ == "max_iter"


@pytest.mark.parametrize("solver", ["sgd", "rmsprop", "adam", "adamw", SGD(momentum=0.0), ClipNorm(SGD())], ids=repr)
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_no_rate_leaves_numbers_that_are_not_finite(split_digits, solver, rate, batch_norm):
    X, X_test, y, _ = split_digits
    settings = {"batch_norm": batch_norm, "learning_rate": "constant", "max_iter": 4, "dtype": "float32"}
    clf = NumpyCNNClassifier(4, solver=solver, learning_rate_init=rate, alpha=0.05, random_state=0, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    assert all(np.isfinite(array).all() for _, array in leaves([clf.network_.params, clf.network_.states]))
    clf.predict(X_test)
    rose = clf.loss_curve_[-1] > clf.loss_curve_[0] + 0.1
    silent = clf.score(X, y) > 0.2  # learnt at least something
    assert caught if clf.stop_reason_ == "diverged" or rose else (silent or caught)


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


# with this rate, the first step leaves finite weights, and outputs that overflow
LEAP = {"learning_rate_init": 1e6, "learning_rate": "constant", "batch_size": 40, "dtype": "float32"}
DEEP = {"n_kernels": (8, 8, 8, 8), "pool_size": 1, "hidden_layer_sizes": (50, 50)}


@pytest.mark.parametrize("n_epochs", [1, 2])
@pytest.mark.parametrize("stop", [{}, {"max_time": 1e-9}, {"early_stopping": True}], ids=str)
def test_an_epoch_after_which_no_image_can_be_predicted_is_undone(images, stop, n_epochs):
    X, y = images
    clf = NumpyCNNClassifier(**DEEP, **LEAP, **stop, max_iter=n_epochs, random_state=0)
    clf.set_params(batch_size=len(X) - 4 if stop.get("early_stopping") else len(X))
    text = r"in epoch 1: at a learning rate of 1e\+06, the output of .* was no longer finite"
    with pytest.warns(ConvergenceWarning, match=text):
        clf.fit(X, y)
    assert (clf.stop_reason_, clf.n_iter_) == ("diverged", 1)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_an_epoch_that_cannot_predict_is_not_saved(images, tmp_path):
    clf = NumpyCNNClassifier(**DEEP, **LEAP, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        clf.fit(*images, checkpoint=tmp_path / "here")
    assert [path.name for path in tmp_path.iterdir()] == ["here.finished"], "only the result, which was undone"
    again = NumpyCNNClassifier(**DEEP, **LEAP, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        again.fit(*images, checkpoint=tmp_path / "here")
    np.testing.assert_array_equal(again.predict_proba(images[0]), clf.predict_proba(images[0]))


def test_it_is_the_output_in_prediction_that_counts(data):
    """The running variance of a `BatchNorm` may be far smaller than that of the batch."""

    @dataclass(frozen=True, repr=False)
    class Stale(BatchNorm):
        def next_state(self, state, cache):
            return {"mean": state["mean"] + np.float32(1e36), "variance": np.full_like(state["variance"], 1e-30)}

    layers = [Flatten(), Dense(4), Stale(epsilon=1e-30)]
    clf = NumpyCNNClassifier(layers=layers, dtype="float32", random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"in epoch 1: .*the output of layers\[2\] Stale.* no longer finite"):
        clf.fit(*data)
    assert np.isfinite(clf.predict_proba(data[0])).all()


def overflow(network, X, batch):
    """What is found in the outputs for X, of which `batch` was trained on last."""
    extremes = np.array([X.min(axis=(1, 2, 3)).argmin(), X.max(axis=(1, 2, 3)).argmax()])
    data = DataSet(X, np.zeros(len(X), int), None, np.arange(len(X)), extremes)
    with np.errstate(all="ignore"):
        return Outputs(network, data, Workers(1, set_numpy)).find_overflow(np.asarray(batch))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_image_that_overflows_is_found_wherever_it_is(dtype):
    network = Network.build([Flatten(), Dense(1), ReLU(), Dense(1)], (2, 2, 1), np.random.default_rng(0), dtype)
    ones, zero = np.ones((4, 1), dtype), np.zeros(1, dtype)
    network.params[1] = {"W": ones, "b": zero}
    network.params[3] = {"W": ones[:1].copy(), "b": zero.copy()}
    X = np.zeros((100, 2, 2, 1), dtype)
    X[50] = np.finfo(dtype).max / 8
    assert overflow(network, X, [0]) == ""
    network.params[3]["W"][...] = 100  # the brightest image overflows
    assert overflow(network, X, [0]) == "the output of the output layer"
    X = -np.ones((100, 2, 2, 1), dtype)
    X[50, ..., 0] = [[1.5, 1.5], [-1, 0.5]]
    X[51, 0, 0] = 2
    network.params[1]["W"][...] = np.sqrt(np.finfo(dtype).max)
    network.params[3]["W"][...] = np.sqrt(np.finfo(dtype).max)  # the unit is silent for all other images
    assert overflow(network, X, [0]) == "the output of the output layer"


def bad(value):
    def initializer(shape, rng):
        weights = rng.normal(size=shape)
        weights[..., 0] = value
        return weights

    return initializer


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_initial_weights_that_are_not_finite_are_refused(images, value, method):
    X, y = images
    clf = NumpyCNNClassifier(layers=[Conv2D(2), ReLU(), Conv2D(2, initializer=bad(value)), Flatten()], random_state=0)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    text = (
        r"a weight of layers\[2\] Conv2D\(n_kernels=2, .*initializer=<.*bad.* was NaN or infinite before training; init"
    )
    with pytest.raises(ValueError, match=text):
        getattr(clf, method)(X, y, **classes)
    assert not hasattr(clf, "n_features_in_")


def test_initial_weights_so_large_that_outputs_overflow_are_refused(images):
    X, y = images
    layers = [Flatten(), Dense(4, initializer=bad(1e30)), Dense(4, initializer=bad(1e30))]
    clf = NumpyCNNClassifier(layers=layers, dtype="float32", random_state=0)
    with pytest.raises(
        ValueError, match=r"the output of layers\[2\] Dense.* was NaN or infinite even before epoch 1\."
    ):
        clf.fit(X, y)


@pytest.mark.parametrize("huge", [1e25, 1e36, 1e300])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("ignore:the pixels of X reach")
def test_weights_survive_images_that_are_too_large(make, data, huge, method):
    X, y = data
    clf = make(dtype="float32", warm_start=True, scaling=(-4, 4)).fit(X, y)
    before, proba = weights_of(clf), clf.predict_proba(X)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            getattr(clf, method)(huge * X, y)
        except ValueError as error:
            assert "X contains values too large for this network" in str(error)  # noqa: PT017
        else:
            assert clf.stop_reason_ == "diverged"
            assert any("diverged" in str(warning.message) for warning in caught)
    assert weights_of(clf) == before
    np.testing.assert_array_equal(clf.predict_proba(X), proba)
    clf.partial_fit(X, y)
    assert weights_of(clf) != before, "it can still learn"


def test_a_validation_loss_that_is_not_finite_is_never_the_best(parts):
    X, y, X_val, y_val = parts
    clf = NumpyCNNClassifier(
        4, hidden_layer_sizes=8, dtype="float32", scaling=None, early_stopping=True, max_iter=3,
        learning_rate_init=0.01, learning_rate="cosine", alpha=0.05, random_state=0
    )  # fmt: skip
    clf.fit(X, y, X_val=np.vstack([X_val, np.full((1, 36), 1e38)]), y_val=[*y_val, 0])
    assert not np.isfinite(clf.validation_loss_curve_).any()
    assert (clf.best_iter_, clf.best_validation_score_) == (None, None)
    assert np.isfinite(clf.predict_proba(X)).all()
