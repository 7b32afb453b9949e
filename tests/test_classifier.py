"""What the estimator promises beyond scikit-learn's own checks."""

import io
import re
import sys
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.model_selection import cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import NumpyCNNClassifier
from skcnn._trees import leaves
from skcnn.augmentation import Shift
from skcnn.layers import Conv2D, Dense, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, MinPool2D, ReLU, Tanh
from skcnn.optimizers import SGD, Adam, ClipNorm
from skcnn.schedules import Cosine, ReduceOnPlateau

QUICK = {"n_kernels": (4, 8), "hidden_layer_sizes": (16,), "max_iter": 2, "random_state": 0}


@dataclass(frozen=True, repr=False)
class Explosive(Layer):
    """Its output overflows as soon as training has changed its one weight."""

    def build(self, in_shape, rng, dtype):
        return {"a": np.ones(1, dtype)}, in_shape

    def forward(self, params, x, *, train=False, rng=None):
        return x * (1 if params["a"] == 1 else np.inf), None

    def backward(self, params, cache, d_out, *, need_d_x=True):
        return d_out, {"a": np.ones_like(params["a"])}


@dataclass(frozen=True, repr=False)
class Poisoned(Explosive):
    """Its gradient is not a number, and nobody sees it in the output."""

    def forward(self, params, x, *, train=False, rng=None):
        return x, None

    def backward(self, params, cache, d_out, *, need_d_x=True):
        return d_out, {"a": np.full_like(params["a"], np.nan)}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


