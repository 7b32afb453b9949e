"""Network: layers put together, forwards and backwards."""

import pickle
import re
from dataclasses import dataclass

import numpy as np
import pytest

from skcnn._engine.sharding import cut, samples_per_shard
from skcnn._trees import leaves
from skcnn.layers import (
    PREDICT,
    TRAIN,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Sequential,
)
from skcnn.layers.base import alone
from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD
from tests.layers.reference import numeric_gradient, relative_error

STACK = (Conv2D(3, stride=2, pad_value=0.5), ReLU(), MaxPool2D(2, stride=1), Flatten(), Dense(5), ReLU())


def built(layers, in_shape=(5, 6, 2), dtype=np.float64):
    """Build a network whose biases are not 0."""
    rng = np.random.default_rng(1)
    network = Network.build(layers, in_shape, rng, dtype)
    for _, array in leaves(network.params):
        array += 0.1 * rng.normal(size=array.shape)
    return network


def batch(network, n=4):
    return np.random.default_rng(2).normal(size=(n, *network.shapes[0])).astype(network.dtype)


def gradients(network, x, d_out_of):
    """The gradients of a training pass of the whole batch, given a function from its output to their gradient."""
    passes = network.passes(train=True)
    context = passes.context(len(x))
    out, caches = alone(passes.forward(x, context))
    return passes.gradients(alone(passes.backward(caches, d_out_of(out), context)))


def lock(*arrays):
    for array in arrays:
        array.flags.writeable = False


