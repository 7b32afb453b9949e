"""Fitted classifiers as ONNX models, in onnxruntime."""

import datetime
import re
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skcnn import NumpyCNNClassifier, presets
from skcnn._trees import leaves
from skcnn.layers import (
    ELU,
    GELU,
    PREDICT,
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
from skcnn.network import Network
from skcnn.onnx import add_layer, check, to_onnx
from skcnn.onnx.translation import labels_for
from tests.onnx.helpers import assert_same, both_backends, fitted_on, outputs

pytest.importorskip("onnxruntime")
y = np.arange(100) % 3


@pytest.fixture
def grey(rng):
    return rng.integers(0, 256, (100, 8, 7), dtype=np.uint8)


@pytest.fixture
def colour(rng):
    return rng.normal(3, 2, (100, 6, 5, 3)).astype(np.float32)


@both_backends
@pytest.mark.parametrize("name", presets.__all__)
def test_presets(name, backend, rng):
    X = rng.integers(0, 256, (100, 28, 28), dtype=np.uint8)
    preset = {**getattr(presets, name), "max_iter": 1, "batch_size": 20, "backend": backend, "random_state": 0}
    clf = NumpyCNNClassifier(**preset).fit(X, np.arange(100) % 10)
    assert_same(to_onnx(clf), clf, X)


STACKS = [
    [Conv2D(4, 5, bias="position", pad_value=-1.0), LeakyReLU(0.2), MinPool2D((2, 1)), Flatten(), Dense(5), Tanh()],
    [Conv2D(3, 2, 2, "valid"), BatchNorm(), ELU(), Residual([Conv2D(4, bias=False), GELU()]), GlobalAvgPool2D()],
    [Sequential([Conv2D(4), SiLU(), AvgPool2D(2, 1)]), SpatialDropout2D(0.3), Softmax(), GlobalMaxPool2D()],
    [MaxPool2D(2), Conv2D(3, stride=(1, 2)), Sigmoid(), Dropout(0.2), Flatten(), Dense(6, bias=False), BatchNorm()],
    [Flatten(), Residual([Dense(15), ReLU(), Dense(90)]), Dropout(0.5)],
]


@both_backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", STACKS, ids=["position", "residual", "chain", "pool-first", "rows"])
def test_stacks(layers, dtype, backend, colour):
    clf = fitted_on(colour, y, layers=layers, dtype=dtype, backend=backend)
    assert_same(to_onnx(clf, input_dtype="float32"), clf, colour)


@both_backends
def test_the_default_network_for_large_images(backend, rng):
    X = rng.integers(0, 256, (100, 40, 32, 3), dtype=np.uint8)
    clf = fitted_on(X, y, n_kernels="auto", hidden_layer_sizes="auto", backend=backend)
    assert any(isinstance(layer, BatchNorm) for layer in clf.network_.layers)
    assert_same(to_onnx(clf), clf, X)


def random_layers(rng):
    """Return a random stack for colour images of 6 x 5."""

    def size(end):
        return tuple(rng.integers(1, end, 2).tolist())

    def activation():
        return [ReLU(), LeakyReLU(0.1), ELU(), GELU(), SiLU(), Tanh(), Sigmoid(), Softmax()][rng.integers(8)]

    def convolution():
        bias, pad_value = [True, False, "position"][rng.integers(3)], float(rng.integers(-1, 2))
        padding = ["same", size(4), "valid"][rng.integers(3)]
        return Conv2D(int(rng.integers(1, 6)), size(4), size(3), padding, pad_value, bias)

    def layer():
        norm = [BatchNorm()] * int(rng.integers(2))
        chain = [convolution(), *norm, activation()]
        pool = [MaxPool2D, MinPool2D, AvgPool2D][rng.integers(3)](size(3), [None, size(3)][rng.integers(2)])
        return [*chain, Sequential(chain), Residual(chain), pool, Dropout(0.1), SpatialDropout2D(0.1)]

    layers = [(some := layer())[rng.integers(len(some))] for _ in range(rng.integers(1, 7))]
    return [*layers, [Flatten(), GlobalAvgPool2D(), GlobalMaxPool2D()][rng.integers(3)], Dense(4), Tanh()]


def random_fitting_layers(rng, in_shape):
    while True:
        layers = random_layers(rng)
        try:
            Network.build(layers, in_shape, rng, np.float32)
        except ValueError:  # a window is larger than its feature map, for example
            continue
        return layers


@both_backends
@pytest.mark.parametrize("number", range(5))
def test_random_stacks(number, backend, colour):
    """They are other stacks each day; the seed is the date."""
    seed = [int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d")), number]
    layers = random_fitting_layers(np.random.default_rng(seed), (6, 5, 3))
    try:
        clf = fitted_on(colour, y, layers=layers, backend=backend)
        for _, array in leaves(clf.network_.params):  # biases that are not nearly 0
            array += np.random.default_rng(seed).normal(0, 0.1, array.shape).astype(array.dtype)
        label, probabilities = outputs(to_onnx(clf), colour)
        np.testing.assert_allclose(probabilities, clf.predict_proba(colour), rtol=0, atol=1e-5)
        assert set(label) <= {0, 1, 2}
    except Exception as error:
        error.add_note(f"The seed was {seed}, the layers were {layers}")
        raise


LABELS = {
    "integers": [3, -1, 7],
    "strings": ["cat", "dog", "äpfel"],
    "unsigned": np.array([0, 1, 200], np.uint8),
    "floats": [0.0, 1.0, 2.0],
    "objects": np.array(["a", "b", "c"], object),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels(labels, n_classes, grey):
    clf = fitted_on(grey, np.asarray(labels)[:n_classes][np.arange(100) % n_classes])
    assert_same(to_onnx(clf), clf, grey)


def test_labels_that_are_true_or_false(grey):
    clf = fitted_on(grey, y == 1)
    model = to_onnx(clf)
    assert_same(model, clf, grey)
    assert outputs(model, grey)[0].dtype == bool


OTHERS = [np.array([b"a", b"b"]), np.array([0, 2**63], np.uint64), np.array([1, "a"], object), np.zeros(2, "M8[s]")]


@pytest.mark.parametrize("classes", OTHERS, ids=lambda classes: classes.dtype)
def test_labels_that_onnx_does_not_have(classes):
    with pytest.raises(TypeError, match=r"^the labels must be integers, floats, bools or strings, because ONNX has no"):
        labels_for(classes)


def test_equal_logits_give_the_first_label(grey):
    clf = fitted_on(grey, y)
    for _, array in leaves(clf.network_.params):
        array[...] = 0
    label, probabilities = outputs(to_onnx(clf), grey)
    assert (label == 0).all()
    assert (clf.predict(grey) == 0).all()
    np.testing.assert_allclose(probabilities, 1 / 3, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 7), (8, 7, 1), (56,)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_grey_images_in_every_form(shape, data_format, grey):
    shape = (1, 8, 7) if data_format == "channels_first" and len(shape) == 3 else shape
    clf = fitted_on(grey, y, data_format=data_format)
    model = to_onnx(clf, input_shape=shape)
    assert session_shape(model) == ["n", *shape]
    assert_same(model, clf, grey.reshape(100, *shape))


@pytest.mark.parametrize("scaling", ["auto", (0, 10), None])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_colour_images_in_every_form(data_format, scaling, colour):
    X = colour * [0.1, 1, 3]  # a scale for each channel
    if data_format == "channels_first":
        X = X.transpose(0, 3, 1, 2)
    clf = fitted_on(X, y, data_format=data_format, scaling=scaling)
    for shape in (None, X.shape[1:], (90,)):
        model = to_onnx(clf, input_shape=shape, input_dtype=np.float64)
        assert session_shape(model) == ["n", *(shape or X.shape[1:])]
        assert_same(model, clf, X.reshape(100, *(shape or X.shape[1:])))


def session_shape(model):
    return [axis.dim_param or axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]


def test_signals(rng):
    X = rng.normal(size=(100, 40))
    clf = fitted_on(X, y, image_shape=(1, 40), kernel_size=5, pool_size=1)
    assert_same(to_onnx(clf, input_shape=(40,)), clf, X)


def test_tables(rng):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(rng.normal(size=(100, 16)), columns=[f"p{i}" for i in range(16)])
    clf = fitted_on(X, y)
    label, probabilities = outputs(to_onnx(clf, input_shape=(16,)), X.to_numpy())
    np.testing.assert_allclose(probabilities, clf.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(label, clf.predict(X))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_the_type_of_pixels(dtype, grey):
    clf = fitted_on(grey, y)
    assert outputs(to_onnx(clf), grey)[1].shape == (100, 3)  # uint8 by default
    assert_same(to_onnx(clf, input_dtype=dtype), clf, grey.astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_the_default_type_of_pixels(dtype, grey):
    X = grey.astype(dtype)
    clf = fitted_on(X, y)
    network_dtype = clf.network_.dtype
    assert_same(to_onnx(clf), clf, X.astype(network_dtype))


@pytest.mark.parametrize("value", [(7, 8), (8, 7, 3), 56, "images", (0,)])
def test_a_shape_that_does_not_fit(value, grey):
    message = f"^input_shape must be one of (8, 7), (8, 7, 1), (56,), got {value!r}$"
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        to_onnx(fitted_on(grey, y), input_shape=value)


@pytest.mark.parametrize("value", ["str", "images", complex, 3])
def test_a_dtype_that_does_not_fit(value, fitted):
    with pytest.raises(ValueError, match=re.escape(f"such as 'uint8', got {value!r}")):
        to_onnx(fitted, input_dtype=value)


def test_only_fitted_classifiers(make, fitted):
    with pytest.raises(NotFittedError):
        to_onnx(make())
    message = r"^clf must be a NumpyCNNClassifier, got Pipeline; for a pipeline, call skcnn.onnx.register_converter\(\)"
    with pytest.raises(TypeError, match=message):
        to_onnx(make_pipeline(fitted))


@dataclass(frozen=True, repr=False)
class PReLU(Layer):
    slope: float = 0.25

    def init(self, in_shape, rng, dtype):
        return {"slope": np.full(in_shape[-1], self.slope, dtype)}

    def forward(self, params, x, context=PREDICT):
        return np.where(x > 0, x, params["slope"] * x), x if context.train else None

    def backward(self, params, cache, d_out, context=PREDICT):
        d_slope = (d_out * np.minimum(cache, 0)).reshape(-1, cache.shape[-1]).sum(axis=0)
        return np.where(cache > 0, d_out, params["slope"] * d_out), {"slope": d_slope}

    def to_onnx(self, graph, x, fitted):
        return graph.add("PRelu", x, fitted.params["slope"])


class Wrong(PReLU):
    def to_onnx(self, graph, x, fitted):
        return graph.add("Relu", x)


class Around(Sequential):
    """A layer that leaves its rule to another one."""

    def to_onnx(self, graph, x, fitted):
        return add_layer(graph, Sequential(self.layers), x, fitted)


@both_backends
def test_layers_with_rules_of_their_own(backend, colour):
    layers = [Conv2D(3), PReLU(), Around([Conv2D(2), PReLU(0.5), MaxPool2D()]), Flatten(), Dense(4), PReLU()]
    clf = fitted_on(colour, y, layers=layers, backend=backend)
    assert_same(to_onnx(clf), clf, colour)


def test_a_wrong_rule_is_found(colour):
    clf = fitted_on(colour, y, layers=[Conv2D(3), ReLU(), Conv2D(2), Wrong(0.9), Flatten()])
    message = (
        r"differs from predict_proba by 0\.\d+, more than 1e-05: the probability of class [012] is 0\.\d+ instead of "
        r"0\.\d+\. The first layer whose output differs is layers\[3\] Wrong\(slope=0.9\)$"
    )
    with pytest.raises(RuntimeError, match=message):
        to_onnx(clf)


def test_a_wrong_label_is_found(colour, monkeypatch):
    monkeypatch.setattr("skcnn.onnx.export.labels_for", lambda classes: classes[::-1])
    with pytest.raises(RuntimeError, match=r"^the ONNX model predicts the label \d instead of \d$"):
        to_onnx(fitted_on(colour, y))


def test_rounding_is_not_blamed_on_a_layer(colour, monkeypatch):
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(RuntimeError, match="The layers' outputs differ only by rounding"):
        to_onnx(fitted_on(colour, y, n_kernels=16, kernel_size=5))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_check_without_onnxruntime(n_classes, grey, monkeypatch):
    used = []
    from onnx import reference

    class Evaluator(reference.ReferenceEvaluator):
        def run(self, *args):
            used.append(args)
            return super().run(*args)

    monkeypatch.setattr(check, "has_onnxruntime", lambda: False)
    monkeypatch.setattr(reference, "ReferenceEvaluator", Evaluator)
    clf = fitted_on(grey, np.array(["a", "b", "c"])[np.arange(100) % n_classes])
    assert_same(to_onnx(clf), clf, grey)
    assert len(used) == 2


def test_a_model_is_the_same_each_time(grey):
    clf = fitted_on(grey, y)
    assert to_onnx(clf).SerializeToString() == to_onnx(clf).SerializeToString()


def test_export_does_not_change_the_classifier(grey):
    clf = fitted_on(grey, y, backend="numpy")
    before = clf.predict_proba(grey).tobytes()
    to_onnx(clf)
    assert clf.predict_proba(grey).tobytes() == before