@pytest.fixture(scope="module")
def colour():
    """Images of odd size with three channels, (n, h, w, c)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = rng.integers(0, 128, (90, 7, 10, 3)).astype(np.uint8)
    X[np.arange(90), :, :, y] += 100
    return X, y


def bits(clf, X):
    return clf.predict_proba(X).tobytes()


def test_learns_digits_by_defaults(digits):
    X_train, X_test, y_train, y_test = digits
    assert NumpyCNNClassifier(random_state=0).fit(X_train, y_train).score(X_test, y_test) >= 0.97


def test_flat_and_image_shaped_digits_are_the_same(digits):
    X, X_test, y, _ = digits
    shapes = [(-1, 64), (-1, 8, 8), (-1, 8, 8, 1)]
    models = [NumpyCNNClassifier(**QUICK).fit(X.reshape(shape), y) for shape in shapes]
    assert {bits(clf, X_test.reshape(shape)) for clf in models for shape in shapes} == {bits(models[0], X_test)}
    assert {clf.image_shape_ for clf in models} == {(8, 8, 1)}
    assert {clf.n_features_in_ for clf in models} == {64}


def test_channels_first_and_last_are_the_same(colour):
    X, y = colour
    first = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    last_clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    first_clf = NumpyCNNClassifier(data_format="channels_first", **QUICK).fit(first, y)
    flat_clf = NumpyCNNClassifier(data_format="channels_first", image_shape=(7, 10, 3), **QUICK).fit(
        first.reshape(90, -1), y
    )
    assert first_clf.image_shape_ == last_clf.image_shape_ == flat_clf.image_shape_ == (7, 10, 3)
    assert (
        bits(first_clf, first) == bits(last_clf, X) == bits(flat_clf, first) == bits(first_clf, first.reshape(90, -1))
    )


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "read-only"])
def test_memory_layout_changes_no_bit(digits, layout):
    X, X_test, y, _ = digits
    other = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(X[::-1])[::-1],
        "read-only": X.copy(),
    }[layout]
    other.flags.writeable = False
    assert bits(NumpyCNNClassifier(**QUICK).fit(other, y), X_test) == bits(
        NumpyCNNClassifier(**QUICK).fit(X, y), X_test
    )


@pytest.mark.parametrize("pool", ["max", "min", "avg"])
def test_the_numbers_of_the_constructor_become_layers(colour, pool):
    X, y = colour
    clf = NumpyCNNClassifier(
        n_kernels=(4, 6, 8),
        kernel_size=(3, (1, 2), 2),
        stride=(1, 1, (2, 1)),
        padding=("same", "valid", 1),
        pool=("max", "min", pool),
        pool_size=(2, 1, (1, 2)),
        hidden_layer_sizes=(20, 10),
        activation=("relu", "identity", "tanh", "relu", "logistic"),
        max_iter=1,
    ).fit(X, y)
    assert [type(layer).__name__ for layer in clf.network_.layers] == [
        *("Conv2D", "ReLU", "MaxPool2D", "Conv2D", "Conv2D", "Tanh", f"{pool.capitalize()}Pool2D"),
        *("Flatten", "Dense", "ReLU", "Dense", "Sigmoid", "Dense"),
    ]
    assert clf.network_.shapes[4] == (3, 4, 6)  # 7x10 halved by the pool, then a 1x2 kernel
    assert clf.network_.shapes[7] == (2, 2, 8)
    assert [W.shape for W in clf.coefs_[:3]] == [(3, 3, 3, 4), (1, 2, 4, 6), (2, 2, 6, 8)]


def test_numbers_and_the_same_layers_give_the_same_model(colour):
    X, y = colour
    numbers = NumpyCNNClassifier(**QUICK).fit(X, y)
    layers = NumpyCNNClassifier(layers=numbers.network_.layers[:-1], max_iter=2, random_state=0).fit(X, y)
    assert bits(layers, X) == bits(numbers, X)


def test_own_layers_in_any_order(colour):
    X, y = colour
    stack = [
        MinPool2D(2),
        Conv2D(4, 2, stride=2),
        Tanh(),
        Conv2D(5, 1),
        MaxPool2D((1, 2)),
        GlobalAvgPool2D(),
        Dense(7),
        ReLU(),
    ]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1).fit(X, y)
    assert clf.predict_proba(X).shape == (90, 3)
    assert clf.network_.layers[:-1] == tuple(stack)
    assert clf.network_.layers[-1].n_units == 3
    assert len(stack) == 8, "the user's list is not written to"


def test_guessed_shapes_shrink_kernels_and_given_ones_do_not():
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2
    clf = NumpyCNNClassifier(kernel_size=5, padding="valid", max_iter=1).fit(X, y)
    assert "kernel_size=(1, 3)" in clf.network_.summary()
    with pytest.raises(ValueError, match=r"layers\[0\] Conv2D\(.*\): kernel 5x5 does not fit the 1x3 map"):
        NumpyCNNClassifier(kernel_size=5, padding="valid", image_shape=(1, 3)).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_outputs_agree_with_each_other(digits, n_classes):
    X, _, y, _ = digits
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


def test_log_probabilities_stay_finite_where_probabilities_vanish(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    clf.network_.params[-1]["W"] *= 1e4
    assert np.isfinite(clf.predict_log_proba(X)).all()
    assert (clf.predict_proba(X) == 0).any()
    np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("scaling", "dtype", "expected"),
    [
        ("auto", np.uint8, lambda X: X / 255 - 0.5),
        ("auto", np.float64, lambda X: (X - X.min()) / (X.max() - X.min()) - 0.5),
        ("auto", np.int32, lambda X: (X - X.min()) / (X.max() - X.min()) - 0.5),
        ((-100, 300), np.uint8, lambda X: (X + 100) / 400 - 0.5),
        ("standard", np.uint8, lambda X: (X - X.mean(axis=(0, 1, 2))) / X.std(axis=(0, 1, 2))),
        (None, np.float64, lambda X: X),
    ],
)
def test_scaling(colour, scaling, dtype, expected):
    X, y = colour[0].astype(dtype), colour[1]
    clf = NumpyCNNClassifier(scaling=scaling, dtype="float64", max_iter=1).fit(X, y)
    np.testing.assert_allclose(clf._format_.read(X.reshape(90, -1)), expected(X.astype(np.float64)), atol=1e-12)


def test_uint8_maps_exactly_to_plus_and_minus_one_half(colour):
    clf = NumpyCNNClassifier(max_iter=1).fit(*colour)
    ends = clf._format_.read(np.array([[0, 255] * 105], dtype=np.uint8))
    assert set(ends.ravel().tolist()) == {-0.5, 0.5}


@pytest.mark.parametrize(
    ("X_dtype", "dtype", "result"),
    [
        (np.float64, "auto", np.float64),
        (np.float32, "auto", np.float32),
        (np.uint8, "auto", np.float32),
        (np.int64, "auto", np.float32),
        (np.float64, "float32", np.float32),
        (np.float32, "float64", np.float64),
    ],
)
def test_dtype_of_all_computation(colour, X_dtype, dtype, result):
    X, y = colour
    clf = NumpyCNNClassifier(dtype=dtype, max_iter=1).fit(X.astype(X_dtype), y)
    assert clf.predict_proba(X).dtype == clf.decision_function(X).dtype == result
    assert {W.dtype for W in (*clf.coefs_, *clf.intercepts_)} == {np.dtype(result)}


def test_attributes_tell_of_the_training(digits):
    X, X_test, y, y_test = digits
    clf = NumpyCNNClassifier(**{**QUICK, "max_iter": 4}).fit(X, y, X_val=X_test, y_val=y_test)
    held_out = ["val_loss", "val_accuracy", "val_f1", "val_score"]
    assert list(clf.history_[0]) == ["epoch", "loss", *held_out, "learning_rate", "seconds"]
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
    np.testing.assert_allclose(rates, 0.002 * (1 + np.cos(np.pi * np.arange(4) / 4)) / 2)


def test_monitoring_does_not_change_the_model(digits):
    X, X_test, y, y_test = digits
    watched = NumpyCNNClassifier(**QUICK).fit(X, y, X_val=X_test, y_val=y_test)
    assert bits(watched, X) == bits(NumpyCNNClassifier(**QUICK).fit(X, y), X)
    assert NumpyCNNClassifier(**QUICK).fit(X, y).validation_loss_curve_ is None


def test_early_stopping_selects_and_restores_the_best_weights(digits):
    X, X_test, y, y_test = digits
    settings = {**QUICK, "max_iter": 60, "learning_rate": "constant", "learning_rate_init": 0.02}
    clf = NumpyCNNClassifier(early_stopping=True, n_iter_no_change=3, **settings).fit(X, y, X_val=X_test, y_val=y_test)
    assert clf.stop_reason_ == "early_stopping"
    assert clf.n_iter_ < 60
    assert clf.best_validation_score_ == max(clf.validation_scores_) == clf.score(X_test, y_test)
    assert clf.validation_scores_[clf.best_iter_ - 1] == clf.best_validation_score_
    assert clf.validation_scores_[-1] < clf.best_validation_score_, "else restoring would show nothing"


def test_early_stopping_holds_rows_out(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(early_stopping=True, validation_fraction=0.2, **QUICK).fit(X, y)
    assert clf.t_ == 2 * (len(X) - np.ceil(0.2 * len(X)))
    assert clf.validation_scores_ is not None


def test_class_weight_changes_the_model_at_batch_size_one(digits):
    X, X_test, y, _ = digits
    X, y = X[:200], y[:200]
    settings = {**QUICK, "batch_size": 1, "max_iter": 1}
    plain = NumpyCNNClassifier(**settings).fit(X, y)
    weighted = NumpyCNNClassifier(class_weight={0: 20.0}, **settings).fit(X, y)
    assert weighted.predict_proba(X_test)[:, 0].mean() > 1.2 * plain.predict_proba(X_test)[:, 0].mean()


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("ones", [1.0, 3.0, 0.1])
def test_equal_weights_change_no_bit(digits, batch_size, ones):
    X, _, y, _ = digits
    X, y = X[:100], y[:100]
    settings = {**QUICK, "batch_size": batch_size}
    plain = NumpyCNNClassifier(**settings).fit(X, y)
    weighted = NumpyCNNClassifier(**settings).fit(X, y, sample_weight=np.full(100, ones))
    by_class = NumpyCNNClassifier(class_weight=dict.fromkeys(range(10), 1.0), **settings).fit(X, y)
    assert bits(weighted, X) == bits(by_class, X) == bits(plain, X)


def test_balanced_makes_a_rare_class_count(digits):
    X, X_test, y, y_test = digits
    rows = np.flatnonzero((y == 1) | ((y == 8) & (np.arange(len(y)) % 20 == 0)))
    two = np.isin(y_test, (1, 8))
    recall = []
    for class_weight in (None, "balanced"):
        clf = NumpyCNNClassifier(class_weight=class_weight, **{**QUICK, "max_iter": 6}).fit(X[rows], y[rows])
        recall.append((clf.predict(X_test[two]) == 8)[y_test[two] == 8].mean())
    assert recall[1] > recall[0] + 0.3


def test_partial_fit_learns_from_a_stream(digits):
    X, X_test, y, y_test = digits
    clf = NumpyCNNClassifier(random_state=0, scaling=(0, 16))
    for _ in range(5):
        for part in np.array_split(np.arange(len(X)), 4):
            clf.partial_fit(X[part], y[part], classes=np.arange(10))
    assert clf.score(X_test, y_test) > 0.95
    assert clf.n_iter_ == 20
    assert clf.t_ == 5 * len(X)
    assert {row["learning_rate"] for row in clf.history_} == {0.002}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "setting",
    [
        {},
        {"solver": SGD()},
        {"batch_norm": True, "dropout": 0.2, "augment": Shift(1), "label_smoothing": 0.1},
        {"solver": ClipNorm(Adam()), "shuffle": False, "batch_size": 7},
    ],
    ids=["default", "momentum", "regularised", "clipped"],
)
def test_partial_fit_k_times_is_fit_for_k_epochs(digits, setting, dtype):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(**{**QUICK, "max_iter": 3, "learning_rate": "constant", "dtype": dtype, **setting})
    weight = 1.0 + y % 3
    step_by_step = clone(clf)
    for _ in range(3):
        step_by_step.partial_fit(X[:200], y[:200], sample_weight=weight[:200], classes=range(10))
    clf.fit(X[:200], y[:200], sample_weight=weight[:200])
    ours, others = (leaves([c.network_.params, c.network_.states]) for c in (clf, step_by_step))
    assert [array.tobytes() for _, array in ours] == [array.tobytes() for _, array in others]
    assert clf.loss_curve_ == step_by_step.loss_curve_


def test_partial_fit_goes_on_from_fit(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    before = clf.network_
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.network_ is not before, "the old weights are not written to"
    assert clf.network_.layers == before.layers


def test_warm_start_goes_on(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    first_loss = clf.loss_
    clf.fit(X, y)
    assert clf.n_iter_ == 4
    assert clf.history_[2]["loss"] < first_loss
    assert clf.history_[2]["learning_rate"] == 0.002, "a new schedule"
    clf.set_params(warm_start=False).fit(X, y)
    assert clf.n_iter_ == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": (slice(None), slice(0, 63))}, "X has 63 features, but NumpyCNNClassifier is expecting 64"),
        ({"y": 10}, r"y has labels \[10.*\] that are not among the classes \[0, 1"),
        ({"n_kernels": 5}, r"training cannot go on.*n_kernels was \(4, 8\) and is 5\. Put it back"),
    ],
)
def test_warm_start_refuses_what_it_cannot_continue(digits, change, message):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    before = bits(clf, X)
    clf.set_params(**{name: value for name, value in change.items() if name == "n_kernels"})
    with pytest.raises(ValueError, match=message):
        clf.fit(X[change.get("X", slice(None))], y + change.get("y", 0))
    assert bits(clf, X) == before


def test_optimizer_state_is_kept_only_for_going_on(digits):
    X, _, y, _ = digits
    assert not hasattr(NumpyCNNClassifier(**QUICK).fit(X, y), "_optimizer_state_")
    assert hasattr(NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y), "_optimizer_state_")
    assert hasattr(NumpyCNNClassifier(**QUICK).partial_fit(X, y, classes=range(10)), "_optimizer_state_")


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        # the weights grow by the gradients of a first step, and then numbers overflow, here in a known place
        ([Flatten(), Dense(5), ReLU(), Explosive()], r"the output of layers\[3\] Explosive\(\)"),
        ([Flatten(), Explosive(), Dense(5), Tanh()], r"the output of layers\[1\] Explosive\(\)"),
        ([Flatten(), Poisoned(), Tanh()], r"a weight of layers\[1\] Poisoned\(\)"),
    ],
)
def test_the_layer_that_diverged_is_named(digits, layers, text):
    clf = NumpyCNNClassifier(layers=layers, learning_rate="constant", max_iter=2, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=rf"in epoch 1: at the learning rate 0.002, {text} was no longer finite"
    ):
        clf.fit(digits[0], digits[2])
    assert all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


def test_divergence_is_told_even_if_the_time_was_up(digits):
    clf = NumpyCNNClassifier(layers=[Flatten(), Poisoned()], max_time=1e-9, random_state=0)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 1"):
        clf.fit(digits[0], digits[2])
    assert clf.stop_reason_ == "diverged"
    assert all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["sgd", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("rate", [1e-6, 0.001, 0.01])
def test_a_rate_at_which_it_converges_warns_of_nothing(digits, solver, rate):
    clf = NumpyCNNClassifier(solver=solver, learning_rate_init=rate, max_iter=5, random_state=0)
    assert clf.fit(digits[0], digits[2]).stop_reason_ == "max_iter"


@pytest.mark.parametrize("solver", ["sgd", "rmsprop", "adam", "adamw", SGD(momentum=0.0), ClipNorm(SGD())], ids=repr)
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_row_60_no_rate_leaves_numbers_that_are_not_finite(digits, solver, rate, batch_norm):
    X, X_test, y, _ = digits
    settings = {"batch_norm": batch_norm, "learning_rate": "constant", "max_iter": 4, "dtype": "float32"}
    clf = NumpyCNNClassifier(4, solver=solver, learning_rate_init=rate, random_state=0, **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    assert all(np.isfinite(array).all() for _, array in leaves([clf.network_.params, clf.network_.states]))
    clf.predict(X_test)
    rose = clf.loss_curve_[-1] > clf.loss_curve_[0] + 0.1
    assert bool(caught) == (clf.stop_reason_ == "diverged" or rose)


def test_row_60_a_loss_that_rose_warns(digits):
    clf = NumpyCNNClassifier(
        learning_rate=lambda epoch, n_epochs: 1.0 if epoch < 1 else 1e3, max_iter=2, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"The loss rose by .*in epoch 2. A rate smaller than .*=0.002 may"):
        clf.fit(digits[0], digits[2])


@pytest.mark.filterwarnings("ignore:.*n_classes")
def test_row_60_divergence_warns_and_leaves_finite_weights(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(solver=SGD(), learning_rate_init=1e6, learning_rate="constant", random_state=0)
    text = r"diverged in epoch \d+: at the learning rate 1e\+06, .* was no longer finite.*learning_rate_init=1000000.0"
    with pytest.warns(ConvergenceWarning, match=text):
        clf.fit(X, y)
    assert clf.stop_reason_ == "diverged"
    assert clf.n_iter_ >= 1
    assert np.isfinite(clf.predict_proba(X)).all()


def test_set_params_reaches_layers_and_solver():
    conv, sgd = Conv2D(4), SGD()
    layers = [conv, Flatten()]
    clf = NumpyCNNClassifier(layers=layers, solver=sgd)
    clf.set_params(layers__0__n_kernels=8, solver__momentum=0.5)
    assert clf.layers == [Conv2D(8), Flatten()]
    assert clf.solver == SGD(momentum=0.5)
    assert (conv, sgd, layers) == (Conv2D(4), SGD(), [Conv2D(4), Flatten()]), "values are never changed"
    assert clf.get_params()["layers__0__n_kernels"] == 8
    assert clf.set_params(layers=[Conv2D(2)], layers__0__stride=2).layers == [Conv2D(2, stride=2)]
    assert clf.set_params(layers__0=Dense(3)).layers == [Dense(3)]
    assert isinstance(NumpyCNNClassifier(layers=(conv,)).set_params(layers__0__stride=2).layers, tuple)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers__0__n_kernel": 8}, r"has no parameter 'n_kernel'; it has \['n_kernels', 'kernel_size'"),
        ({"layers__0__n_kernels": 0}, "Conv2D: n_kernels must be an int of at least 1, got 0"),
        ({"layers__7__n_kernels": 1}, r"has no parameter '7'; it has \['0', '1'\]"),
        ({"solver__momentum": 0.5}, r"pass an optimizer object, as in solver=SGD\(momentum=0.9\)"),
        ({"nothing__at_all": 0.5}, "Invalid parameter 'nothing'"),
        ({"nothing": 0.5}, "Invalid parameter 'nothing'"),
    ],
)
def test_set_params_sets_all_or_nothing(params, message):
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()])
    before = clf.get_params()
    with pytest.raises(ValueError, match=message):
        clf.set_params(max_iter=3, **params)
    assert clf.get_params() == before


def test_clone_copies_configuration_only(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()], solver=Adam(beta_1=0.8), max_iter=1).fit(X, y)
    copy = clone(clf)
    assert copy.get_params() == clf.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]


def test_html_shows_the_parameters(digits):
    html = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()])._repr_html_()
    assert "NumpyCNNClassifier" in html
    assert "Conv2D(n_kernels=4, kernel_size=3)" in html


def test_metadata_routing_in_a_pipeline(digits):
    X, _, y, _ = digits
    X, y = X[:300], y[:300]
    weight = np.where(y == 0, 5.0, 1.0)
    with config_context(enable_metadata_routing=True):
        clf = NumpyCNNClassifier(**QUICK).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        clf.set_score_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(lambda X: X), clf)
        pipeline.fit(X, y, sample_weight=weight, X_val=X[:50], y_val=y[:50])
        scores = cross_validate(clone(clf), X, y, params={"sample_weight": weight}, cv=3, error_score="raise")
    assert pipeline[-1].validation_scores_ is not None
    assert bits(pipeline[-1], X) == bits(NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight), X)
    assert len(scores["test_score"]) == 3


def weights_of(clf):
    return [W.tobytes() for W in (*clf.coefs_, *clf.intercepts_)]


def test_weights_compare_from_call_to_call_of_partial_fit(digits):
    """The first call fixes what a weight is measured by: a later chunk of small weights moves the network little."""
    X, _, y, _ = digits

    def after(second_weight):
        clf = NumpyCNNClassifier(solver=SGD(momentum=0.0), alpha=0.0, **QUICK)
        clf.partial_fit(X[:50], y[:50], classes=range(10), sample_weight=np.ones(50))
        first = clf.coefs_[0].copy()
        clf.partial_fit(X[50:90], y[50:90], sample_weight=np.full(40, second_weight))
        return np.abs(clf.coefs_[0] - first).max()

    assert after(1e-6) < 1e-4 * after(1.0)
    only_a_zero = np.flatnonzero(y == 0)[:1]
    one_class = NumpyCNNClassifier(class_weight={5: 3.0}, **QUICK).partial_fit(X[:50], y[:50], classes=range(10))
    one_class.partial_fit(
        X[only_a_zero], y[only_a_zero]
    )  # a chunk need not hold the classes that weights are given for


def test_sample_weight_may_be_a_number_with_early_stopping(digits):
    X, _, y, _ = digits
    plain = NumpyCNNClassifier(early_stopping=True, **QUICK).fit(X, y)
    weighted = NumpyCNNClassifier(early_stopping=True, **QUICK).fit(X, y, sample_weight=2.0)
    assert weights_of(weighted) == weights_of(plain)


@pytest.mark.parametrize(("ones", "fraction"), [(2, 0.1), (2, 0.9)])
def test_early_stopping_needs_every_class_on_both_sides(digits, ones, fraction):
    X = np.zeros((300, 16))
    y = np.r_[np.zeros(300 - ones), np.ones(ones)]
    with pytest.raises(
        ValueError, match=r"(validation|training) set is too small: .* none of some class; change the fraction"
    ):
        NumpyCNNClassifier(early_stopping=True, validation_fraction=fraction, **QUICK).fit(X, y)


@pytest.mark.parametrize("solver", [SGD(), Adam()])
def test_numbers_of_numpy_and_of_python_give_the_same_bits(digits, solver):
    X, _, y, _ = digits
    X = X[:100].astype(np.float32)
    fields = {f"solver__{name}": np.float64(v) for name, v in vars(solver).items() if isinstance(v, float)}
    numbers = {"learning_rate_init": 0.01, "alpha": 1e-3}
    python = NumpyCNNClassifier(solver=solver, **numbers, **QUICK)
    numpy = clone(python).set_params(**fields, **{name: np.float64(v) for name, v in numbers.items()})
    assert weights_of(numpy.fit(X, y[:100])) == weights_of(python.fit(X, y[:100]))


@pytest.mark.parametrize("value", [0.1, 1e5, -3.3])
def test_standard_scaling_of_a_constant_channel(colour, value):
    X, y = colour[0].astype(np.float64), colour[1]
    X[..., 1] = value
    clf = NumpyCNNClassifier(scaling="standard", max_iter=1).fit(X, y)
    assert clf._format_.width[1] == 1
    np.testing.assert_allclose(clf._format_.read(X.reshape(90, -1))[..., 1], 0, atol=1e-9)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_class_weights_must_be_finite_and_not_negative(digits, weight):
    with pytest.raises(ValueError, match=r"class_weight must hold finite numbers of at least 0, got \{0: "):
        NumpyCNNClassifier(class_weight={0: weight}, **QUICK).fit(digits[0], digits[2])


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_the_weights_does_not_matter(digits, scale):
    X, y = digits[0][:100], digits[2][:100]
    weight = 1.0 + y
    small = NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight)
    large = NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight * scale)
    np.testing.assert_allclose(large.predict_proba(X), small.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("name", ["dtype", "scaling", "image_shape", "data_format"])
def test_going_on_refuses_other_foundations(digits, name):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    new = {"dtype": "float32", "scaling": (0, 100), "image_shape": (4, 16), "data_format": "channels_first"}[name]
    with pytest.raises(ValueError, match=f"the network was built otherwise: {name} was "):
        clf.set_params(**{name: new}).fit(X, y)


def test_layers_that_end_in_maps_are_an_error_that_says_how_to_end_them(digits):
    with pytest.raises(ValueError, match=r"layers end in maps of shape \(8, 8, 4\); end them in rows, by Flatten\(\)"):
        NumpyCNNClassifier(layers=[Conv2D(4), ReLU()]).fit(digits[0], digits[2])


def test_a_subclass_may_have_parameters_of_its_own(digits):
    class Small(NumpyCNNClassifier):
        def __init__(self, max_iter=2):
            super().__init__(layers=[Conv2D(4), ReLU(), MaxPool2D(), Flatten()], max_iter=max_iter)

    assert clone(Small()).fit(digits[0], digits[2]).n_iter_ == 2


@pytest.mark.parametrize(("name", "value"), [("solver", SGD), ("learning_rate", Cosine)])
def test_a_class_in_place_of_an_object_is_an_error(digits, name, value):
    with pytest.raises(ValueError, match=f"{name} must be an object, as in {value.__name__}"):
        NumpyCNNClassifier(**{name: value}).fit(digits[0], digits[2])


def test_errors_in_held_out_images_name_them(digits):
    X, X_val, y, y_val = digits
    for wrong_X, wrong_y in [(np.full_like(X_val, np.nan), y_val), (X_val, y_val[:-1]), (X_val[:, :9], y_val)]:
        with pytest.raises(ValueError, match=r"^X_val, y_val: "):
            NumpyCNNClassifier(**QUICK).fit(X, y, X_val=wrong_X, y_val=wrong_y)


def test_weights_of_nested_layers_are_listed_and_penalised(digits):
    X, _, y, _ = digits
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten(), Wrapped()], max_iter=1, alpha=0.0).fit(X, y)
    assert [W.shape for W in clf.coefs_] == [(3, 3, 1, 4), (256, 5), (5, 10)]
    assert [b.shape for b in clf.intercepts_] == [(4,), (5,), (10,)]
    heavy = clone(clf).set_params(alpha=10.0).fit(X, y)
    assert np.linalg.norm(heavy.coefs_[1]) < 0.5 * np.linalg.norm(clf.coefs_[1])


@dataclass(frozen=True, repr=False)
class Wrapped(Layer):
    """A dense layer inside another, whose parameters are a dict in a dict."""

    def build(self, in_shape, rng, dtype):
        params, out_shape = Dense(5).build(in_shape, rng, dtype)
        return {"inner": params}, out_shape

    def forward(self, params, x, *, train=False, rng=None):
        return Dense(5).forward(params["inner"], x, train=train)

    def backward(self, params, cache, d_out, *, need_d_x=True):
        d_x, grads = Dense(5).backward(params["inner"], cache, d_out, need_d_x=need_d_x)
        return d_x, {"inner": grads}


def test_a_decoupled_decay_shrinks_the_weights_alone(digits):
    """One step of the whole data: Adam's own, and W less by learning_rate * alpha of itself; biases by nothing."""
    X, y = digits[0], digits[2]
    settings = {"batch_size": len(X), "max_iter": 1, "learning_rate": "constant", "random_state": 0, "dtype": "float64"}
    plain = NumpyCNNClassifier(solver="adam", alpha=0.0, **settings).fit(X, y)
    decayed = NumpyCNNClassifier(solver="adamw", alpha=0.3, **settings).fit(X, y)
    before = NumpyCNNClassifier(solver="adam", alpha=0.0, learning_rate_init=1e-300, **settings).fit(X, y)
    for start, one, other in zip(before.coefs_, plain.coefs_, decayed.coefs_, strict=True):
        np.testing.assert_allclose(other, one - 0.002 * 0.3 * start, rtol=0, atol=1e-14)
    for one, other in zip(plain.intercepts_, decayed.intercepts_, strict=True):
        np.testing.assert_array_equal(other, one)
    assert decayed.loss_curve_ == plain.loss_curve_  # the penalty is no part of the loss


