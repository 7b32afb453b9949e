"""The converter for skl2onnx, which converts pipelines and other estimators that contain the classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.classifier import NumpyCNNClassifier
from skcnn.layers.base import Shape
from skcnn.onnx.graph import Graph
from skcnn.onnx.packages import import_skl2onnx
from skcnn.onnx.translation import (
    CODES,
    add_images,
    add_label,
    add_network,
    add_probabilities,
    add_scores,
    image_shapes,
    labels_for,
)

__all__ = ["register_converter"]

NAME = "SkcnnNumpyCNNClassifier"
# those of skl2onnx for its own classifiers; calibration asks for raw scores
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register_converter() -> None:
    """Let skl2onnx convert pipelines with a `NumpyCNNClassifier`, and other estimators that contain one.

    Afterwards, ``skl2onnx.to_onnx(pipeline, X)`` works. By default, skl2onnx returns probabilities as a list of dicts;
    ``options={"zipmap": False}`` makes them an array. Unlike `to_onnx`, skl2onnx does not compare the predictions.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    The labels are integers or strings, because skl2onnx has no others. The probabilities are of float64 if the input of
    the classifier is, but they are computed in float32.
    """
    import_skl2onnx().update_registered_converter(NumpyCNNClassifier, NAME, _set_types, _convert, options=OPTIONS)


def _set_types(operator: Any) -> None:
    """Set the types of the outputs of an operator of skl2onnx."""
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    labels = _labels(operator.scope_inst, operator.raw_operator)
    n = operator.inputs[0].get_first_dimension()
    operator.outputs[0].set_type((StringTensorType if labels.dtype == object else Int64TensorType)([n]))
    operator.outputs[1].type.shape = [n, len(labels)]


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the classifier to the graph of skl2onnx."""
    from skl2onnx.common.data_types import guess_numpy_type

    model = operator.raw_operator._model
    x = operator.inputs[0]
    graph = Graph(scope.get_unique_operator_name(NAME) + "/")
    shape = _input_shape(x.type.shape, image_shapes(model.image_format))
    images = add_images(graph, model.image_format, x.full_name, shape, np.dtype(guess_numpy_type(x.type)))
    logits = add_network(graph, model.network, images)
    label, probabilities = operator.outputs
    scores = add_scores(graph, model, logits)
    add_label(graph, scores, _labels(scope, operator.raw_operator), label.full_name)
    if not container.get_options(operator.raw_operator, {"raw_scores": False})["raw_scores"]:
        scores = add_probabilities(graph, model, scores)
    code = CODES[np.dtype(guess_numpy_type(probabilities.type))]
    graph.add("Cast", scores, to=code, output=probabilities.full_name)
    _add_to(container, graph, [label.full_name, probabilities.full_name])


def _add_to(container: Any, graph: Graph, outputs: list[str]) -> None:
    from onnx import helper

    nodes, constants = graph.keep(outputs)
    for name, value in constants.items():
        container.add_initializer(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape, value.ravel())
    for node in nodes:
        container.add_node(node.operator, list(node.inputs), [node.name], name=node.name, **node.attributes)


def _labels(scope: Any, clf: NumpyCNNClassifier) -> NDArray[Any]:
    """Return the labels as skl2onnx has them: integers or strings. With the option "nocl", they are 0, 1, ..."""
    if scope.get_options(clf, {"nocl": False})["nocl"]:
        return np.arange(len(clf.classes_))
    labels = labels_for(clf.classes_)
    return labels if labels.dtype == object else labels.astype(np.int64)  # floats are whole numbers


def _input_shape(shape: list[Any], possible: list[Shape]) -> Shape:
    of_image = tuple(shape[1:])
    if of_image == (None,):  # the number of columns is not known
        return possible[-1]
    if of_image not in possible:
        raise ValueError(
            f"NumpyCNNClassifier was fitted on images of shape {possible[0]}, but its input in the ONNX model has the "
            f"shape {shape}"
        )
    return of_image
