"""Every layer of the table, in chains that are lowered, computes what it computes by itself."""

import numpy as np
import pytest

from skcnn._engine.folding import Folded
from skcnn._engine.lowering import LoweredChain, RectifiedPool, lower
from skcnn._trees import leaves
from skcnn.layers import BatchNorm, Context, Conv2D, Dense, Flatten, LeakyReLU, MaxPool2D, ReLU, Residual, Sequential
from skcnn.layers.base import alone
from tests.layers.table import LAYERS, made, training

BLOCK = [ReLU(), MaxPool2D(), Conv2D(3), BatchNorm(), ReLU(), Conv2D(2), BatchNorm()]


def between(layer):
    """A ReLU before, which may go behind a pool, and a normalisation behind, which may be folded into the layer."""
    return [ReLU(), layer, BatchNorm()]


def nested(layer):
    return Sequential([Sequential(between(layer)), LeakyReLU()])


CHAINS = [
    *(pytest.param(Sequential(between(row.values[0])), row.values[1], id=row.id) for row in LAYERS),
    *(
        pytest.param(
            Sequential([Sequential(between(row.values[0])), LeakyReLU()]), row.values[1], id=f"{row.id}-nested"
        )
        for row in LAYERS
    ),
    pytest.param(Sequential(BLOCK), (6, 5, 2), id="block"),
    pytest.param(Residual(BLOCK), (6, 5, 2), id="residual-block"),
    pytest.param(Sequential([Residual(BLOCK), ReLU(), Residual(BLOCK)]), (8, 6, 2), id="residual-blocks"),
    pytest.param(Residual([Sequential(BLOCK), BatchNorm(), Residual(BLOCK)]), (8, 6, 2), id="residual-in-residual"),
    pytest.param(
        Sequential([Sequential(BLOCK), Sequential([Residual([Sequential(BLOCK)]), Flatten(), Dense(3), BatchNorm()])]),
        (8, 6, 2),
        id="sequential-in-sequential",
    ),
]
every_chain = pytest.mark.parametrize(("chain", "in_shape"), CHAINS)
in_both_uses = pytest.mark.parametrize("train", [True, False], ids=["training", "prediction"])


def lowered_inside(chain):
    """A lowered chain and all that are inside it."""
    yield chain
    for operation in chain.operations:
        if isinstance(operation.layer, Sequential):
            yield from lowered_inside(operation.layer)


@every_chain
@in_both_uses
def test_operations_stand_for_every_layer_once_and_in_order(chain, in_shape, train):
    for lowered in lowered_inside(lower(chain, in_shape, train=train)):
        assert isinstance(lowered, LoweredChain)
        sources = [source for operation in lowered.operations for source in operation.sources]
        assert sources == [str(index) for index in range(len(lowered.layers))]
        shapes = Sequential(lowered.layers).shapes(lowered.known_shapes[0])
        behind = [int(operation.sources[-1]) + 1 for operation in lowered.operations]
        assert list(lowered.known_shapes) == [shapes[0], *(shapes[index] for index in behind)]


def joined(chain, kind):
    inside = (operation.layer for lowered in lowered_inside(chain) for operation in lowered.operations)
    return sum(isinstance(layer, kind) for layer in inside)


def test_what_can_be_joined_is_joined_in_nested_chains_too():
    chain, in_shape = Sequential([Residual([Sequential(BLOCK)]), Sequential([ReLU(), MaxPool2D(1)])]), (6, 5, 2)
    training_chain, predicting = (lower(chain, in_shape, train=train) for train in (True, False))
    assert (joined(training_chain, RectifiedPool), joined(training_chain, Folded)) == (2, 0)
    assert (joined(predicting, RectifiedPool), joined(predicting, Folded)) == (2, 2)


def step(chain, params, state, x, d_out):
    """Everything that a training step computes: output, gradients and new state."""
    context = training()._replace(state=state, n_samples=len(x))
    prepared = chain.prepare(params, x.shape[1:], context)
    out, cache = run(chain, chain.forward(prepared, x, context))
    new_state = chain.next_state(state, cache)
    d_x, d_prepared = run(chain, chain.backward(prepared, cache, d_out, context))
    return {"out": out, "d_x": d_x, "grads": chain.gradients(prepared, d_prepared), "state": new_state}


def run(chain, result):
    return alone(result) if chain.depends_on_batch else result


@every_chain
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_step_gives_the_same_bits(chain, in_shape, dtype):
    params, x, d_out = made(chain, in_shape, dtype)
    state = chain.initial_state(in_shape, dtype)
    expected = step(chain, params, state, x, d_out)
    np.testing.assert_equal(step(lower(chain, in_shape, train=True), params, state, x, d_out), expected)


@every_chain
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_a_prediction_is_the_same_but_for_its_last_digits(chain, in_shape, dtype, tolerance):
    params, x, _ = made(chain, in_shape, dtype)
    state, rng = chain.initial_state(in_shape, dtype), np.random.default_rng(1)
    for path, array in leaves(state):
        array[...] = rng.uniform(0.5, 2, array.shape) if path.endswith("variance") else rng.normal(size=array.shape)
    context = Context(state=state)
    expected = chain.apply(params, x, context)
    out = lower(chain, in_shape, train=False).apply(params, x, context)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * max(1, np.abs(expected).max()))
