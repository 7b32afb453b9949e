"""How each layer becomes operators of ONNX: one rule per layer.

A rule does what the layer's `forward` does in prediction. It takes the name of the layer's input, adds operators to the
graph, and returns the name of the output. A layer of your own has its rule as a method, `to_onnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import Any, NamedTuple

from skcnn._functions import name_error
from skcnn._values import pair
from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    SpatialDropout2D,
    Tanh,
)
from skcnn.layers.base import Params, Shape
from skcnn.layers.conv import pad_width_for
from skcnn.layers.residual import projection_for
from skcnn.onnx.graph import Graph

__all__ = ["Fitted", "add_layer"]


class Fitted(NamedTuple):
    """What a rule receives of a fitted layer. Read its fields by name: more may be added later.

    Attributes
    ----------
    params : dict
        The layer's parameters, as in `forward`, but never prepared.
    state : dict
        The layer's state. Empty for most layers.
    in_shape : tuple of int
        The shape of one input, without the batch axis: (h, w, c) or (p,).
    """

    params: Params
    state: Params
    in_shape: Shape


def add_layer(graph: Graph, layer: Layer, x: str, fitted: Fitted) -> str:
    """Add the operators of a layer to a graph.

    A rule of your own can call it for the layers that it contains.

    Parameters
    ----------
    graph : Graph
    layer : Layer
        A layer of `skcnn.layers`, or one that has a method ``to_onnx(self, graph, x, fitted)``.
    x : str
        The name of its input, (n,) + in_shape.
    fitted : Fitted

    Returns
    -------
    out : str
        The name of its output, (n,) + out_shape.

    Raises
    ------
    NotImplementedError
        If there is no rule for the layer.
    """
    rule: Callable[..., Any] | None = getattr(layer, "to_onnx", None)
    if rule is None and type(layer) in RULES:  # the type must match exactly: a subclass may compute anything
        rule = partial(RULES[type(layer)], layer)
    if rule is None:
        raise NotImplementedError(
            f"ONNX export has no rule for this layer. Give {type(layer).__name__} a method to_onnx(self, graph, x, "
            "fitted) that adds operators to the graph and returns the name of the output, such as: "
            "return graph.add('Relu', x). See skcnn.onnx.add_layer"
        )
    out: Any = rule(graph, x, fitted)
    if not isinstance(out, str):
        raise TypeError(f"to_onnx must return the name of the output, as graph.add does, got {out!r}")
    return out


Rule = Callable[[Any, Graph, str, Fitted], str]


def _chain(layer: Sequential, graph: Graph, x: str, fitted: Fitted) -> str:
    shapes = layer.shapes(fitted.in_shape)
    for i, inner in enumerate(layer.layers):
        of_inner = Fitted(fitted.params.get(str(i), {}), fitted.state.get(str(i), {}), shapes[i])
        try:
            with graph.within(f"{i}_{type(inner).__name__}"):
                x = add_layer(graph, inner, x, of_inner)
        except Exception as error:
            name_error(error, f"layers[{i}] {inner!r}")
            raise
    return x


def _residual(layer: Residual, graph: Graph, x: str, fitted: Fitted) -> str:
    shortcut, out_shape = x, layer.out_shape(fitted.in_shape)
    if projection := projection_for(fitted.in_shape, out_shape):
        with graph.within("projection"):
            shortcut = _conv(projection, graph, x, Fitted(fitted.params["projection"], {}, fitted.in_shape))
    return graph.each("Add", _chain(layer, graph, x, fitted), shortcut)


def _conv(layer: Conv2D, graph: Graph, x: str, fitted: Fitted) -> str:
    W, b = fitted.params["W"].transpose(3, 2, 0, 1), fitted.params.get("b")
    size, stride = pair(layer.kernel_size), pair(layer.stride)
    (top, bottom), (left, right) = pad_width_for(layer.padding, size, stride, fitted.in_shape[:2])
    x, pads = graph.channels_first(x), (top, left, bottom, right)
    if layer.pad_value:  # the operator itself pads with zeros
        x = graph.add("Pad", x, (0, 0, top, left, 0, 0, bottom, right), float(layer.pad_value))
        pads = 0, 0, 0, 0
    bias = [b] if layer.bias is True else []
    out = graph.add("Conv", x, W, *bias, kernel_shape=size, strides=stride, pads=pads)
    if layer.bias == "position":
        out = graph.add("Add", out, fitted.params["b"].transpose(2, 0, 1))
    return graph.channels_last(out)


def _dense(layer: Dense, graph: Graph, x: str, fitted: Fitted) -> str:
    return graph.add("Gemm", x, *(fitted.params[name] for name in ("W", "b") if name in fitted.params))


def _flatten(layer: Flatten, graph: Graph, x: str, fitted: Fitted) -> str:
    return graph.add("Flatten", x, axis=1)


def _batch_norm(layer: BatchNorm, graph: Graph, x: str, fitted: Fitted) -> str:
    params, state = fitted.params, fitted.state
    constants = params["scale"], params["shift"], state["mean"], state["variance"]
    if len(fitted.in_shape) == 1:
        return graph.add("BatchNormalization", x, *constants, epsilon=layer.epsilon)
    out = graph.add("BatchNormalization", graph.channels_first(x), *constants, epsilon=layer.epsilon)
    return graph.channels_last(out)


def _pool(operator: str) -> Rule:
    def rule(layer: MaxPool2D | MinPool2D | AvgPool2D, graph: Graph, x: str, fitted: Fitted) -> str:
        size, stride = layer.windows()
        return graph.channels_last(graph.add(operator, graph.channels_first(x), kernel_shape=size, strides=stride))

    return rule


def _min_pool(layer: MinPool2D, graph: Graph, x: str, fitted: Fitted) -> str:
    return graph.each("Neg", _pool("MaxPool")(layer, graph, graph.each("Neg", x), fitted))


def _global_pool(operator: str) -> Rule:
    return lambda layer, graph, x, fitted: graph.add("Flatten", graph.add(operator, graph.channels_first(x)), axis=1)


def _each(operator: str) -> Rule:
    return lambda layer, graph, x, fitted: graph.each(operator, x)


def _gelu(layer: GELU, graph: Graph, x: str, fitted: Fitted) -> str:
    erf = graph.each("Erf", graph.each("Mul", x, sqrt(0.5)))
    return graph.each("Mul", graph.each("Mul", x, 0.5), graph.each("Add", erf, 1.0))


def _identity(layer: Layer, graph: Graph, x: str, fitted: Fitted) -> str:
    return x


RULES: dict[type[Layer], Rule] = {
    AvgPool2D: _pool("AveragePool"),
    BatchNorm: _batch_norm,
    Conv2D: _conv,
    Dense: _dense,
    Dropout: _identity,
    ELU: lambda layer, graph, x, fitted: graph.each("Elu", x, alpha=layer.alpha),
    Flatten: _flatten,
    GELU: _gelu,
    GlobalAvgPool2D: _global_pool("GlobalAveragePool"),
    GlobalMaxPool2D: _global_pool("GlobalMaxPool"),
    LeakyReLU: lambda layer, graph, x, fitted: graph.each("LeakyRelu", x, alpha=layer.negative_slope),
    MaxPool2D: _pool("MaxPool"),
    MinPool2D: _min_pool,
    ReLU: _each("Relu"),
    Residual: _residual,
    Sequential: _chain,
    Sigmoid: _each("Sigmoid"),
    SiLU: lambda layer, graph, x, fitted: graph.each("Mul", x, graph.each("Sigmoid", x)),
    Softmax: lambda layer, graph, x, fitted: graph.add("Softmax", x, axis=-1),
    SpatialDropout2D: _identity,
    Tanh: _each("Tanh"),
}
