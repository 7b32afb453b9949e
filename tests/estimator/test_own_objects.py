"""Optimizers, schedules and layers of one's own."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

from skcnn.layers import Conv2D, Flatten, Layer


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
    clf = make(solver=Sign(), learning_rate_init=0.01, max_iter=5, hidden_layer_sizes=20).fit(*digits)
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
    clf = make(layers=[Conv2D(2), Half(), Flatten()], n_kernels=(16, 32), hidden_layer_sizes=(100,))
    with pytest.raises(ValueError, match=r"layers\[1\] must be .* your own subclass of skcnn.layers.Layer\), got Half"):
        clf.fit(*data)


def test_a_layer_of_one_s_own_trains_and_is_reached_by_set_params(make, data):
    clf = make(layers=[Conv2D(2), Scaled(), Flatten()], n_kernels=(16, 32), hidden_layer_sizes=(100,)).fit(*data)
    assert clf.set_params(layers__1__factor=0.25).layers[1] == Scaled(0.25)


@dataclass
class Stateless(Sign):
    """An optimizer that forgets to return a state."""

    def init(self, weights):
        return None


def test_an_optimizer_without_a_state_is_an_error_that_names_it(make, data):
    with pytest.raises(TypeError, match=r"solver=Stateless\(size=1\.0\): init must return a state"):
        make(solver=Stateless()).fit(*data)
