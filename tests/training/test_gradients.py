"""The gradients that training takes from layers of any kind."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import NumpyCNNClassifier
from skcnn.layers import PREDICT, TRAIN, Conv2D, Dense, Flatten, Layer


@dataclass(frozen=True, repr=False)
class Wrapped(Layer):
    """A dense layer inside another, whose parameters are a dict in a dict."""

    def out_shape(self, in_shape):
        return Dense(5).out_shape(in_shape)

    def init(self, in_shape, rng, dtype):
        return {"inner": Dense(5).init(in_shape, rng, dtype)}

    def forward(self, params, x, context=PREDICT):
        return Dense(5).forward(params["inner"], x, context)

    def backward(self, params, cache, d_out, context=TRAIN):
        d_x, grads = Dense(5).backward(params["inner"], cache, d_out, context)
        return d_x, {"inner": grads}


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
    with pytest.raises(ValueError, match=r"a gradient for each parameter.*'1\.inner\.W': None.*needed.*\(64, 5\)"):
        NumpyCNNClassifier(layers=[Flatten(), Forgetful()]).fit(split_digits[0], split_digits[2])


@dataclass(frozen=True, repr=False)
class Sharing(Layer):
    """A layer whose gradients are not its own."""

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
    with pytest.raises(ValueError, match=r"an array of its own for each parameter.*1\.b is ndarray"):
        NumpyCNNClassifier(layers=[Flatten(), Sharing(how)]).fit(split_digits[0], split_digits[2])
