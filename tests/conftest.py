"""Small data and a small network, for all tests that do not measure accuracy."""

from __future__ import annotations

import os
import signal

# SciPy reads this variable on import; without it scikit-learn skips one of its checks
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

SMALL = {
    "n_kernels": 2,
    "hidden_layer_sizes": 4,
    "max_iter": 1,
    "learning_rate_init": 0.03,
    "learning_rate": "cosine",  # a cycle of one or two epochs hardly trains
    "random_state": 0,
}


@pytest.fixture(autouse=True)
def no_ctrl_c_before(monkeypatch):
    """Forget earlier presses of Ctrl-C: the first press in a test counts as the first one."""
    monkeypatch.setattr("skcnn._training.interruption._last_press", [-np.inf])


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise KeyboardInterrupt, as in a terminal: a shell starts background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def make():
    """Return a function that makes an unfitted network small enough to train in milliseconds."""

    def make(**parameters):
        return NumpyCNNClassifier(**{**SMALL, **parameters})

    return make


@pytest.fixture(scope="session")
def data():
    """40 flat images of 6 x 6 in float64, of 3 classes that differ in brightness. The arrays are read-only."""
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
    """All of scikit-learn's digits: X_train, X_test, y_train, y_test."""
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)


@pytest.fixture
def uint8_images(rng):
    """150 images of 28 x 28 in uint8, of 3 classes that differ in brightness. They are drawn from `rng`."""
    y = rng.integers(0, 3, 150)
    return (rng.integers(0, 156, (150, 28, 28)) + 50 * y[:, np.newaxis, np.newaxis]).astype(np.uint8), y


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def torch():
    """PyTorch on one thread. Tests that need it are skipped where it is not installed."""
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
