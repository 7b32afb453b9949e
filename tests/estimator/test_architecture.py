"""The layers that the parameters of the constructor stand for."""

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn._estimator.architecture import ARCHITECTURE
from skcnn.layers import (
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from tests.estimator.helpers import QUICK, bits


@pytest.mark.parametrize("pool", ["max", "min", "avg"])
def test_the_numbers_of_the_constructor_become_layers(colour, pool):
    X, y = colour
    clf = NumpyCNNClassifier(
        n_kernels=(4, 6, 8),
        kernel_size=(3, (1, 2), 2),
        stride=(1, 1, (2, 1)),
        padding=("same", "valid", 1),
        pool=("max", "min", pool),
        pool_size=(2, 1, (1, 2)),
        hidden_layer_sizes=(20, 10),
        activation=("relu", "identity", "tanh", "relu", "logistic"),
        max_iter=1,
    ).fit(X, y)
    assert [type(layer).__name__ for layer in clf.network_.layers] == [
        *("Conv2D", "ReLU", "MaxPool2D", "Conv2D", "Conv2D", "Tanh", f"{pool.capitalize()}Pool2D"),
        *("Flatten", "Dense", "ReLU", "Dense", "Sigmoid", "Dense"),
    ]
    assert clf.network_.shapes[4] == (3, 4, 6)  # 7x10 halved by the pool, then a 1x2 kernel
    assert clf.network_.shapes[7] == (2, 2, 8)
    assert [W.shape for W in clf.coefs_[:3]] == [(3, 3, 3, 4), (1, 2, 4, 6), (2, 2, 6, 8)]


def test_numbers_and_the_same_layers_give_the_same_model(colour):
    X, y = colour
    numbers = NumpyCNNClassifier(**QUICK).fit(X, y)
    training = {name: QUICK[name] for name in ("max_iter", "learning_rate_init", "learning_rate", "random_state")}
    layers = NumpyCNNClassifier(layers=numbers.network_.layers[:-1], **training).fit(X, y)
    assert bits(layers, X) == bits(numbers, X)


def test_own_layers_in_any_order(colour):
    X, y = colour
    stack = [
        MinPool2D(2),
        Conv2D(4, 2, stride=2),
        Tanh(),
        Conv2D(5, 1),
        MaxPool2D((1, 2)),
        GlobalAvgPool2D(),
        Dense(7),
        ReLU(),
    ]
    clf = NumpyCNNClassifier(layers=stack, max_iter=1).fit(X, y)
    assert clf.predict_proba(X).shape == (90, 3)
    assert clf.network_.layers[:-1] == tuple(stack)
    assert clf.network_.layers[-1].n_units == 3
    assert len(stack) == 8, "the user's list is not written to"


def test_guessed_shapes_shrink_kernels_and_given_ones_do_not():
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 2
    clf = NumpyCNNClassifier(kernel_size=5, padding="valid", max_iter=1).fit(X, y)
    assert "kernel_size=(1, 3)" in clf.network_.summary()
    with pytest.raises(ValueError, match=r"layers\[0\] Conv2D\(.*\): kernel 5x5 does not fit the 1x3 feature map"):
        NumpyCNNClassifier(n_kernels=4, kernel_size=5, padding="valid", image_shape=(1, 3)).fit(X, y)


def test_layers_that_end_in_maps_are_an_error_that_says_how_to_end_them(split_digits):
    with pytest.raises(
        ValueError, match=r"the last layer returns feature maps of shape \(8, 8, 4\), .* rows; append Flatten\(\)"
    ):
        NumpyCNNClassifier(layers=[Conv2D(4), ReLU()]).fit(split_digits[0], split_digits[2])


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"kernel_size": 7, "padding": "valid"},
            r"layers\[0\] Conv2D\(.*\): kernel 7x7 does not fit the 6x6 feature map",
        ),
        (
            {"kernel_size": ((1, 9),), "padding": 1},
            r"layers\[0\] Conv2D\(.*\): kernel 1x9 .*6x6 feature map \(8x8 with its padding\)",
        ),
        ({"pool_size": 7}, r"layers\[2\] MaxPool2D\(.*\): window 7x7 does not fit the 6x6 feature map"),
        (
            {"n_kernels": (2, 2), "kernel_size": (3, 4), "padding": "valid"},
            r"layers\[3\] Conv2D\(.*\): kernel 4x4 does not fit the 2x2 feature map",
        ),
    ],
)
def test_layers_larger_than_their_maps(make, images, parameters, text):
    X, y = images
    with pytest.raises(ValueError, match=text):
        make(**parameters).fit(X, y)
    with pytest.raises(ValueError, match=text):
        make(**parameters, image_shape=(6, 6)).fit(X.reshape(40, 36), y)
    # where the shape is guessed, layers shrink instead
    assert make(**parameters).fit(X.reshape(40, 36), y).image_shape_ == (6, 6, 1)