def test_a_plateau_schedule_is_given_the_history(digits):
    X, y = digits[0], digits[2]
    schedule = ReduceOnPlateau(0.5, patience=0, tol=10.0)  # no epoch but the first falls by so much
    clf = NumpyCNNClassifier(learning_rate=schedule, learning_rate_init=0.01, max_iter=4, random_state=0).fit(X, y)
    assert [row["learning_rate"] for row in clf.history_] == [0.01, 0.01, 0.005, 0.0025]


@dataclass(frozen=True, repr=False)
class Forgetful(Wrapped):
    """A layer with a wrong backward pass."""

    def backward(self, params, cache, d_out, *, need_d_x=True):
        return super().backward(params, cache, d_out, need_d_x=need_d_x)[0], {"inner": {"weights": 0.0}}


def test_a_layer_without_its_gradients_is_named(digits):
    with pytest.raises(ValueError, match=r"a gradient for each parameter.*'1\.inner\.W': None.*needed.*\(64, 5\)"):
        NumpyCNNClassifier(layers=[Flatten(), Forgetful()]).fit(digits[0], digits[2])


@dataclass(frozen=True, repr=False)
class Sharing(Layer):
    """A layer whose gradients are not its own."""

    how: str

    def build(self, in_shape, rng, dtype):
        return {"a": np.ones(in_shape, dtype), "b": np.ones(in_shape, dtype)}, in_shape

    def forward(self, params, x, *, train=False, rng=None):
        return x * params["a"] + params["b"], x if train else None

    def backward(self, params, cache, d_out, *, need_d_x=True):
        by_a, by_b = (d_out * cache).sum(axis=0), d_out.sum(axis=0)
        grads = {
            "each other's": (by_b, by_b),
            "a parameter's": (by_a, params["b"]),
            "read-only": (by_a, np.broadcast_to(by_b[0], by_b.shape)),
        }
        return d_out * params["a"], dict(zip("ab", grads[self.how], strict=True))


