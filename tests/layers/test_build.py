"""What layers do when a network builds them: their first parameters, and maps that do not fit."""

import re

import numpy as np
import pytest

from skcnn.layers import (
    PREDICT,
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    Layer,
    MaxPool2D,
    MinPool2D,
    ReLU,
)
from skcnn.network import Network


def test_parameters_start_where_the_documentation_says():
    for layer, in_shape in [(Conv2D(3, bias="position"), (4, 5, 2)), (Conv2D(3), (4, 5, 2)), (Dense(3), (5,))]:
        params = layer.init(in_shape, np.random.default_rng(0), np.float64)
        assert not params["b"].any()
        assert params["W"].all()
    assert Conv2D(3, bias="position").init((4, 5, 2), np.random.default_rng(0), np.float64)["b"].shape == (4, 5, 3)
    assert Conv2D(3, bias=False).init((4, 5, 2), np.random.default_rng(0), np.float64).keys() == {"W"}


def one_number(shape, rng):
    return np.ones(1)


NEEDS_MAPS = "needs feature maps (h, w, c), got rows of shape (18,)"
NEEDS_ROWS = "needs rows, got feature maps of shape (3, 3, 2)"


# each layer is the fourth of its stack; it gets maps of 3x3x2 or, after Flatten, rows of 18
@pytest.mark.parametrize(
    ("before", "layer", "text"),
    [
        (ReLU(), Conv2D(4, kernel_size=5, padding="valid"), "kernel 5x5 does not fit the 3x3 feature map"),
        (ReLU(), Conv2D(4, kernel_size=(1, 4), padding=0), "kernel 1x4 does not fit the 3x3 feature map"),
        (
            ReLU(),
            Conv2D(4, kernel_size=6, padding=1),
            "kernel 6x6 does not fit the 3x3 feature map (5x5 with its padding)",
        ),
        (
            ReLU(),
            Conv2D(4, kernel_size=4, padding=(2, 0)),
            "kernel 4x4 does not fit the 3x3 feature map (7x3 with its padding)",
        ),
        (ReLU(), MaxPool2D(4), "window 4x4 does not fit the 3x3 feature map"),
        (ReLU(), MinPool2D((4, 1)), "window 4x1 does not fit the 3x3 feature map"),
        (ReLU(), AvgPool2D((1, 4), stride=1), "window 1x4 does not fit the 3x3 feature map"),
        (ReLU(), Dense(10), NEEDS_ROWS),
        (Flatten(), Conv2D(4), NEEDS_MAPS),
        (Flatten(), MaxPool2D(), NEEDS_MAPS),
        (Flatten(), GlobalAvgPool2D(), NEEDS_MAPS),
        (
            ReLU(),
            Conv2D(4, kernel_size=2, initializer=one_number),
            f"initializer {one_number!r} returned shape (1,), needed (2, 2, 2, 4)",
        ),
    ],
    ids=lambda value: repr(value).split(" at 0x")[0] if isinstance(value, Layer) else "",
)
def test_what_does_not_fit_is_refused_by_build_with_the_layer_s_place(before, layer, text):
    stack = [Conv2D(2), MaxPool2D(2), before, layer, ReLU()]
    with pytest.raises(ValueError, match=f"^{re.escape(f'layers[3] {layer!r}: {text}')}(;.*)?$"):
        Network.build(stack, (6, 7, 1), np.random.default_rng(0), np.float32)


def test_a_layer_with_half_a_way_is_refused():
    """The inherited identity would be a wrong gradient without an error."""
    with pytest.raises(TypeError, match="Square must define forward and backward, or neither"):

        class Square(Layer):
            def forward(self, params, x, context=PREDICT):
                return x * x, x
