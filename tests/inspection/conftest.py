"""Small classifiers for grey images, colour images and signals."""

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Flatten, MaxPool2D, ReLU, Residual, Sequential

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit(X, **parameters):
    """Fit on images of three classes that differ in brightness."""
    y = np.arange(len(X)) % 3
    X = X + (X.std() * y.reshape(-1, *[1] * (X.ndim - 1))).astype(X.dtype)
    return NumpyCNNClassifier(max_iter=2, random_state=0, **parameters).fit(X, np.array(["hat", "shoe", "bag"])[y])


@pytest.fixture(scope="module")
def grey():
    """For images of 8 x 6."""
    return fit(np.random.default_rng(0).normal(size=(40, 8, 6)), n_kernels=(4, 3), hidden_layer_sizes=5)


@pytest.fixture(scope="module")
def colour():
    """For images of 8 x 6 with three channels, which come first, with a block and a chain."""
    layers = [Conv2D(5), ReLU(), MaxPool2D(), Residual([Conv2D(4), ReLU()]), Sequential([Conv2D(2), ReLU()]), Flatten()]
    X = np.random.default_rng(0).integers(0, 100, (40, 3, 8, 6)).astype(np.uint8)
    return fit(X, layers=layers, data_format="channels_first")


@pytest.fixture(scope="module")
def signal():
    """For signals of 20 values with two channels."""
    layers = [Conv2D(4, (1, 3)), ReLU(), MaxPool2D((1, 2)), Conv2D(3, (1, 3)), ReLU(), Flatten()]
    return fit(np.random.default_rng(0).normal(size=(40, 1, 20, 2)), layers=layers)


@pytest.fixture
def image():
    """A grey image of 8 x 6."""
    return np.random.default_rng(1).normal(size=(8, 6))