@pytest.mark.parametrize("how", ["each other's", "a parameter's", "read-only"])
def test_gradients_that_training_may_not_write_to_are_refused(digits, how):
    with pytest.raises(ValueError, match=r"an array of its own for each parameter.*1\.b is ndarray"):
        NumpyCNNClassifier(layers=[Flatten(), Sharing(how)]).fit(digits[0], digits[2])


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both", "missing"])
def test_verbose_where_nobody_watches_loses_no_training(digits, closed, monkeypatch):
    pipe = io.StringIO()
    pipe.close()
    for name in ("stdout", "stderr"):
        if closed in (name, "both", "missing"):
            monkeypatch.setattr(sys, name, None if closed == "missing" else pipe)
    clf = NumpyCNNClassifier(verbose=1, **QUICK).fit(digits[0], digits[2])
    monkeypatch.undo()
    assert clf.n_iter_ == 2


def test_verbose_prints_a_clean_line_an_epoch_where_there_is_no_terminal(digits, capsys):
    X, X_val, y, y_val = digits
    NumpyCNNClassifier(verbose=1, **QUICK).fit(X, y, X_val=X_val, y_val=y_val)
    out = capsys.readouterr()
    lines = out.out.splitlines()
    number = r"\d\.\d{4}"
    expected = rf"Epoch [12]/2: \d+\.\ds loss={number} val_loss={number} val_accuracy={number} val_f1={number}"
    assert len(lines) == 2
    assert all(re.fullmatch(expected, line) for line in lines)
    assert out.err == ""
    NumpyCNNClassifier(**QUICK).fit(X, y)
    assert capsys.readouterr() == ("", "")


