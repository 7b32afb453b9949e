"""What "auto" stands for: the architecture, which depends on the shape of an image alone, and the number of epochs."""

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn._estimator.architecture import ARCHITECTURE, layers_from
from skcnn._estimator.automatic import batch_size_for, learning_rate_for, n_epochs_for, resolved
from skcnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, MaxPool2D
from skcnn.layers.sequential import Sequential
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop
from skcnn.schedules import SCHEDULES
from tests.estimator.helpers import bits


def automatic(in_shape, **parameters):
    return layers_from({**ARCHITECTURE, **parameters}, in_shape, shrink=False)


def of_type(layers, kind):
    return [layer for layer in layers if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("in_shape", "n_kernels", "last_map"),
    [
        ((8, 8, 1), (16, 32), (2, 2)),
        ((28, 28, 1), (16, 32), (7, 7)),
        ((28, 20, 3), (16, 32), (7, 5)),
        ((29, 20, 3), (16, 32, 64), (3, 2)),
        ((32, 32, 3), (16, 32, 64), (4, 4)),
        ((56, 56, 3), (16, 32, 64), (7, 7)),
        ((64, 64, 3), (16, 32, 64, 128), (4, 4)),
        ((128, 128, 3), (16, 32, 64, 128, 128), (4, 4)),
        ((224, 224, 3), (16, 32, 64, 128, 128), (7, 7)),
        ((500, 400, 1), (16, 32, 64, 128, 128, 128, 128), (3, 3)),
        ((1, 28, 1), (16, 32), (1, 7)),
        ((1, 150, 1), (16, 32, 64, 128, 128), (1, 4)),
        ((150, 1, 2), (16, 32, 64, 128, 128), (4, 1)),
        ((4, 60, 1), (16, 32, 64, 128), (1, 3)),
    ],
    ids=str,
)
def test_convolutions_with_pooling_lead_to_a_small_map(in_shape, n_kernels, last_map):
    layers = automatic(in_shape)
    assert tuple(layer.n_kernels for layer in of_type(layers, Conv2D)) == n_kernels
    head = next(i for i, layer in enumerate(layers) if isinstance(layer, Flatten | GlobalAvgPool2D))
    assert Sequential(layers[:head]).out_shape(in_shape)[:2] == last_map
    deep = len(n_kernels) > 2
    assert isinstance(layers[head], GlobalAvgPool2D) == deep
    assert len(of_type(layers, BatchNorm)) == (len(n_kernels) if deep else 0)
    assert [layer.rate for layer in of_type(layers, Dropout)] == ([] if deep else [0.1] * 3)
    assert [layer.n_units for layer in of_type(layers, Dense)] == ([] if deep else [100])


@pytest.mark.parametrize("in_shape", [(1, 40, 2), (40, 1, 2)], ids=str)
def test_signals_have_kernels_and_pools_along_their_one_axis(in_shape):
    layers = automatic(in_shape)
    along = (1, 3) if in_shape[0] == 1 else (3, 1)
    assert {layer.kernel_size for layer in of_type(layers, Conv2D)} == {along}
    assert {layer.pool_size for layer in of_type(layers, MaxPool2D)} == {tuple(min(size, 2) for size in along)}


@pytest.mark.parametrize("side", range(1, 8))
def test_images_of_a_few_pixels_fit(make, side):
    X = np.random.default_rng(0).normal(size=(12, side, side))
    clf = make(n_kernels="auto", hidden_layer_sizes="auto").fit(X, np.arange(12) % 2)
    assert len(of_type(clf.network_.layers, Conv2D)) == 2


def test_with_explicit_numbers_of_kernels_there_is_one_hidden_layer_and_no_batch_norm():
    numbers = resolved({**ARCHITECTURE, "n_kernels": (4, 4, 4)}, (64, 64, 3))
    assert (numbers["hidden_layer_sizes"], numbers["batch_norm"], numbers["head"]) == ((100,), False, Flatten())