OUT_OF_RANGE = [
    ("kernel_size", 0),
    ("kernel_size", -1),
    ("kernel_size", 2.5),
    ("kernel_size", True),
    ("kernel_size", (3, 0)),
    ("stride", 0),
    ("stride", (1, -1)),
    ("padding", -1),
    ("padding", (0, -1)),
    ("padding", "full"),
]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_sizes_out_of_range(make, images, name, value):
    with pytest.raises(ValueError, match=f"^Conv2D: {name} must be .*, got ") as caught:
        Conv2D(2, **{name: value})
    assert repr(value) in str(caught.value)
    in_sequence = value if not isinstance(value, tuple) else (value,)
    clf = make(**{name: in_sequence})
    with pytest.raises(ValueError, match=name) as caught:
        clf.fit(*images)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"n_kernels": 0}, r"'n_kernels' parameter .* an int in the range \[1, 9223372036854775807\].* Got 0"),
        ({"n_kernels": (2, 0)}, r"n_kernels must be an int of at least 1 or a sequence of such ints, got \(2, 0\)"),
        ({"n_kernels": ()}, r"n_kernels must .* at least one .*got \(\)"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be an int of at least 1 or a sequence"),
        ({"activation": "swish"}, r"'activation' parameter .*'relu'.* Got 'swish' instead"),
        (
            {"activation": ("relu", "swish")},
            r"activation\[1\] is out of range: 'swish'; .*'leaky_relu', 'logistic', 'relu'",
        ),
        ({"pool": "median"}, r"'pool' parameter .*'max'.* Got 'median' instead"),
        ({"pool": ("median",)}, r"pool\[0\] is out of range: 'median'; it must be one of \['avg', 'max', 'min'\]"),
        ({"kernel_size": (3, 5)}, r"kernel_size .*one value for each of the 1 layers, got 2.* as in \(\(3, 5\),\)"),
        ({"solver": "adamax"}, r"'solver' parameter .*'adam'.* Got 'adamax' instead"),
    ],
)
def test_architectures_that_are_none(make, images, parameters, text):
    with pytest.raises(ValueError, match=text):
        make(**parameters).fit(*images)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([], r"layers must contain at least one layer, got"),
        (["conv", Flatten()], r"layers\[0\] must be a layer \(.*Conv2D, Dense, Dropout, Flatten.*\), got 'conv'"),
        ([Conv2D(2), Flatten], r"layers\[1\] must be a layer \(.*\), got <class"),
        (
            [Conv2D(2), Dense(3)],
            r"layers\[1\] Dense\(n_units=3\): needs rows, got feature maps of shape \(6, 6, 2\); put Flatten\(\)",
        ),
        (
            [Flatten(), Conv2D(2)],
            r"layers\[1\] Conv2D\(.*\): needs feature maps \(h, w, c\), got rows of shape \(36,\)",
        ),
        ([Conv2D(2), ReLU()], r"last layer returns feature maps of shape \(6, 6, 2\), .* rows; append Flatten"),
        ([Flatten(), Softmax()], r"layers\[1\] Softmax\(\): the output layer and its softmax .* are appended auto"),
        ((Flatten(), Dense(3), Sigmoid()), r"layers\[2\] Sigmoid\(\): the output layer and .*; leave out this layer"),
    ],
)
def test_layers_that_are_no_network(images, layers, text):
    with pytest.raises(ValueError, match=text):
        NumpyCNNClassifier(layers=layers, max_iter=1).fit(*images)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_kernels", 3), ("kernel_size", 5), ("pool_size", 3), ("hidden_layer_sizes", ()), ("activation", "tanh"),
        ("stride", 2), ("padding", "valid"), ("pool", "avg"),
    ],
)  # fmt: skip
def test_layers_and_the_parameters_they_replace(images, name, value):
    with pytest.raises(
        ValueError, match=rf"layers replaces \['{name}'\]: set either these parameters or layers, not both"
    ):
        NumpyCNNClassifier(layers=[Flatten()], **{name: value}).fit(*images)


def test_what_layers_replace_has_the_classifier_s_defaults():
    defaults = NumpyCNNClassifier().get_params(deep=False)
    assert {name: defaults[name] for name in ARCHITECTURE} == ARCHITECTURE