def on_scale(scale, dtype, digits):
    return (digits[0] / 16 * scale).astype(dtype)


@pytest.mark.parametrize("scaling", ["auto", "standard", (0, 255)])
@pytest.mark.parametrize(("fitted_on", "asked_on"), [((255, np.uint8), (1, float)), ((255, float), (1, np.float32))])
def test_a_scale_that_is_off_warns(digits, fitted_on, asked_on, scaling):
    """The commonest silent mistake: fitted on 0..255, asked on 0..1."""
    X, other = on_scale(*fitted_on, digits), on_scale(*asked_on, digits)
    clf = NumpyCNNClassifier(scaling=scaling, **QUICK).fit(X, digits[2])
    for method in (clf.predict, clf.predict_proba, clf.decision_function):
        with pytest.warns(UserWarning, match=r"the pixels of X reach 1, but .*: are they on the same scale\?"):
            method(other)
    with pytest.warns(UserWarning, match="the pixels of X_val reach 1,"):
        clf.fit(X, digits[2], X_val=other, y_val=digits[2])


def test_the_other_way_round_warns_too(digits):
    clf = NumpyCNNClassifier(**QUICK).fit(on_scale(1, float, digits), digits[2])
    with pytest.warns(UserWarning, match=r"the pixels of X reach 255, but the classifier was fitted .* about 1:"):
        clf.predict(on_scale(255, np.uint8, digits))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scaling", ["auto", "standard", None])
def test_images_on_the_same_scale_warn_of_nothing(digits, scaling):
    X, y = on_scale(255, np.uint8, digits), digits[2]
    clf = NumpyCNNClassifier(scaling=scaling, **QUICK).fit(X, y)
    for other in (X, X[:1], X // 20, np.zeros_like(X[:1]), X.astype(float), 255.0 - X):
        clf.predict(other)


@pytest.mark.filterwarnings("error")
def test_without_scaling_no_scale_is_off(digits):
    clf = NumpyCNNClassifier(scaling=None, **QUICK).fit(digits[0], digits[2])
    clf.predict(digits[1] / 100)