def test_what_is_set_stays_beside_an_automatic_number_of_layers():
    layers = automatic((64, 64, 3), batch_norm=False, hidden_layer_sizes=30, dropout=0.5, kernel_size=5, pool="avg")
    assert not of_type(layers, BatchNorm)
    assert [layer.n_units for layer in of_type(layers, Dense)] == [30]
    assert {layer.kernel_size for layer in of_type(layers, Conv2D)} == {5}
    assert automatic((28, 28, 1), batch_norm=True)[1] == BatchNorm()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_size", (3, 5)),
        ("pool_size", [2, 1]),
        ("stride", (1, 2)),
        ("padding", ("same", "valid")),
        ("pool", ["max", "avg"]),
        ("activation", ("relu", "tanh", "relu")),
        ("dropout", (0.0, 0.1, 0.2)),
    ],
)
def test_one_value_per_layer_needs_a_number_of_layers(name, value, images):
    text = (
        rf"{name} has one value per layer, .*, but n_kernels='auto' .*: 2 convolutions for images of shape \(6, 6, 1\)"
    )
    with pytest.raises(ValueError, match=text):
        NumpyCNNClassifier(**{name: value}).fit(*images)


def test_the_network_depends_neither_on_the_number_of_images_nor_on_pixels(colour):
    X, y = colour
    networks = {
        repr(NumpyCNNClassifier(max_iter=1).fit(images, labels).network_.layers)
        for images, labels in [(X, y), (X[:10], y[:10]), (255 - X, y), (X.astype(float), y)]
    }
    assert len(networks) == 1


@pytest.mark.parametrize(
    ("parameters", "rates"),
    [
        ({"batch_norm": True}, []),
        ({"dropout": 0.0}, []),
        ({"dropout": 0.3}, [0.3] * 3),
        ({"hidden_layer_sizes": ()}, [0.1] * 2),
        ({"n_kernels": (16, 32)}, []),
        ({"n_kernels": (16, 32), "dropout": (0.0, 0.2, 0.4)}, [0.2, 0.4]),
    ],
    ids=str,
)
def test_dropout_is_automatic_where_the_network_is_and_has_no_batch_norm(parameters, rates):
    assert [layer.rate for layer in of_type(automatic((8, 8, 1), **parameters), Dropout)] == rates


def test_auto_is_the_network_that_it_stands_for(large):
    X, y = large
    explicit = {"n_kernels": (16, 32), "hidden_layer_sizes": (100,), "batch_norm": False, "dropout": 0.1}
    fits = [NumpyCNNClassifier(max_iter=1, random_state=0, **parameters).fit(X, y) for parameters in ({}, explicit)]
    assert bits(fits[0], X) == bits(fits[1], X)


def test_a_dense_layer_with_nearly_all_weights_of_a_large_network_warns(make):
    X, y = np.zeros((4, 64, 64, 3), np.uint8), np.arange(4) % 2
    text = r"layers\[2\] Dense\(n_units=100, .*\) has 1,638,500 of the network's 1,638,\d+ parameters, .* 16,384 inputs"
    with pytest.warns(UserWarning, match=text):
        make(n_kernels=4, pool_size=1, hidden_layer_sizes=100, activation="identity").fit(X + np.uint8(200), y)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "n_epochs"),
    [
        (60_000, "auto", 15),
        (10_000, "auto", 20),
        (1_000, "auto", 30),
        (180, "auto", 100),
        (1, "auto", 100),
        (1_000, 1, 15),
        (1_000, 40, 100),
        (20_000, 100, 15),
        (10_000, 100, 30),
        (100, 10**6, 100),
    ],
)
def test_few_steps_an_epoch_give_more_epochs(n_samples, batch_size, n_epochs):
    clf = NumpyCNNClassifier(batch_size=batch_size)
    size = min(batch_size_for(clf, n_samples), n_samples)
    assert n_epochs_for(clf, n_samples, size) == n_epochs
    assert n_epochs_for(clf.set_params(max_iter=7), n_samples, size) == 7


@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_the_rate_suits_the_solver_and_the_schedule(schedule):
    def rate(optimizer):
        return learning_rate_for(NumpyCNNClassifier(), optimizer, SCHEDULES[schedule]())

    of_sgd, of_others = (0.01, 0.002) if schedule == "constant" else (0.03, 0.006)
    assert [rate(SGD()), rate(ClipNorm(SGD()))] == pytest.approx([of_sgd] * 2)
    assert [rate(AdamW()), rate(RMSprop()), rate(ClipNorm(Adam()))] == pytest.approx([of_others] * 3)


def test_fit_trains_for_the_automatic_number_of_epochs(images):
    assert NumpyCNNClassifier(n_kernels=2, batch_size=1).fit(*images).n_iter_ == 75  # 3,000 steps of 40
