"""The check of an exported model: does it predict the same as the classifier?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._estimator.model import FittedModel
from skcnn.classifier import NumpyCNNClassifier
from skcnn.layers.base import PREDICT, Shape
from skcnn.layers.sequential import Sequential
from skcnn.network import Network
from skcnn.onnx.graph import Graph
from skcnn.onnx.packages import has_onnxruntime
from skcnn.onnx.proto import INPUT, TensorType, to_proto
from skcnn.onnx.rules import Fitted, add_layer
from skcnn.onnx.translation import PRECISION

__all__ = ["require_same_predictions"]

Array = NDArray[Any]
TOLERANCE = 1e-5
N_IMAGES = 8
LAYER_TOLERANCE = 1e-4  # of a layer's largest output


def require_same_predictions(proto: Any, clf: NumpyCNNClassifier, shape: Shape, dtype: np.dtype[Any]) -> None:
    """Raise RuntimeError if an exported model does not predict random images as the classifier does.

    One image and several images are predicted, because the number of images in a batch must not matter.
    """
    X = random_images(clf._model, dtype).reshape(N_IMAGES, *shape)
    run = evaluator(proto)
    for images in (X[:1], X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # random images may have another scale than those in training
            expected = clf.predict_proba(images)
        label, probabilities = run(images)
        _require_same_probabilities(probabilities, expected, clf._model)
        _require_same_labels(label, expected, clf.classes_)


def _require_same_probabilities(probabilities: Array, expected: Array, model: FittedModel) -> None:
    if probabilities.shape != expected.shape:
        raise RuntimeError(
            f"the ONNX model returns probabilities of shape {probabilities.shape}, predict_proba of {expected.shape}"
        )
    difference = np.nan_to_num(np.abs(probabilities - expected), nan=np.inf)
    if difference.max() > TOLERANCE:
        image, k = np.unravel_index(difference.argmax(), difference.shape)
        raise RuntimeError(
            f"the ONNX model differs from predict_proba by {difference.max():.2g}, more than {TOLERANCE:g}: the "
            f"probability of class {model.classes.tolist()[k]!r} is {probabilities[image, k]:.6f} instead of "
            f"{expected[image, k]:.6f}. {first_difference(model.network)}"
        )


def _require_same_labels(label: Array, expected: Array, classes: Array) -> None:
    index = {value: k for k, value in enumerate(classes.tolist())}
    for value, of_image in zip(label.tolist(), expected, strict=True):
        # of two classes that are equally probable, rounding may choose the other one
        if value not in index or of_image[index[value]] < of_image.max() - 2 * TOLERANCE:
            right = classes.tolist()[of_image.argmax()]
            raise RuntimeError(f"the ONNX model predicts the label {value!r} instead of {right!r}")


def evaluator(proto: Any) -> Callable[[Array], list[Array]]:
    """Return a function that computes a model's outputs, given its input."""
    if has_onnxruntime():
        import onnxruntime

        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    else:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(proto)
    return lambda x: session.run(None, {INPUT: x})


def random_images(model: FittedModel, dtype: np.dtype[Any]) -> Array:
    """Return rows of random pixels, spread over the range of the training images. They are the same in each call."""
    image_format = model.image_format
    center, width = image_format.center, image_format.width
    if model.built_from["scaling"] is None:
        width = 2 * model.magnitudes.typical or 1.0
    deviations = 1 if isinstance(width, float) else 4  # a range, or the standard deviation of each channel
    drawn = np.random.default_rng(0).uniform(-deviations / 2, deviations / 2, (N_IMAGES, *image_format.shape))
    images = center + width * drawn
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        images = np.clip(np.rint(images), limits.min, limits.max)
    if image_format.data_format == "channels_first":
        images = images.transpose(0, 3, 1, 2)
    rows: Array = images.reshape(N_IMAGES, -1).astype(dtype)
    return rows


def first_difference(network: Network) -> str:
    """Say which is the first layer whose output differs in the ONNX model, given random numbers."""
    x = np.random.default_rng(0).normal(size=(N_IMAGES, *network.shapes[0])).astype(PRECISION)
    params, states = ({str(i): tree for i, tree in enumerate(trees)} for trees in (network.params, network.states))
    for n_layers in range(1, len(network.layers) + 1):
        chain = Sequential(network.layers[:n_layers])
        expected = chain.apply(params, x.astype(network.dtype), PREDICT._replace(state=states))
        graph = Graph()
        out = graph.add("Identity", add_layer(graph, chain, INPUT, Fitted(params, states, network.shapes[0])))
        types = TensorType(PRECISION, x.shape[1:]), TensorType(PRECISION, expected.shape[1:])
        found = evaluator(to_proto(graph, types[0], {out: types[1]}))(x)[0]
        if not np.allclose(found, expected, rtol=0, atol=LAYER_TOLERANCE * np.abs(expected).max()):
            layer = network.layers[n_layers - 1]
            return f"The first layer whose output differs is layers[{n_layers - 1}] {layer!r}"
    return "The layers' outputs differ only by rounding, which is smaller if the pixels are scaled"
