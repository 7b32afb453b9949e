"""Translated networks compute what the layers say."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from skcnn import lowering
from skcnn.layers import Conv2D, Dense, Flatten, LeakyReLU, MaxPool2D, ReLU, Sigmoid, Softmax, Tanh
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.lowering import from_blocks, lower, to_blocks
from skcnn.network import Network
from skcnn.parallel import Shard

EXERCISE = [Conv2D(6, 5), ReLU(), Conv2D(6, 5), ReLU(), MaxPool2D(2), Flatten(), Dense(10)]


def names(layers, in_shape):
    network = Network.build(layers, in_shape, np.random.default_rng(0), np.float32)
    return [type(step.layer).__name__ for step in network.steps]


def results(layers, in_shape, dtype, monkeypatch, translate):
    """Output, prediction and gradients, with every convolution translated that can be, or none."""
    rule = lowering.fits_in_blocks if translate else (lambda *args: False)
    monkeypatch.setattr(lowering, "pays_in_blocks", rule)
    rng = np.random.default_rng(0)
    network = Network.build(layers, in_shape, rng, dtype)
    for params in network.params:
        if "b" in params:
            params["b"] += rng.normal(size=params["b"].shape)
    x, y = rng.normal(size=(3, *in_shape)).astype(dtype), np.array([0, 1, 2])
    out, caches = network.forward(x, Shard(3))
    _, d_logits = SoftmaxCrossEntropy()(out, y)
    grads = network.backward(caches, d_logits, Shard(3))
    arrays = [out, network.predict(x), *(grad[name] for grad in grads for name in sorted(grad))]
    return arrays, any(isinstance(step.layer, lowering._BlockConv2D) for step in network.steps)


sizes = st.one_of(st.integers(1, 6), st.tuples(st.integers(1, 5), st.integers(1, 5)))
paddings = st.one_of(
    st.sampled_from(["same", "valid"]), st.integers(0, 4), st.tuples(st.integers(0, 3), st.integers(0, 3))
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    size=sizes,
    padding=paddings,
    bias=st.sampled_from(["kernel", "position", None]),
    pad_value=st.sampled_from([0.0, 1.5]),
    shape=st.tuples(st.integers(3, 6), st.integers(3, 6), st.integers(1, 3)),
    between=st.sampled_from([ReLU(), LeakyReLU(), Tanh(), Sigmoid(), Softmax(), MaxPool2D(2)]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_blocks_give_the_same_results(size, padding, bias, pad_value, shape, between, dtype):
    conv = Conv2D(2, size, padding=padding, bias=bias, pad_value=pad_value)
    layers = [conv, between, Conv2D(3, 3, bias=bias), Tanh(), Flatten(), Dense(4)]
    in_shape = (2 * shape[0], 2 * shape[1], shape[2])
    try:
        Network.build(layers, in_shape, np.random.default_rng(0), dtype)
    except ValueError:
        reject()  # a kernel or pool is too large for this map
    with pytest.MonkeyPatch.context() as monkeypatch:
        plain, _ = results(layers, in_shape, dtype, monkeypatch, translate=False)
        blocks, _ = results(layers, in_shape, dtype, monkeypatch, translate=True)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for one, other in zip(plain, blocks, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype == dtype
        scale = max(1.0, np.abs(one).max())
        np.testing.assert_allclose(other / scale, one / scale, rtol=0, atol=10 * tolerance)


def test_both_ways_are_taken(monkeypatch):
    """The comparison above compares different computations."""
    for translate in (False, True):
        assert results(EXERCISE, (8, 8, 1), np.float64, monkeypatch, translate)[1] is translate


def test_the_rule_translates_few_channels_and_leaves_many():
    assert names(EXERCISE, (28, 28, 1)) == [
        *("_ToBlocks", "_BlockConv2D", "ReLU", "_BlockConv2D", "ReLU", "_FromBlocks"),
        *("MaxPool2D", "Flatten", "Dense"),
    ]
    many = [Conv2D(32, 3), ReLU(), Conv2D(32, 3), ReLU(), Flatten(), Dense(2)]
    assert names(many, (28, 28, 32)) == [type(layer).__name__ for layer in many]


@pytest.mark.parametrize("in_shape", [(27, 28, 1), (28, 27, 1)])
def test_odd_maps_are_left_alone(in_shape):
    assert "_BlockConv2D" not in names(EXERCISE, in_shape)
    assert "_BlockConv2D" not in names([Conv2D(6, 5, stride=2), Flatten()], (28, 28, 1))


def test_a_subclass_is_left_alone():
    class Twice(Conv2D):
        def forward(self, params, x, *, train=False, rng=None):
            out, cache = super().forward(params, x, train=train, rng=rng)
            return 2 * out, cache

        def backward(self, params, cache, d_out, *, need_d_x=True):
            return super().backward(params, cache, 2 * d_out, need_d_x=need_d_x)

    assert lower([Twice(6, 5)], [(28, 28, 1), (28, 28, 6)])[0].layer == Twice(6, 5)


def test_blocks_hold_pixels_row_by_row_and_there_is_a_way_back():
    x = np.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    blocks = to_blocks(x)
    for i, j in itertools.product(range(2), range(3)):
        np.testing.assert_array_equal(blocks[:, i, j], x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(2, -1))
    np.testing.assert_array_equal(from_blocks(blocks), x)


def test_steps_are_not_pickled_but_made_again():
    network = Network.build(EXERCISE, (28, 28, 1), np.random.default_rng(0), np.float32)
    assert b"BlockConv2D" not in pickle.dumps(network)
    assert pickle.loads(pickle.dumps(network)).steps == network.steps
