"""Optimizers, schedules and layers of one's own."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

from skcnn.layers import Conv2D, Flatten, Layer
from skcnn.optimizers import ClipNorm


@dataclass
class Sign:
    """Steps of equal size: an optimizer that inherits nothing, and is not frozen."""

    size: float = 1.0

    def init(self, weights):
        return {"n_steps": 0}

    def step(self, weights, grads, state, learning_rate):
        state["n_steps"] += 1
        for w, g in zip(weights, grads, strict=True):
            w -= self.size * learning_rate * np.sign(g)


class NoDataclass:
    """An optimizer without fields."""

    def init(self, weights):
        return {}

    def step(self, weights, grads, state, learning_rate):
        for w, g in zip(weights, grads, strict=True):
            w -= learning_rate * g


@dataclass
class Half:
    """A layer that inherits nothing."""

    factor: float = 0.5


@dataclass(frozen=True, repr=False)
class Scaled(Layer):
    """A layer that does."""

    factor: float = 0.5

    def forward(self, params, x, context):
        return x * x.dtype.type(self.factor), None

    def backward(self, params, cache, d_out, context):
        return d_out * d_out.dtype.type(self.factor), {}


def test_an_optimizer_that_is_a_plain_dataclass_trains_and_is_reached_by_set_params(make, digits):
    settings = {"scaling": (0, 16), "learning_rate_init": 0.01, "learning_rate": "cosine", "max_iter": 5}
    clf = make(solver=Sign(), hidden_layer_sizes=20, **settings).fit(*digits)
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]
    assert clf.get_params()["solver__size"] == 1.0
    solver, again = clf.solver, clone(clf).set_params(solver__size=0.1)
    assert (again.solver.size, solver.size) == (0.1, 1.0)
    assert again.fit(*digits).loss_curve_ != clf.loss_curve_


def test_its_state_is_kept_in_partial_fit(make, data):
    X, y = data
    clf = make(solver=Sign(), batch_size=20)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert clf._model.optimizer[1] == {"n_steps": 6}


def test_an_optimizer_that_is_no_dataclass_trains_and_the_error_of_set_params_says_what_it_must_be(make, data):
    clf = make(solver=NoDataclass()).fit(*data)
    with pytest.raises(ValueError, match="only dataclasses have parameters"):
        clf.set_params(solver__size=0.1)


def test_a_layer_that_inherits_nothing_is_an_error_that_says_what_it_must_inherit(make, data):
    clf = make(layers=[Conv2D(2), Half(), Flatten()], n_kernels="auto", hidden_layer_sizes="auto")
    with pytest.raises(ValueError, match=r"layers\[1\] must be .* your own subclass of skcnn.layers.Layer\), got Half"):
        clf.fit(*data)


def test_a_layer_of_one_s_own_trains_and_is_reached_by_set_params(make, data):
    clf = make(layers=[Conv2D(2), Scaled(), Flatten()], n_kernels="auto", hidden_layer_sizes="auto").fit(*data)
    assert clf.set_params(layers__1__factor=0.25).layers[1] == Scaled(0.25)


def optimizer(**methods):
    """An optimizer of plain gradient descent, but for some methods."""
    return type("Own", (NoDataclass,), methods)()


@pytest.mark.parametrize("state", [None, 3, [1], (), "state", np.zeros(3)])
def test_an_optimizer_without_a_state_is_an_error_that_names_it(state, make, data):
    with pytest.raises(TypeError, match=r"solver=<.*Own .*>: init must return a state, such as an empty dict, got"):
        make(solver=optimizer(init=lambda self, weights: state)).fit(*data)


@pytest.mark.parametrize("wrap", [lambda own: own, ClipNorm], ids=["alone", "clipped"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("init", lambda self: {}),
        ("init", lambda self, weights, more: {}),
        ("step", lambda self, weights, grads: None),
        ("step", lambda self, weights, grads, state, learning_rate, more: None),
    ],
)
def test_an_optimizer_of_other_arguments_is_an_error_before_training(name, method, wrap, make, data):
    with pytest.raises(TypeError, match=rf"(solver|ClipNorm: optimizer)\.{name} must take the arguments \(weights"):
        make(solver=wrap(optimizer(**{name: method}))).fit(*data)


@pytest.mark.parametrize("name", ["init", "step"])
@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), ZeroDivisionError(), FileNotFoundError(2, "no")])
def test_an_error_that_an_optimizer_raises_keeps_its_type_and_names_it(error, name, make, data):
    def raising(self, *arguments):
        raise error

    with pytest.raises(type(error)) as raised:
        make(solver=ClipNorm(optimizer(**{name: raising}))).fit(*data)
    text = "".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert "solver=ClipNorm(optimizer=<" in text
    assert raised.traceback[-1].name == "raising"


def replacing(self, weights, grads, state, learning_rate):
    for i, (w, g) in enumerate(zip(weights, grads, strict=True)):
        weights[i] = w - learning_rate * g


@pytest.mark.parametrize(
    "step", [replacing, lambda self, weights, *rest: weights.clear()], ids=["replacing", "removing"]
)
def test_an_optimizer_that_replaces_the_weights_is_an_error(step, make, data):
    with pytest.raises(TypeError, match=r"solver=.*: step must change the arrays in place, .* but it changed the list"):
        make(solver=optimizer(step=step)).fit(*data)


def returning(self, weights, grads, state, learning_rate):
    return [w - learning_rate * g for w, g in zip(weights, grads, strict=True)]


def test_an_optimizer_that_returns_new_weights_is_an_error(make, data):
    with pytest.raises(TypeError, match=r"solver=.*: step must change the arrays in place, .*, and return nothing"):
        make(solver=optimizer(step=returning)).fit(*data)
