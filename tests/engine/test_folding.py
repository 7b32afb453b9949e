"""Normalisations are folded into the layers before them, and the predictions stay the same."""

from dataclasses import dataclass

import numpy as np
import pytest

from skcnn._engine.lowering import lower
from skcnn._trees import leaves
from skcnn.layers import (
    BatchNorm,
    Context,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
)
from skcnn.network import Network

BLOCK = [Conv2D(4, bias=False), BatchNorm(), ReLU(), Conv2D(4), BatchNorm()]
STACKS = {
    "plain": [Conv2D(3, bias=False), BatchNorm(), ReLU(), MaxPool2D(), Flatten(), Dense(4, bias=False), BatchNorm()],
    "biases": [Conv2D(3), BatchNorm(), LeakyReLU(), Conv2D(2, bias="position", pad_value=0.5), BatchNorm(), Flatten()],
    "residual": [Conv2D(4), Residual(BLOCK), ReLU(), Residual([Conv2D(6, stride=2), BatchNorm()]), Flatten()],
    "nested": [Residual([Residual(BLOCK), BatchNorm()]), Flatten(), Dense(3), BatchNorm()],
    "sequential": [
        Sequential(BLOCK),
        Residual([Sequential(BLOCK), ReLU()]),
        Flatten(),
        Sequential([Dense(3), BatchNorm()]),
    ],
    "not behind one": [BatchNorm(), Conv2D(3), ReLU(), BatchNorm(), MaxPool2D(), Dropout(0.5), Flatten()],
}


@dataclass(frozen=True, repr=False)
class OtherNorm(BatchNorm):
    """A subclass may compute anything, so it is not folded."""


def trained(layers, dtype):
    """Build a network whose parameters and states have values that training could give them."""
    rng = np.random.default_rng(0)
    network = Network.build(layers, (6, 5, 2), rng, dtype)
    for path, array in leaves([network.params, network.states]):
        array[...] = rng.uniform(0.2, 2, array.shape) if path.endswith("variance") else rng.normal(size=array.shape)
    return network, rng.normal(size=(7, 6, 5, 2)).astype(dtype)


def by_layers(network, x):
    """Compute one layer after the other, without folding."""
    for layer, params, state in zip(network.layers, network.params, network.states, strict=True):
        x = layer.apply(params, x, Context(state=state))
    return x


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("name", STACKS)
def test_folded_predictions_are_the_layers_own(name, dtype, tolerance):
    network, x = trained(STACKS[name], dtype)
    expected = by_layers(network, x)
    out = network.predict(x)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def count_norms(chain):
    """How often a chain normalises, as it is computed."""
    layers = [operation.layer for operation in chain.operations]
    inside = (count_norms(layer) for layer in layers if isinstance(layer, Sequential))
    return sum(isinstance(layer, BatchNorm) for layer in layers) + sum(inside)


@pytest.mark.parametrize("name", STACKS)
def test_nothing_is_normalised_that_was_folded(name):
    left = {"not behind one": 2, "nested": 1}.get(name, 0)  # a sum of two ways has no layer that could take it
    assert count_norms(lower(Sequential(STACKS[name]), (6, 5, 2), train=False)) == left
    in_training = lower(Sequential(STACKS[name]), (6, 5, 2), train=True)
    assert count_norms(in_training) == count_norms(Sequential(STACKS[name])) >= left


def test_a_variance_of_zero_and_a_large_mean_are_no_worse_than_unfolded():
    network, x = trained([Conv2D(3), BatchNorm(), Flatten()], np.float32)
    network.params[0]["b"][:] = 1e4
    network.states[1] = {"mean": np.full(3, 1e4, np.float32), "variance": np.array([0, 1e-12, 1], np.float32)}
    exact, _ = trained([Conv2D(3), BatchNorm(), Flatten()], np.float64)
    for (_, array), (_, of) in zip(leaves(exact.params), leaves(network.params), strict=True):
        array[...] = of
    exact.states[1] = {key: value.astype(np.float64) for key, value in network.states[1].items()}
    reference = exact.predict(x.astype(np.float64))
    errors = [np.abs(out - reference).max() for out in (network.predict(x), by_layers(network, x))]
    assert errors[0] <= 2 * errors[1]


def test_folding_follows_the_weights():
    network, x = trained(STACKS["plain"], np.float64)
    before = network.predict(x)
    network.params[1]["shift"] += 1.0
    assert not np.allclose(network.predict(x), before)
    np.testing.assert_allclose(network.predict(x), by_layers(network, x), atol=1e-10)


@pytest.mark.parametrize("layers", [[Conv2D(2), OtherNorm(), Flatten()], [Flatten(), Dense(2), Layer(), BatchNorm()]])
def test_what_is_not_known_is_left_alone(layers):
    operations = lower(Sequential(layers), (6, 5, 2), train=False).operations
    assert [operation.layer for operation in operations] == layers
    network, x = trained(layers, np.float64)
    np.testing.assert_allclose(network.predict(x), by_layers(network, x), atol=1e-12)
