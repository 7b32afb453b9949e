"""From a fitted model to operators of ONNX: its input and scaling, its layers, its labels and probabilities."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._estimator.images import ImageFormat
from skcnn._estimator.model import FittedModel
from skcnn.layers.base import Shape
from skcnn.network import Network
from skcnn.onnx.graph import Graph
from skcnn.onnx.rules import Fitted, add_layer

__all__ = [
    "CODES",
    "PRECISION",
    "add_images",
    "add_label",
    "add_network",
    "add_probabilities",
    "add_scores",
    "default_dtype",
    "image_shapes",
    "labels_for",
]

Array = NDArray[Any]
PRECISION = np.dtype(np.float32)  # of the layers, because onnxruntime has no convolution in float64
CODES = {np.dtype(np.float32): 1, np.dtype(np.float64): 11}  # of ONNX, see its TensorProto.DataType


def image_shapes(image_format: ImageFormat) -> list[Shape]:
    """Return the shapes that one image may have in the input, without the batch axis. The first is the default."""
    h, w, c = image_format.shape
    image = (h, w, c) if image_format.data_format == "channels_last" else (c, h, w)
    return [*([(h, w)] if c == 1 else []), image, (prod(image),)]


def default_dtype(model: FittedModel) -> np.dtype[Any]:
    """Return uint8 if the classifier was fitted on uint8 images, as far as one can tell, otherwise its own dtype."""
    # by default, only uint8 images have one scale for all channels
    of_uint8 = model.built_from["scaling"] == "auto" and isinstance(model.image_format.center, float)
    return np.dtype(np.uint8) if of_uint8 else model.image_format.dtype


def add_images(graph: Graph, image_format: ImageFormat, x: str, shape: Shape, dtype: np.dtype[Any]) -> str:
    """Add the scaling of images. Return the name of scaled images (n, h, w, c) of float32.

    Parameters
    ----------
    graph : Graph
    image_format : ImageFormat
    x : str
        The name of the input.
    shape : tuple of int
        The shape of one image in it.
    dtype : numpy.dtype
        The dtype of the input.
    """
    h, w, c = image_format.shape
    is_first = image_format.data_format == "channels_first" or c == 1  # of grey images, both orders are the same
    image_shape = (c, h, w) if is_first else (h, w, c)
    if shape != image_shape:
        x = graph.add("Reshape", x, (0, *image_shape))  # 0: as many as in the input
    center, width = image_format.scale_of(dtype)
    if dtype != center.dtype:
        x = graph.add("Cast", x, to=CODES[center.dtype])
    if np.any(center != 0) or np.any(width != 1):
        along = (-1, 1, 1) if is_first and center.ndim else center.shape
        x = graph.add("Sub", x, graph.constant("center", center.reshape(along)))
        x = graph.add("Div", x, graph.constant("width", width.reshape(along)))
    if center.dtype != PRECISION:
        x = graph.add("Cast", x, to=CODES[PRECISION])
    return graph.channels_last(x) if is_first else x


def add_network(graph: Graph, network: Network, images: str) -> str:
    """Add all layers. Return the name of the logits."""
    params, states = ({str(i): tree for i, tree in enumerate(trees)} for trees in (network.params, network.states))
    return add_layer(graph, network.chain, images, Fitted(params, states, network.shapes[0]))


def add_scores(graph: Graph, model: FittedModel, logits: str) -> str:
    """Return the name of a score for each class (n, n_classes): the logits. Those of two classes are -z and z."""
    return graph.add("Concat", graph.add("Neg", logits), logits, axis=1) if _is_binary(model) else logits


def add_probabilities(graph: Graph, model: FittedModel, scores: str, output: str | None = None) -> str:
    """Add the link function. Return the name of the probabilities (n, n_classes)."""
    if _is_binary(model):
        return graph.add("Sigmoid", scores, output=output)
    return graph.add("Softmax", scores, output=output, axis=1)


def add_label(graph: Graph, scores: str, labels: Array, output: str) -> None:
    """Add the decision, whose result (n,) is named `output`. The first one of equal scores wins."""
    # not the largest probability, because rounding can make probabilities equal
    winner = graph.add("ArgMax", scores, axis=1, keepdims=0)
    graph.add("Gather", graph.constant("classes", labels), winner, output=output)


def _is_binary(model: FittedModel) -> bool:
    return model.loss.out_activation == "logistic"


def labels_for(classes: Array) -> Array:
    """Return labels as ONNX can hold them: int64, bool or float as in `classes`, or str in an array of objects.

    Raises
    ------
    TypeError
        If ONNX has no such labels.
    """
    if classes.dtype.kind in "iu" and (not len(classes) or int(classes.max()) <= np.iinfo(np.int64).max):
        return classes.astype(np.int64)
    if classes.dtype.kind == "b" or classes.dtype in CODES:
        return classes
    labels = classes.astype(object)
    if all(isinstance(label, str) for label in labels):
        return np.array([str(label) for label in labels], dtype=object)
    raise TypeError(
        f"the labels must be integers, floats, bools or strings, because ONNX has no others, got {classes.tolist()} "
        f"of {classes.dtype}"
    )
