"""The gradients that training takes from layers of any kind."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import NumpyCNNClassifier
from skcnn.layers import PREDICT, TRAIN, Conv2D, Flatten, Layer
from tests.layers.own import Wrapped


def test_weights_of_nested_layers_are_listed_and_penalised(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten(), Wrapped()], max_iter=1, alpha=0.0).fit(X, y)
    assert [W.shape for W in clf.coefs_] == [(3, 3, 1, 4), (256, 5), (5, 10)]
    assert [b.shape for b in clf.intercepts_] == [(4,), (5,), (10,)]
    heavy = clone(clf).set_params(alpha=10.0).fit(X, y)
    assert np.linalg.norm(heavy.coefs_[1]) < 0.5 * np.linalg.norm(clf.coefs_[1])


@dataclass(frozen=True, repr=False)
class Forgetful(Wrapped):
    """A layer with a wrong backward pass."""

    def backward(self, params, cache, d_out, context=TRAIN):
        return super().backward(params, cache, d_out, context)[0], {"inner": {"weights": 0.0}}


def test_a_layer_without_its_gradients_is_named(split_digits):
    with pytest.raises(ValueError, match=r"layers\[1\] Forgetful\(\): .*'inner\.W' .* None, needed \(64, 5\)"):
        NumpyCNNClassifier(layers=[Flatten(), Forgetful()]).fit(split_digits[0], split_digits[2])


@dataclass(frozen=True, repr=False)
class Sharing(Layer):
    """A layer whose gradients share memory or are read-only."""

    how: str

    def init(self, in_shape, rng, dtype):
        return {"a": np.ones(in_shape, dtype), "b": np.ones(in_shape, dtype)}

    def forward(self, params, x, context=PREDICT):
        return x * params["a"] + params["b"], x if context.train else None

    def backward(self, params, cache, d_out, context=TRAIN):
        by_a, by_b = (d_out * cache).sum(axis=0), d_out.sum(axis=0)
        grads = {
            "each other's": (by_b, by_b),
            "a parameter's": (by_a, params["b"]),
            "read-only": (by_a, np.broadcast_to(by_b[0], by_b.shape)),
        }
        return d_out * params["a"], dict(zip("ab", grads[self.how], strict=True))


@pytest.mark.parametrize("how", ["each other's", "a parameter's", "read-only"])
def test_gradients_that_training_may_not_write_to_are_refused(split_digits, how):
    with pytest.raises(ValueError, match=r"layers\[1\] Sharing\(.*\): .*new array for each parameter.*'b' \(ndarray\)"):
        NumpyCNNClassifier(layers=[Flatten(), Sharing(how)]).fit(split_digits[0], split_digits[2])


FORMS = {
    "array": (lambda d: d, lambda form: form),
    "dict": (lambda d: {"factor": d}, lambda form: form["factor"]),
    "list": (lambda d: [d], lambda form: form[0]),
    "nested": (lambda d: ({}, [{"factor": d}]), lambda form: form[1][0]["factor"]),
}


@dataclass(frozen=True, repr=False)
class Scale(Layer):
    """Multiply by exp(log), whose gradients it returns in some form."""

    form: str

    def init(self, in_shape, rng, dtype):
        return {"log": np.zeros(in_shape, dtype)}

    def prepare(self, params, in_shape, context):
        return np.exp(params["log"])

    def forward(self, factor, x, context=PREDICT):
        return x * factor, x if context.train else None

    def backward(self, factor, cache, d_out, context=TRAIN):
        return d_out * factor, FORMS[self.form][0]((d_out * cache).sum(axis=0))

    def gradients(self, factor, d_prepared):
        return {"log": FORMS[self.form][1](d_prepared) * factor}


@pytest.mark.parametrize("form", FORMS)
def test_gradients_by_what_was_prepared_are_summed_over_the_shards_in_any_form(form, split_digits, monkeypatch):
    X, y = split_digits[0], split_digits[2]
    both = []
    for worth_cutting in (np.inf, 0):
        monkeypatch.setattr("skcnn._engine.sharding.WORK_WORTH_CUTTING", worth_cutting)
        clf = NumpyCNNClassifier(layers=[Scale(form), Flatten()], batch_size=200, max_iter=3, random_state=0).fit(X, y)
        both.append(clf.network_.params[0]["log"])
    assert np.abs(both[0]).max() > 1e-3
    np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-12)
    assert len(clf.network_.shards(200, train=True)) == 2
