import re

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn.inspection import KernelsDisplay
from skcnn.layers import Dense, Flatten


def tiles(display, size):
    """Cut the picture into its tiles, without the gaps and the empty places at the end."""
    whole = np.ma.filled(display.image_.get_array(), np.nan)
    h, w = size
    cut = [
        whole[top : top + h, left : left + w]
        for top in range(0, len(whole), h + 1)
        for left in range(0, whole.shape[1], w + 1)
    ]
    return np.array([tile for tile in cut if not np.isnan(tile).all() and not (tile.ndim == 3 and (tile == 1).all())])


def test_kernels_for_grey_images_stand_side_by_side_with_one_scale(grey):
    display = KernelsDisplay.from_estimator(grey)
    W = grey.coefs_[0]
    np.testing.assert_array_equal(tiles(display, (3, 3)), np.moveaxis(W[:, :, 0], -1, 0))
    assert display.image_.get_array().shape == (7, 7)
    assert display.image_.get_clim() == (-np.abs(W).max(), np.abs(W).max())
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == ["0", "2"]
    assert display.ax_.get_title() == "layer 0, Conv2D(n_kernels=4, kernel_size=3)"
    assert len(display.figure_.axes) == 2
    assert len(KernelsDisplay.from_estimator(grey, colorbar=False).figure_.axes) == 1


def test_of_later_layers_one_channel_is_drawn(grey):
    W = grey.coefs_[1]
    for channel, expected in ((None, 0), (0, 0), (np.int64(3), 3)):
        display = KernelsDisplay.from_estimator(grey, layer=3, channel=channel)
        np.testing.assert_array_equal(tiles(display, (3, 3)), np.moveaxis(W[:, :, expected], -1, 0))
        assert display.ax_.get_title().endswith(f"\nchannel {expected} of 4")


def test_kernels_for_colour_images_are_in_colour(colour):
    display = KernelsDisplay.from_estimator(colour)
    W = colour.coefs_[0]
    expected = 0.5 + np.moveaxis(W, -1, 0) / (2 * np.abs(W).max())
    np.testing.assert_allclose(tiles(display, (3, 3)), expected, rtol=1e-6)
    one = KernelsDisplay.from_estimator(colour, channel=2)
    np.testing.assert_array_equal(tiles(one, (3, 3)), np.moveaxis(W[:, :, 2], -1, 0))


@pytest.mark.parametrize(("layer", "name"), [((3, 0), "(3, 0)"), ((-4, 0), "(3, 0)"), ((4, 0), "(4, 0)")])
def test_convolutions_inside_chains(colour, layer, name):
    display = KernelsDisplay.from_estimator(colour, layer=layer, channel=1)
    index = layer[0] % 7
    W = colour.network_.params[index]["0"]["W"]
    np.testing.assert_array_equal(tiles(display, (3, 3)), np.moveaxis(W[:, :, 1], -1, 0))
    assert display.ax_.get_title().startswith(f"layer {name}, Conv2D(")


def test_kernels_for_signals_are_lines(signal):
    display = KernelsDisplay.from_estimator(signal)
    W = signal.coefs_[0]
    assert display.image_ is None
    assert len(display.lines_) == 4 * 2
    scale = 2.2 * np.abs(W).max()
    for i, line in enumerate(display.lines_):
        kernel, channel = divmod(i, 2)
        np.testing.assert_allclose(line.get_ydata(), kernel - W[0, :, channel, kernel] / scale)
        assert line.get_color() == f"C{channel}"
    assert len(KernelsDisplay.from_estimator(signal, layer=3).lines_) == 3


def test_at_most_so_many_kernels_are_drawn(grey):
    display = KernelsDisplay.from_estimator(grey, max_kernels=3)
    assert len(display.kernels) == 3
    assert "3 of 4 kernels" in display.ax_.get_title()


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        (
            {"layer": 1},
            ValueError,
            "layer=1 must be a convolution, got layer 1, ReLU(); the convolutions are 0, (3, 0), (4, 0)",
        ),
        ({"layer": 3}, ValueError, "layer=3 must be a convolution, got layer 3, Residual("),
        ({"layer": (3, 1)}, ValueError, "layer=(3, 1) must be a convolution, got layer (3, 1), ReLU()"),
        ({"layer": 7}, IndexError, "layer=7: the network has 7 layers"),
        ({"layer": "Conv2D"}, TypeError, "layer='Conv2D' must be an int"),
        ({"channel": 3}, ValueError, "channel must be an int from 0 to 2, got 3"),
        ({"channel": -1}, ValueError, "channel must be an int from 0 to 2, got -1"),
        ({"max_kernels": 0}, ValueError, "max_kernels must be an int of at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_named(colour, kwargs, error, text):
    with pytest.raises(error, match=re.escape(text)):
        KernelsDisplay.from_estimator(colour, **kwargs)


def test_a_network_without_convolutions_has_no_kernels(data):
    clf = NumpyCNNClassifier(layers=[Flatten(), Dense(3)], max_iter=1, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="the network has no convolutions"):
        KernelsDisplay.from_estimator(clf)


def test_kernels_that_are_all_zero_can_be_drawn():
    KernelsDisplay(np.zeros((2, 3, 3, 1))).plot()
    KernelsDisplay(np.zeros((2, 1, 3, 1)), is_signal=True).plot()
