"""Lowered chains compute what the layers say."""

import pickle

import numpy as np
import pytest

from skcnn._engine.lowering import LoweredChain, RectifiedPool, lower
from skcnn._engine.passes import Passes
from skcnn.layers import (
    PREDICT,
    TRAIN,
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Sequential,
    Tanh,
)
from skcnn.layers.base import alone
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network


def built(layers):
    return Network.build(layers, (9, 8, 2), np.random.default_rng(0), np.float64)


def results(network, chains):
    """Output, prediction and gradients; many of the pixels tie, and many are exactly 0."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(-1, 2, (5, 9, 8, 2)).astype(float), rng.integers(0, 3, 5)
    params = [{n: rng.integers(-1, 2, a.shape).astype(float) for n, a in p.items()} for p in network.params]
    passes, predicting = (
        Passes(chains[train], network.shapes[0], params, network.states, train=train) for train in (True, False)
    )
    context = passes.context(5)
    out, caches = alone(passes.forward(x, context))
    _, d_logits = SoftmaxCrossEntropy()(out, y)
    grads = passes.gradients(alone(passes.backward(caches, d_logits, context)))
    return [out, predicting.predict(x), *(grad[name] for grad in grads for name in sorted(grad))]


@pytest.mark.parametrize("pool", [MaxPool2D(2), MinPool2D(2), MaxPool2D(3, 1), MinPool2D((1, 2), (2, 1))], ids=repr)
def test_rectifying_after_the_pool_gives_the_same_bits(pool):
    network = built([Conv2D(3), ReLU(), pool, Conv2D(2), ReLU(), pool, Flatten(), Dense(3)])
    lowered = {train: lower(network.chain, network.shapes[0], train=train) for train in (True, False)}
    layers = [operation.layer for operation in lowered[True].operations]
    assert layers[:3] == [Conv2D(3), RectifiedPool(pool), Conv2D(2)]
    plain = dict.fromkeys((True, False), network.chain)
    for one, other in zip(results(network, lowered), results(network, plain), strict=True):
        np.testing.assert_array_equal(one, other)


def lowered(layers):
    return lower(Sequential(layers), (8, 8, 2), train=True).operations


def test_every_operation_knows_which_layers_it_stands_for():
    operations = lowered([ReLU(), ReLU(), MaxPool2D(2), MaxPool2D(2), ReLU()])
    assert [operation.sources for operation in operations] == [("0",), ("1", "2"), ("3",), ("4",)]
    layers = [ReLU(), RectifiedPool(MaxPool2D(2)), MaxPool2D(2), ReLU()]
    assert [operation.layer for operation in operations] == layers


@pytest.mark.parametrize("layers", [[Tanh(), MaxPool2D(2)], [ReLU(), AvgPool2D(2)], [LeakyReLU(), MaxPool2D(2)]])
def test_other_layers_stay_where_they_are(layers):
    assert [operation.layer for operation in lowered(layers)] == layers


def test_a_subclass_stays_where_it_is():
    class Twice(ReLU):
        def forward(self, params, x, context=PREDICT):
            out, cache = super().forward(params, x, context)
            return 2 * out, cache

        def backward(self, params, cache, d_out, context=TRAIN):
            return super().backward(params, cache, 2 * d_out, context)

    assert [operation.layer for operation in lowered([Twice(), MaxPool2D(2)])] == [Twice(), MaxPool2D(2)]


def test_lowered_chains_are_not_pickled_but_made_again():
    network = built([Conv2D(3), ReLU(), MaxPool2D(2), Flatten(), Dense(3)])
    x = np.random.default_rng(0).normal(size=(2, 9, 8, 2))
    expected = network.predict(x)
    pickled = pickle.dumps(network)
    assert LoweredChain.__name__.encode() not in pickled
    np.testing.assert_array_equal(pickle.loads(pickled).predict(x), expected)
