"""From a graph to the message of ONNX, which is what a file contains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skcnn._version import __version__
from skcnn.layers.base import Shape
from skcnn.onnx.graph import Graph
from skcnn.onnx.packages import import_onnx

__all__ = ["INPUT", "LABEL", "PROBABILITIES", "TensorType", "to_proto"]

INPUT, LABEL, PROBABILITIES = "X", "label", "probabilities"  # as in skl2onnx
OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes can read the model too


class TensorType(NamedTuple):
    """The type of a tensor: its dtype, object for strings, and its shape without the batch axis."""

    dtype: np.dtype[Any]
    shape: Shape


def to_proto(graph: Graph, input_type: TensorType, outputs: Mapping[str, TensorType]) -> Any:
    """Return the ``onnx.ModelProto`` of a graph whose input is "X". Raise an error of onnx if it is not valid."""
    onnx = import_onnx()
    helper = onnx.helper
    nodes, constants = graph.keep(outputs)
    graph_proto = helper.make_graph(
        [helper.make_node(n.operator, n.inputs, [n.name], n.name, **n.attributes) for n in nodes],
        "NumpyCNNClassifier",
        [_value_info(onnx, INPUT, input_type)],
        [_value_info(onnx, name, type_) for name, type_ in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(
        graph_proto,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="skcnn",
        producer_version=__version__,
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _value_info(onnx: Any, name: str, type_: TensorType) -> Any:
    code = onnx.helper.np_dtype_to_tensor_dtype(type_.dtype)
    return onnx.helper.make_tensor_value_info(name, code, ["n", *type_.shape])
