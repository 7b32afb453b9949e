"""Chains of layers that are layers themselves."""

from itertools import pairwise

import numpy as np
import pytest

from skcnn.layers import (
    PREDICT,
    TRAIN,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from skcnn.layers.base import alone
from tests.layers.table import made

BLOCK = [Conv2D(3, stride=2), Tanh(), Residual([Conv2D(3)]), MaxPool2D((2, 1)), Flatten(), Dense(4)]


@pytest.mark.parametrize("layers", [[], "conv", [ReLU], Conv2D(2), None, iter([ReLU()]), {ReLU()}])
def test_a_sequential_needs_layers(layers):
    with pytest.raises(ValueError, match="Sequential: layers must be a sequence of at least one layer, got"):
        Sequential(layers)


def test_a_list_of_layers_becomes_a_tuple_and_may_change_later():
    layers = [ReLU(), Flatten()]
    chain = Sequential(layers)
    layers.append(Dense(2))
    assert chain.layers == (ReLU(), Flatten())
    assert chain == Sequential((ReLU(), Flatten()))


def test_a_sequential_is_one_layer_after_the_other():
    chain = Sequential(BLOCK)
    params, x, d_out = made(chain, (7, 6, 2))
    assert params.keys() == {"0", "2", "5"}
    inputs = [x]
    for index, layer in enumerate(BLOCK):
        inputs.append(layer.apply(params.get(str(index), {}), inputs[-1]))
    np.testing.assert_array_equal(chain.apply(params, x), inputs[-1])

    d_x, grads = chain.gradient(params, x, d_out)
    d_next = d_out
    for index, layer in reversed(list(enumerate(BLOCK))):
        d_next, expected = layer.gradient(params.get(str(index), {}), inputs[index], d_next)
        np.testing.assert_equal(grads.get(str(index), {}), expected)
    np.testing.assert_array_equal(d_x, d_next)


def test_a_sequential_draws_the_parameters_of_its_layers_in_their_order():
    params = Sequential(BLOCK).init((7, 6, 2), np.random.default_rng(0), np.float32)
    rng = np.random.default_rng(0)
    shapes = Sequential(BLOCK).shapes((7, 6, 2))
    for index, (layer, in_shape) in enumerate(zip(BLOCK, shapes, strict=False)):
        np.testing.assert_equal(params.get(str(index), {}), layer.init(in_shape, rng, np.float32))


def test_a_sequential_sees_and_computes_what_its_layers_do():
    shapes = Sequential(BLOCK).shapes((7, 6, 2))
    assert shapes == [(7, 6, 2), (4, 3, 3), (4, 3, 3), (4, 3, 3), (2, 3, 3), (18,), (4,)]
    each = [layer.multiply_adds(*both) for layer, both in zip(BLOCK, pairwise(shapes), strict=True)]
    assert Sequential(BLOCK).multiply_adds((7, 6, 2), (4,)) == sum(each) > 0
    assert Sequential(BLOCK).window((7, 6, 2)) is None
    # a step of the second convolution is 2 pixels, and one of the pool's rows another 2
    assert Sequential(BLOCK[:4]).window((7, 6, 2)) == ((9, 7), (4, 2))
    assert Sequential([ReLU()]).window((7, 6, 2)) == ((1, 1), (1, 1))
    assert Sequential([GlobalAvgPool2D(), ReLU()]).window((7, 6, 2)) is None


@pytest.mark.parametrize(
    ("layers", "draws", "depends_on_batch"),
    [
        ([Conv2D(2), ReLU()], False, False),
        ([Conv2D(2), Dropout()], True, False),
        ([BatchNorm(), ReLU()], False, True),
        ([Residual([ReLU(), Dropout()]), Sequential([Sequential([BatchNorm()])])], True, True),
    ],
)
def test_a_sequential_draws_and_depends_on_the_batch_as_its_layers_do(layers, draws, depends_on_batch):
    for chain in (Sequential(layers), Residual(layers), Sequential([Residual([Sequential(layers)])])):
        assert (chain.draws, chain.depends_on_batch) == (draws, depends_on_batch)


def test_a_sequential_remembers_what_its_layers_do():
    chain = Sequential([ReLU(), Sequential([Conv2D(3), BatchNorm()]), Residual([BatchNorm()])])
    state = chain.initial_state((4, 4, 2), np.float32)
    assert {index: set(inner) for index, inner in state.items()} == {"1": {"1"}, "2": {"0"}}
    assert state["1"]["1"]["mean"].shape == (3,)
    assert Sequential([ReLU(), Conv2D(3)]).initial_state((4, 4, 2), np.float32) == {}


@pytest.mark.parametrize("block", [Sequential, Residual])
def test_a_block_passes_its_state_on_to_its_layers(block):
    chain = block([Tanh(), block([BatchNorm(), ReLU()]), BatchNorm()])
    params, x, _ = made(chain, (4, 4, 2))
    context = TRAIN._replace(state=chain.initial_state((4, 4, 2), np.float64), n_samples=3)
    _, cache = alone(chain.forward(chain.prepare(params, (4, 4, 2), context), x, context))
    state = chain.next_state(context.state, cache)
    inner = np.tanh(x)
    outer = block([BatchNorm(), ReLU()]).apply(params["1"], inner, TRAIN)
    for mean, of_inputs in [(state["1"]["0"]["mean"], inner), (state["2"]["mean"], outer)]:
        np.testing.assert_allclose(mean, 0.1 * of_inputs.mean(axis=(0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize(
    ("layers", "in_shape", "text"),
    [
        ([Conv2D(2), Dense(3)], (4, 4, 1), r"^layers\[1\] Dense\(n_units=3\): needs rows, got feature maps"),
        ([Flatten(), AvgPool2D()], (4, 4, 1), r"^layers\[1\] AvgPool2D\(pool_size=2\): needs feature maps"),
        (
            [ReLU(), Sequential([Flatten(), Residual([Conv2D(1)])])],
            (4, 4, 1),
            r"^layers\[1\] Sequential\(.*\)\): layers\[1\] Residual\(.*\)\): layers\[0\] Conv2D\(.*\): needs feature ",
        ),
    ],
)
def test_a_layer_of_a_sequential_that_does_not_fit_is_named(layers, in_shape, text):
    with pytest.raises(ValueError, match=text):
        Sequential(layers).out_shape(in_shape)
    with pytest.raises(ValueError, match=text):
        Sequential(layers).init(in_shape, np.random.default_rng(0), np.float64)


def test_a_prepared_sequential_refuses_inputs_of_another_shape():
    chain = Sequential([Conv2D(2), ReLU()])
    params = chain.init((4, 4, 1), np.random.default_rng(0), np.float64)
    prepared = chain.prepare(params, (4, 4, 1), PREDICT)
    with pytest.raises(ValueError, match=r"input has the shape \(3, 5, 4, 1\), needed \(3, 4, 4, 1\)"):
        chain.forward(prepared, np.zeros((3, 5, 4, 1)))