@pytest.mark.parametrize(
    ("index", "layers", "text"),
    [
        (0, [Dense(3)], "Dense(n_units=3): needs rows, got feature maps of shape (4, 4, 1)"),
        (
            3,
            [Conv2D(2), ReLU(), MaxPool2D(), Conv2D(2, kernel_size=5, padding="valid")],
            "Conv2D(n_kernels=2, kernel_size=5, padding='valid'): kernel 5x5 does not fit the 2x2 feature map",
        ),
        (
            2,
            [Conv2D(2), Flatten(), MaxPool2D()],
            "MaxPool2D(pool_size=2): needs feature maps (h, w, c), got rows of shape (32,)",
        ),
    ],
)
def test_build_names_the_layer_that_does_not_fit(index, layers, text):
    with pytest.raises(ValueError, match="^" + re.escape(f"layers[{index}] {text}")):
        Network.build(layers, (4, 4, 1), np.random.default_rng(0), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32"])
def test_build_draws_for_every_layer_in_its_turn(dtype):
    network = Network.build(iter(STACK), (5, 6, 2), np.random.default_rng(0), dtype)
    assert network.layers == STACK
    assert network.shapes == ((5, 6, 2), (3, 3, 3), (3, 3, 3), (2, 2, 3), (12,), (5,), (5,))
    assert [sorted(params) for params in network.params] == [["W", "b"], [], [], [], ["W", "b"], []]
    assert network.states == [{}] * len(STACK)
    assert {array.dtype for _, array in leaves(network.params)} == {network.dtype} == {np.dtype(dtype)}
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(network.params[0]["W"], STACK[0].init((5, 6, 2), rng, dtype)["W"])
    np.testing.assert_array_equal(network.params[4]["W"], STACK[4].init((12,), rng, dtype)["W"])


def test_predict_is_one_layer_after_the_other():
    network = built(STACK)
    x = out = batch(network)
    for layer, params in zip(network.layers, network.params, strict=True):
        out = layer.apply(params, out)
    np.testing.assert_array_equal(network.predict(x), out)
    passes = network.passes(train=True)
    trained, caches = alone(passes.forward(x, passes.context(len(x))))
    np.testing.assert_array_equal(trained, out)
    assert passes.next_states(caches) == network.states


def test_summary_counts_what_can_be_counted_by_hand():
    layers = [
        Conv2D(2, stride=2, padding="valid"),  # 3x3x1x2 weights at 4x3 positions; a step is 2 pixels from here on
        ReLU(),
        MaxPool2D((2, 1), stride=1),  # sees one step, of 2 pixels, more: 5 rows
        Conv2D(3, kernel_size=2, padding="valid", bias=False),  # one step more again: 7x5
        Flatten(),
        Dense(4),
    ]
    network = Network.build(layers, (9, 7, 1), np.random.default_rng(0), np.float32)
    name = "Conv2D(n_kernels=3, kernel_size=2, padding='valid', bias=False)"
    expected = [
        ("layer", "output", "parameters", "receptive field", "multiply-adds"),
        ("input", "9x7x1", 0, "1x1", 0),
        ("Conv2D(n_kernels=2, kernel_size=3, stride=2, padding='valid')", "4x3x2", 9 * 2 + 2, "3x3", 9 * 2 * 4 * 3),
        ("ReLU()", "4x3x2", 0, "3x3", 0),
        ("MaxPool2D(pool_size=(2, 1), stride=1)", "3x3x2", 0, "5x3", 0),
        (name, "2x2x3", 4 * 2 * 3, "7x5", 4 * 2 * 3 * 2 * 2),
        ("Flatten()", "12", 0, "7x5", 0),
        ("Dense(n_units=4)", "4", 12 * 4 + 4, "all", 12 * 4),
        ("total", "", 96, "", 216 + 96 + 48),
    ]
    found = [[cell for cell in re.split(r"\s{2,}", line) if cell] for line in network.summary().splitlines()]
    assert found == [[str(cell) for cell in row if cell != ""] for row in expected]
    assert network.n_params == 96


def test_summary_groups_thousands_and_lines_columns_up():
    layers = [Conv2D(100), GlobalAvgPool2D(), Dense(50)]
    network = Network.build(layers, (20, 30, 3), np.random.default_rng(0), np.float32)
    lines = network.summary().splitlines()
    assert lines[2].split()[-4:] == ["20x30x100", "2,800", "3x3", "1,620,000"]
    assert lines[3].split()[-4:] == ["100", "0", "all", "0"]
    assert lines[-1].split() == ["total", "7,850", "1,625,000"]
    assert len({len(line) for line in lines}) == 1
    assert network.n_params == 2800 + 5050


def test_a_copy_is_independent_and_writable():
    network = built(STACK)
    lock(*(array for _, array in leaves(network.params)))
    own = network.copy()
    before = pickle.dumps(network.params)
    for (path, array), (own_path, own_array) in zip(leaves(network.params), leaves(own.params), strict=True):
        assert path == own_path
        assert not np.shares_memory(array, own_array)
        np.testing.assert_array_equal(array, own_array)
        assert array.dtype == own_array.dtype
        own_array += 1
    assert pickle.dumps(network.params) == before
    assert (own.layers, own.shapes, own.dtype) == (network.layers, network.shapes, network.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predict_writes_nothing(dtype):
    network = built([*STACK, Dense(3)], dtype=dtype)
    x = batch(network)
    expected = network.predict(x.copy())
    lock(x, *(array for _, array in leaves(network.params)))
    before = pickle.dumps(network)
    out = network.predict(x)
    assert pickle.dumps(network) == before
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SigmoidCrossEntropy()], ids=repr)
@pytest.mark.parametrize("weight", [None, np.array([0.5, 2.0, 0.0, 1.0])], ids=["equal", "weighted"])
@pytest.mark.parametrize("first", [(), (LeakyReLU(), MaxPool2D((1, 2), stride=1))], ids=["conv-first", "conv-third"])
def test_gradients_of_the_whole_network_are_those_of_central_differences(loss, weight, first):
    n_classes = 3 if isinstance(loss, SoftmaxCrossEntropy) else 2
    network = built([*first, *STACK, Dense(3 if n_classes == 3 else 1)])
    x, y = batch(network), np.array([0, 1, n_classes - 1, 0])

    def value():
        return loss(network.predict(x), y, weight)[0].sum()

    grads = gradients(network, x, lambda logits: loss(logits, y, weight)[1])
    for (path, array), (grad_path, grad) in zip(leaves(network.params), leaves(grads), strict=True):
        assert path == grad_path
        assert relative_error(grad, numeric_gradient(value, array, step=1e-6)) < 1e-6, path


def test_a_network_without_parameters_has_no_gradients():
    network = Network.build([ReLU(), GlobalAvgPool2D()], (4, 4, 2), np.random.default_rng(0), np.float64)
    assert gradients(network, batch(network), np.ones_like) == [{}, {}]
    assert network.n_params == 0


def test_it_learns_on_its_own():
    """Network, loss and optimizer are enough for training, without an estimator."""
    rng = np.random.default_rng(0)
    network = Network.build([Conv2D(4), ReLU(), Flatten(), Dense(1)], (6, 6, 1), rng, np.float32)
    x = rng.normal(size=(40, 6, 6, 1)).astype(np.float32)
    y = (x[:, :3].sum(axis=(1, 2, 3)) > x[:, 3:].sum(axis=(1, 2, 3))).astype(int)
    loss, sgd = SigmoidCrossEntropy(), SGD()
    weights = [array for _, array in leaves(network.params)]
    state = sgd.init(weights)
    for _ in range(60):
        grads = gradients(network, x, lambda logits: loss(logits, y)[1] / np.float32(len(x)))
        sgd.step(weights, [grad for _, grad in leaves(grads)], state, learning_rate=0.05)
    np.testing.assert_array_equal(loss.decide(network.predict(x)), y)


