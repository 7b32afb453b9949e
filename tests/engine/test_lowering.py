"""Translated networks compute what the layers say."""

import pickle

import numpy as np
import pytest

from skcnn._engine.lowering import Step, lower
from skcnn._engine.workers import Shard
from skcnn.layers import AvgPool2D, Conv2D, Dense, Flatten, LeakyReLU, MaxPool2D, MinPool2D, ReLU, Tanh
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network


def built(layers):
    return Network.build(layers, (9, 8, 2), np.random.default_rng(0), np.float64)


def results(network):
    """Output, prediction and gradients; many of the pixels tie, and many are exactly 0."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(-1, 2, (5, 9, 8, 2)).astype(float), rng.integers(0, 3, 5)
    for params in network.params:
        params.update({name: rng.integers(-1, 2, array.shape).astype(float) for name, array in params.items()})
    computation = network.computation(train=True)
    out, caches = computation.forward(x, Shard(5))
    _, d_logits = SoftmaxCrossEntropy()(out, y)
    grads = computation.gradients(computation.backward(caches, d_logits, Shard(5))[1])
    return [out, network.predict(x), *(grad[name] for grad in grads for name in sorted(grad))]


@pytest.mark.parametrize("pool", [MaxPool2D(2), MinPool2D(2), MaxPool2D(3, 1), MinPool2D((1, 2), (2, 1))], ids=repr)
def test_rectifying_after_the_pool_gives_the_same_bits(pool, monkeypatch):
    layers = [Conv2D(3), ReLU(), pool, Conv2D(2), ReLU(), pool, Flatten(), Dense(3)]
    network = built(layers)
    assert [type(step.layer) for step in network.steps[:3]] == [Conv2D, type(pool), ReLU]
    swapped = results(network)
    monkeypatch.setattr(
        "skcnn.network.lower", lambda layers, shapes: tuple(Step(layer, layer, i) for i, layer in enumerate(layers))
    )
    plain = built(layers)
    assert [step.layer for step in plain.steps] == layers
    for one, other in zip(swapped, results(plain), strict=True):
        np.testing.assert_array_equal(one, other)


def lowered(layers):
    return lower(layers, [(8, 8, 2)] * len(layers))


def test_every_step_knows_where_its_layer_stands():
    layers = [ReLU(), ReLU(), MaxPool2D(2), MaxPool2D(2), ReLU()]
    assert [step.source for step in lowered(layers)] == [0, 2, 3, 1, 4]
    assert all(step.layer == layers[step.source] for step in lowered(layers))


@pytest.mark.parametrize("layers", [[Tanh(), MaxPool2D(2)], [ReLU(), AvgPool2D(2)], [LeakyReLU(), MaxPool2D(2)]])
def test_other_layers_stay_where_they_are(layers):
    assert [step.layer for step in lowered(layers)] == layers


def test_a_subclass_stays_where_it_is():
    class Twice(ReLU):
        def forward(self, params, x, *, train=False, rng=None):
            out, cache = super().forward(params, x, train=train, rng=rng)
            return 2 * out, cache

        def backward(self, params, cache, d_out, *, need_d_x=True):
            return super().backward(params, cache, 2 * d_out, need_d_x=need_d_x)

    assert lowered([Twice(), MaxPool2D(2)])[0].layer == Twice()


def test_steps_are_not_pickled_but_made_again():
    network = built([Conv2D(3), ReLU(), MaxPool2D(2), Flatten(), Dense(3)])
    assert Step.__name__.encode() not in pickle.dumps(network)
    assert pickle.loads(pickle.dumps(network)).steps == network.steps
