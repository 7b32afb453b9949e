"""Every layer of the table, alone, in onnxruntime."""

import numpy as np
import pytest

import skcnn.layers
from skcnn.layers import PREDICT, Conv2D, Layer, ReLU, Residual, Sequential
from skcnn.onnx.graph import Graph
from skcnn.onnx.proto import TensorType, to_proto
from skcnn.onnx.rules import RULES, Fitted, add_layer
from tests.layers.own import Noise
from tests.layers.table import every_layer, made
from tests.onnx.helpers import BATCHES, session

pytest.importorskip("onnxruntime")
FLOAT32 = np.dtype(np.float32)


def random_state(layer, in_shape, dtype):
    """Return a state with positive random numbers, in the form that the layer's state has."""
    rng = np.random.default_rng(1)

    def drawn(tree):
        return {
            name: drawn(value) if isinstance(value, dict) else rng.uniform(0.5, 1.5, value.shape).astype(value.dtype)
            for name, value in tree.items()
        }

    return drawn(layer.initial_state(in_shape, dtype))


def alone(layer, fitted):
    """Return a model of one layer."""
    graph = Graph()
    out = graph.add("Identity", add_layer(graph, layer, "X", fitted))
    out_shape = layer.out_shape(fitted.in_shape)
    return to_proto(graph, TensorType(FLOAT32, fitted.in_shape), {out: TensorType(FLOAT32, out_shape)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_layer
def test_a_rule_computes_what_forward_does(layer, in_shape, dtype):
    params, x, _ = made(layer, in_shape, dtype, n=max(BATCHES))
    state = random_state(layer, in_shape, dtype)
    model = session(alone(layer, Fitted(params, state, in_shape)))
    for n in BATCHES:
        expected = layer.apply(params, x[:n], PREDICT._replace(state=state))
        (found,) = model.run(None, {"X": x[:n].astype(np.float32)})
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@every_layer
def test_the_reference_evaluator_agrees(layer, in_shape):
    """Where onnxruntime is not installed, `to_onnx` compares with this evaluator."""
    from onnx.reference import ReferenceEvaluator

    params, x, _ = made(layer, in_shape, np.float32)
    state = random_state(layer, in_shape, np.float32)
    (found,) = ReferenceEvaluator(alone(layer, Fitted(params, state, in_shape))).run(None, {"X": x})
    np.testing.assert_allclose(found, layer.apply(params, x, PREDICT._replace(state=state)), rtol=1e-5, atol=1e-5)


def test_all_layers_have_rules():
    public = [getattr(skcnn.layers, name) for name in skcnn.layers.__all__]
    assert set(RULES) == {layer for layer in public if isinstance(layer, type) and issubclass(layer, Layer)} - {Layer}


@pytest.mark.parametrize(
    ("chain", "operators"),
    [
        ([Conv2D(2), ReLU(), Conv2D(3)], ["Transpose", "Conv", "Relu", "Conv", "Transpose", "Identity"]),
        (
            [Conv2D(2), Residual([Conv2D(2), ReLU()])],
            ["Transpose", "Conv", "Conv", "Relu", "Add", "Transpose", "Identity"],
        ),
        ([ReLU(), Conv2D(2)], ["Relu", "Transpose", "Conv", "Transpose", "Identity"]),
    ],
)
def test_layers_do_not_transpose_back_and_forth(chain, operators):
    layer = Sequential(chain)
    params, _, _ = made(layer, (5, 4, 2), np.float32)
    assert [node.op_type for node in alone(layer, Fitted(params, {}, (5, 4, 2))).graph.node] == operators


def test_names_say_which_layer_an_operator_belongs_to():
    layer = Residual([Conv2D(3), Sequential([ReLU(), ReLU()])])
    params, _, _ = made(layer, (5, 4, 2), np.float32)
    names = [node.name for node in alone(layer, Fitted(params, {}, (5, 4, 2))).graph.node]
    assert {"projection/Conv", "0_Conv2D/Conv", "1_Sequential/0_ReLU/Relu", "1_Sequential/1_ReLU/Relu"} <= set(names)
    assert len(set(names)) == len(names)


class Warm(ReLU):
    """A subclass may compute anything, so it has no rule."""


@pytest.mark.parametrize("layer", [Noise(), Warm()])
def test_a_layer_without_a_rule(layer):
    name = type(layer).__name__
    message = rf"^layers\[1\] {name}\(\): ONNX export has no rule for this layer. Give {name} a method to_onnx\(self, "
    with pytest.raises(NotImplementedError, match=message):
        add_layer(Graph(), Sequential([ReLU(), layer]), "X", Fitted({}, {}, (4,)))


class Forgetful(ReLU):
    def to_onnx(self, graph, x, fitted):
        graph.add("Relu", x)


def test_a_rule_returns_a_name():
    message = r"^layers\[0\] Forgetful\(\): to_onnx must return the name of the output, as graph.add does, got None$"
    with pytest.raises(TypeError, match=message):
        add_layer(Graph(), Sequential([Forgetful()]), "X", Fitted({}, {}, (4,)))
