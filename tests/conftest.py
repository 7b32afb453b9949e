"""Small data and a small network, for tests that are about everything but accuracy."""

from __future__ import annotations

import os
import signal

# SciPy reads this when it is imported; without it scikit-learn skips one of its checks
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

SMALL = {"n_kernels": 2, "hidden_layer_sizes": 4, "max_iter": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def no_ctrl_c_before(monkeypatch):
    """No test has pressed Ctrl-C a moment ago, so that the first one of each is the first."""
    monkeypatch.setattr("skcnn._training.interruption._last_press", [-np.inf])


@pytest.fixture
def ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, as in a terminal; a run of the tests in the background ignores it otherwise."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make():
    """A function that returns an unfitted network small enough to train in milliseconds."""

    def make(**parameters):
        return NumpyCNNClassifier(**{**SMALL, **parameters})

    return make


@pytest.fixture(scope="session")
def data():
    """40 flat images of 6 x 6 in float64, of 3 classes that differ in brightness. Read-only, as all data here."""
    y = np.arange(40) % 3
    X = np.random.default_rng(0).normal(size=(40, 36)) + y[:, np.newaxis]
    return _read_only(X, y)


@pytest.fixture(scope="session")
def digits():
    """120 of scikit-learn's digits, flat images of 8 x 8."""
    X, y = load_digits(return_X_y=True)
    return _read_only(X[:120], y[:120])


@pytest.fixture(scope="module")
def split_digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


@pytest.fixture
def uint8_images(rng):
    X = rng.integers(0, 256, (150, 28, 28)).astype(np.uint8)
    return X, rng.integers(0, 3, 150)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


@pytest.fixture
def small_shards(monkeypatch):
    """Batches of 64 images of 28 x 28 are cut into several shards, however few kernels there are."""
    monkeypatch.setattr("skcnn._engine.sharding.ELEMENTS_PER_SHARD", 10 * 28 * 28 * 3)
    monkeypatch.setattr("skcnn._engine.sharding.WORK_WORTH_CUTTING", 0)


@pytest.fixture
def fitted(make, data):
    """The small network, fitted on `data`."""
    return make().fit(*data)


def _read_only(*arrays):
    for array in arrays:
        array.setflags(write=False)
    return arrays
