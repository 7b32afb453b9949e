"""Layers on their own: `apply` and `gradient` on plain parameters, without a network."""

import numpy as np
import pytest

from skcnn._trees import leaves
from skcnn.layers import PREDICT, TRAIN, BatchNorm, Context, Conv2D, Dense, Dropout, Layer, ReLU, Residual, Sequential
from skcnn.layers.base import alone
from skcnn.network import Network
from tests.layers import reference
from tests.layers.table import every_layer, made, training


def network_of(layer, in_shape, params):
    network = Network.build([layer], in_shape, np.random.default_rng(0), np.float64)
    network.params[0] = params
    return network


@every_layer
def test_apply_is_what_a_network_predicts(layer, in_shape):
    params, x, _ = made(layer, in_shape)
    out = layer.apply(params, x)
    assert isinstance(out, np.ndarray)
    np.testing.assert_allclose(network_of(layer, in_shape, params).predict(x), out, rtol=0, atol=1e-12)


@every_layer
def test_gradient_is_what_a_network_trains_on(layer, in_shape):
    params, x, d_out = made(layer, in_shape)
    _, grads = layer.gradient(params, x, d_out, training())
    passes = network_of(layer, in_shape, params).passes(train=True)
    context = passes.context(len(x), rng=training().rng)
    out, caches = alone(passes.forward(x, context))
    np.testing.assert_array_equal(out, layer.apply(params, x, training()))
    of_network = passes.gradients(alone(passes.backward(caches, d_out, context)))
    np.testing.assert_equal(dict(leaves(of_network[0])), dict(leaves(grads)))


def test_a_convolution_is_applied_to_plain_parameters():
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 3, 2, 4)), "b": rng.normal(size=4)}
    x, d_out = rng.normal(size=(2, 5, 6, 2)), rng.normal(size=(2, 5, 6, 4))
    geometry = (1, 1), ((1, 1), (1, 1)), 0.0
    np.testing.assert_allclose(Conv2D(4).apply(params, x), reference.convolve(x, *params.values(), *geometry))
    d_x, grads = Conv2D(4).gradient(params, x, d_out)
    expected = reference.convolve_backward(x, *params.values(), *geometry, d_out)
    for gradient, by_loops in zip((d_x, grads["W"], grads["b"]), expected, strict=True):
        np.testing.assert_allclose(gradient, by_loops)


def test_the_passes_of_a_simple_layer_need_no_more_than_the_contract_says():
    x = np.array([[-1.0, 0.0, 2.0]])
    out, cache = ReLU().forward({}, x)
    assert (out.tolist(), cache) == ([[0, 0, 2]], None)
    out, cache = ReLU().forward({}, x, TRAIN)
    d_x, grads = ReLU().backward({}, cache, np.ones_like(x))
    assert (d_x.tolist(), grads) == ([[0, 0, 1]], {})
    params = {"W": np.eye(3), "b": np.ones(3)}
    out, cache = Dense(3).forward(params, x)
    assert (out.tolist(), cache) == ([[0, 1, 3]], None)


def test_the_base_of_all_layers_is_the_identity():
    x = np.random.default_rng(0).normal(size=(2, 3))
    assert Layer().init((3,), None, np.float64) == Layer().initial_state((3,), np.float64) == {}
    assert Layer().out_shape((3,)) == (3,)
    assert Layer().apply({}, x) is x
    assert Layer().gradient({}, x, x) == (x, {})


@pytest.mark.parametrize("layer", [BatchNorm(), Sequential([BatchNorm()]), Residual([ReLU(), BatchNorm()])], ids=repr)
def test_apply_uses_the_state_that_it_is_given(layer):
    params, x, _ = made(layer, (4, 4, 2))
    state = layer.initial_state((4, 4, 2), np.float64)
    np.testing.assert_array_equal(layer.apply(params, x, Context(state=state)), layer.apply(params, x, PREDICT))
    for _, array in leaves(state):
        array += 1
    assert not np.allclose(layer.apply(params, x, Context(state=state)), layer.apply(params, x))


def test_a_context_is_not_written_to():
    params, x, d_out = made(BatchNorm(), (4, 4, 2))
    BatchNorm().apply(params, x, TRAIN)
    BatchNorm().gradient(params, x, d_out)
    assert Context(train=True) == TRAIN
    assert Context() == PREDICT
    with pytest.raises(TypeError, match="does not support item assignment"):
        PREDICT.state["mean"] = 1


def test_what_is_drawn_is_the_context_s():
    x = np.ones((2, 50))
    context = TRAIN._replace(rng=np.random.default_rng(0))
    one, other = (Dropout().apply({}, x, context) for _ in range(2))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(Dropout().apply({}, x, TRAIN._replace(rng=np.random.default_rng(0))), one)
