"""Residual blocks."""

import numpy as np
import pytest

from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Residual
from tests.layers.table import made


@pytest.mark.parametrize("layers", [[], "conv", [ReLU], Conv2D(2), None])
def test_a_residual_needs_layers(layers):
    with pytest.raises(ValueError, match="Residual: layers must be a sequence of at least one layer"):
        Residual(layers)


@pytest.mark.parametrize(
    ("layers", "in_shape", "text"),
    [
        ([Conv2D(2), Dense(3)], (4, 4, 1), r"layers\[1\] Dense\(n_units=3\): needs rows"),
        ([Conv2D(2, kernel_size=2, padding="valid")], (4, 4, 1), "no stride of the shortcut leads from 4x4x1 to 3x3x2"),
        ([Conv2D(2), Flatten()], (4, 4, 1), "no stride of the shortcut leads from 4x4x1 to 32"),
        ([Dense(3)], (5,), "needs feature maps"),
    ],
)
def test_a_residual_whose_shortcut_does_not_fit(layers, in_shape, text):
    with pytest.raises(ValueError, match=text):
        Residual(layers).out_shape(in_shape)


def test_a_residual_is_its_layers_and_its_shortcut():
    block = Residual([Conv2D(3, stride=2), ReLU(), MaxPool2D(1)])
    params, x, _ = made(block, (5, 4, 2))
    out = block.apply(params, x)
    hidden = ReLU().apply({}, Conv2D(3, stride=2).apply(params["0"], x))
    shortcut = Conv2D(3, 1, 2, bias=False).apply(params["projection"], x)
    np.testing.assert_allclose(out, hidden + shortcut, rtol=1e-12)
    assert block.window((5, 4, 2)) == ((3, 3), (2, 2))
    assert block.multiply_adds((5, 4, 2), (3, 2, 3)) == 9 * 2 * 6 * 3 + 2 * 6 * 3
