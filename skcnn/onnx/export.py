"""Export: from a fitted classifier to an ONNX model, which is checked before it is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skcnn._values import is_count
from skcnn.classifier import NumpyCNNClassifier
from skcnn.layers.base import Shape
from skcnn.onnx.check import require_same_predictions
from skcnn.onnx.graph import Graph
from skcnn.onnx.packages import import_onnx
from skcnn.onnx.proto import INPUT, LABEL, PROBABILITIES, TensorType, to_proto
from skcnn.onnx.translation import (
    PRECISION,
    add_images,
    add_label,
    add_network,
    add_probabilities,
    add_scores,
    default_dtype,
    image_shapes,
    labels_for,
)

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["to_onnx"]


def to_onnx(
    clf: NumpyCNNClassifier, *, input_shape: tuple[int, ...] | None = None, input_dtype: Any = "auto"
) -> ModelProto:
    """Return a fitted classifier as an ONNX model.

    The model takes images as `predict` takes them, any number at a time, and scales them itself. It computes in
    float32, also if the classifier computes in float64, because onnxruntime has no convolution in float64. It uses
    opset 17.

    Before the model is returned, it predicts random images, with onnxruntime if it is installed, and otherwise with the
    reference evaluator of onnx. The probabilities are compared with those of `predict_proba`.

    Parameters
    ----------
    clf : NumpyCNNClassifier
        A fitted classifier. For a pipeline, see `register_converter`.
    input_shape : tuple of int, default=None
        The shape of one image, without the batch axis: (h, w, c), or (c, h, w) if ``data_format="channels_first"``,
        (h, w) for grey images, or (h * w * c,) for flat rows. None: (h, w) for grey images, and otherwise three axes in
        the order of `data_format`.
    input_dtype : dtype or "auto", default="auto"
        The type of the pixels. Their scale is that of the images in training. "auto": uint8 if the classifier was
        fitted on uint8 images with ``scaling="auto"``, otherwise float32 or float64, the dtype of the network.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "X", of shape ``(n, *input_shape)``. Its outputs are "label" (n,), of int64, string, bool or float,
        and "probabilities" (n, n_classes), of float32.

    Raises
    ------
    ImportError
        If onnx is not installed.
    NotFittedError
        If the classifier is not fitted.
    NotImplementedError
        If one of the layers is your own and has no method `to_onnx`.
    RuntimeError
        If a probability differs by more than 1e-5 from that of `predict_proba`. The message says where.
    TypeError
        If `clf` is not a `NumpyCNNClassifier`, or if its labels are neither numbers nor strings.
    ValueError
        If `input_shape` or `input_dtype` does not fit.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.onnx import to_onnx
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(n_kernels=4, max_iter=1, random_state=0).fit(X, y)
    >>> model = to_onnx(clf)
    >>> [tensor.name for tensor in [*model.graph.input, *model.graph.output]]
    ['X', 'label', 'probabilities']
    >>> [node.op_type for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    ['Conv', 'Gemm', 'Gemm']
    """
    if not isinstance(clf, NumpyCNNClassifier):
        raise TypeError(
            f"clf must be a NumpyCNNClassifier, got {type(clf).__name__}; for a pipeline, call "
            "skcnn.onnx.register_converter() and then skl2onnx.to_onnx(pipeline, X)"
        )
    import_onnx()
    model = clf._model
    shape = _input_shape(input_shape, image_shapes(model.image_format))
    dtype = default_dtype(model) if isinstance(input_dtype, str) and input_dtype == "auto" else _pixels(input_dtype)
    labels = labels_for(model.classes)
    graph = Graph()
    with graph.within("scaling"):
        images = add_images(graph, model.image_format, INPUT, shape, dtype)
    logits = add_network(graph, model.network, images)
    with graph.within("output"):
        scores = add_scores(graph, model, logits)
        add_probabilities(graph, model, scores, PROBABILITIES)
        add_label(graph, scores, labels, LABEL)
    outputs = {LABEL: TensorType(labels.dtype, ()), PROBABILITIES: TensorType(PRECISION, (len(labels),))}
    proto = to_proto(graph, TensorType(dtype, shape), outputs)
    require_same_predictions(proto, clf, shape, dtype)
    return proto


def _input_shape(input_shape: Any, possible: list[Shape]) -> Shape:
    if input_shape is None:
        return possible[0]
    is_shape = isinstance(input_shape, tuple | list) and all(map(is_count, input_shape))
    shape = tuple(map(int, input_shape)) if is_shape else None
    if shape not in possible:
        raise ValueError(f"input_shape must be one of {', '.join(map(str, possible))}, got {input_shape!r}")
    return shape


def _pixels(input_dtype: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any]
    try:
        dtype = np.dtype(input_dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"input_dtype must be 'auto' or a dtype of real numbers, such as 'uint8', got {input_dtype!r}")
    return dtype.newbyteorder("=")
