import re

import numpy as np
import pytest

from skcnn.inspection import ActivationsDisplay
from tests.inspection.test_kernels import tiles


@pytest.mark.parametrize("layer", [0, 1, -8])
def test_the_maps_are_the_activations(grey, image, layer):
    display = ActivationsDisplay.from_estimator(grey, image, layer=layer)
    expected = np.moveaxis(grey.activations(image[np.newaxis], layer=layer)[0], -1, 0)
    np.testing.assert_array_equal(display.maps, expected)
    np.testing.assert_array_equal(tiles(display, expected.shape[1:]), expected)
    np.testing.assert_allclose(display.image_.get_clim(), (expected.min(), expected.max()))


def test_the_title_names_the_layer(colour):
    image = np.zeros((3, 8, 6), np.uint8)
    assert ActivationsDisplay.from_estimator(colour, image).ax_.get_title() == (
        "layer 0, Conv2D(n_kernels=5, kernel_size=3), 8x6"
    )
    display = ActivationsDisplay.from_estimator(colour, image, layer=(3, 1), max_maps=2)
    assert display.ax_.get_title() == "layer (3, 1), ReLU(), 4x3\n2 of 4 feature maps"
    assert len(display.maps) == 2


def test_channels_first_reach_the_network_in_their_order(colour):
    image = np.random.default_rng(0).integers(0, 256, (3, 8, 6)).astype(np.uint8)
    expected = colour.activations(image[np.newaxis], layer=(3, 0))[0]
    display = ActivationsDisplay.from_estimator(colour, image, layer=(3, 0))
    np.testing.assert_array_equal(display.maps, np.moveaxis(expected, -1, 0))


def test_maps_of_signals_are_lines(signal):
    row = np.random.default_rng(1).normal(size=(1, 20, 2))
    display = ActivationsDisplay.from_estimator(signal, row, layer=1)
    expected = signal.activations(row[np.newaxis], layer=1)[0, 0]
    assert display.image_ is None
    assert len(display.lines_) == 4
    for index, line in enumerate(display.lines_):
        np.testing.assert_allclose(line.get_ydata(), index - expected[:, index] / (2.2 * np.abs(expected).max()))


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"layer": -1}, ValueError, "layer=-1 must return feature maps, but layer 9, Dense("),
        ({"layer": 6}, ValueError, "layer=6 must return feature maps, but layer 6, Flatten() returns rows of 6"),
        ({"layer": 10}, IndexError, "layer=10: the network has 10 layers"),
        ({"layer": "relu"}, TypeError, "layer='relu' must be an int"),
        ({"max_maps": 1.5}, ValueError, "max_maps must be an int of at least 1, got 1.5"),
    ],
)
def test_wrong_arguments_are_named(grey, image, kwargs, error, text):
    with pytest.raises(error, match=re.escape(text)):
        ActivationsDisplay.from_estimator(grey, image, **kwargs)
