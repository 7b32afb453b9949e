import re

import pytest

from skcnn.layers import Conv2D, Flatten, ReLU, Residual, Sequential
from skcnn.layers.path import path_to

LAYERS = [Conv2D(2), Sequential([ReLU(), Residual([Conv2D(2), ReLU()])]), Flatten()]


@pytest.mark.parametrize(
    ("layer", "path"), [(0, (0,)), (-1, (2,)), ((1,), (1,)), ((1, 0), (1, 0)), ((-2, -1, -2), (1, 1, 0))]
)
def test_a_path_has_no_negative_indices(layer, path):
    assert path_to(LAYERS, layer) == path


@pytest.mark.parametrize(
    ("layer", "error", "text"),
    [
        (3, IndexError, "layer=3: the network has 3 layers, with the indices -3 to 2, got 3"),
        (-4, IndexError, "got -4"),
        ((1, 2), IndexError, "layer=(1, 2): layer (1,) has 2 layers, with the indices -2 to 1, got 2"),
        ((0, 0), IndexError, "layer=(0, 0): layer (0,) has 0 layers"),
        ("conv", TypeError, "layer='conv' must be an int or, inside Sequential or Residual, a tuple"),
        (1.0, TypeError, "layer=1.0 must be an int"),
        (True, TypeError, "layer=True must be an int"),
        (None, TypeError, "layer=None must be an int"),
        ((), TypeError, "layer=() must be an int"),
    ],
)
def test_other_paths_are_refused(layer, error, text):
    with pytest.raises(error, match=re.escape(text)):
        path_to(LAYERS, layer)


def test_the_layers_inside_a_chain_of_ones_own_have_no_path():
    class Own(Sequential):
        """It may compute anything."""

    with pytest.raises(IndexError, match="has 0 layers"):
        path_to([Own([ReLU()])], (0, 0))
