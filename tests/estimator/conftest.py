"""Data for the tests of the classifier."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def colour():
    """90 images of 7 x 10 with three channels, (n, h, w, c)."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = rng.integers(0, 128, (90, 7, 10, 3)).astype(np.uint8)
    X[np.arange(90), :, :, y] += 100
    return X, y


@pytest.fixture(scope="module")
def large():
    """Images of 28 x 28: a batch of 64 is cut into several shards, and so is a prediction of 150."""
    y = np.arange(150) % 3
    X = np.random.default_rng(0).normal(size=(150, 28, 28)) + y[:, np.newaxis, np.newaxis]
    X.setflags(write=False)
    return X, y


@pytest.fixture
def images(data):
    """`data` as images of 6 x 6."""
    return data[0].reshape(40, 6, 6), data[1]


@pytest.fixture
def parts(data):
    """`data` in two parts: X, y, X_val, y_val."""
    X, y = data
    return X[:30], y[:30], X[30:], y[30:]