def test_no_images_give_no_outputs():
    network = Network.build(
        [Conv2D(2), ReLU(), MaxPool2D(), Flatten(), Dense(3)], (6, 5, 1), np.random.default_rng(0), np.float64
    )
    assert network.predict(np.zeros((0, 6, 5, 1))).shape == (0, 3)


def test_feature_maps_of_another_size_are_refused():
    network = Network.build([Conv2D(2), GlobalAvgPool2D()], (8, 8, 1), np.random.default_rng(0), np.float64)
    with pytest.raises(ValueError, match=r"the input has the shape \(1, 12, 12, 1\), needed \(1, 8, 8, 1\)"):
        network.predict(np.zeros((1, 12, 12, 1)))


@dataclass(frozen=True, repr=False)
class _Double(Layer):
    """Multiply by 2 * a, where 2 * a is computed once for all shards."""

    def init(self, in_shape, rng, dtype):
        return {"a": np.ones(in_shape, dtype)}

    def prepare(self, params, in_shape, context):
        return {"factor": 2 * params["a"]}

    def forward(self, params, x, context=PREDICT):
        return x * params["factor"], x if context.train else None

    def backward(self, params, cache, d_out, context=TRAIN):
        return d_out * params["factor"], (d_out * cache).sum(axis=0)  # a plain array is a tree too

    def gradients(self, params, d_prepared):
        return {"a": 2 * d_prepared}


def test_a_layer_may_prepare_its_parameters():
    rng = np.random.default_rng(0)
    x, d_out = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    network = Network.build([Dense(4), _Double()], (4,), np.random.default_rng(0), np.float64)
    a = network.params[1]["a"]
    a[:] = [1, 2, 3, 4]
    grads = gradients(network, x, lambda out: d_out)
    hidden = Dense(4).apply(network.params[0], x)
    np.testing.assert_array_equal(network.predict(x), hidden * (2 * a))
    np.testing.assert_array_equal(_Double().apply({"a": a}, hidden), hidden * (2 * a))
    np.testing.assert_array_equal(grads[1]["a"], 2 * (d_out * hidden).sum(axis=0))
    np.testing.assert_array_equal(_Double().gradient({"a": a}, hidden, d_out)[1]["a"], grads[1]["a"])
    np.testing.assert_array_equal(grads[0]["W"], Dense(4).gradient(network.params[0], x, d_out * (2 * a))[1]["W"])


def convolution_network(side, n_kernels):
    return Network.build([Conv2D(n_kernels), Flatten()], (side, side, 3), np.random.default_rng(0), np.float32)


@pytest.mark.parametrize(
    ("n_samples", "side", "n_kernels", "expected"),
    [
        (1, 28, 16, 1),
        (8, 28, 16, 8),  # a small batch is not worth cutting
        (64, 28, 16, 32),
        (128, 28, 16, 41),
        (128, 28, 32, 20),
        (16, 28, 64, 8),
        (64, 8, 16, 64),
        (10_000, 8, 16, 512),
        (64, 224, 16, 5),  # memory limits the rows
        (8, 1000, 16, 1),
    ],
)
def test_shards_are_large_enough_and_not_too_large(n_samples, side, n_kernels, expected):
    network = convolution_network(side, n_kernels)
    most = samples_per_shard(n_samples, *network._size)
    assert most == expected
    assert network.shards(n_samples) == network.shards(n_samples, train=True) == cut(n_samples, most)
    assert network.shards(n_samples, train=True, backend="numba") == network.shards(n_samples, train=True)
    assert len(network.shards(n_samples, backend="numba")) <= len(network.shards(n_samples))


def test_a_nested_chain_is_cut_into_the_same_shards_as_its_layers():
    layers = [Conv2D(64), ReLU(), MaxPool2D(), Conv2D(16), ReLU(), GlobalAvgPool2D(), Dense(3)]
    nested = [Sequential([*layers[:2], Sequential(layers[2:5])]), *layers[5:]]
    flat, chain = (
        Network.build(stack, (28, 28, 1), np.random.default_rng(0), np.float32) for stack in (layers, nested)
    )
    for train in (False, True):
        for n_samples in (1, 64, 500, 4000):
            assert chain.shards(n_samples, train=train) == flat.shards(n_samples, train=train)
