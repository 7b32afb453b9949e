import numpy as np
import pytest

from skcnn import NumpyCNNClassifier, presets
from skcnn.datasets import load_fashion_mnist

EXERCISE_LAYERS = ["Conv2D", "ReLU", "Conv2D", "ReLU", "MaxPool2D", "Flatten", "Dense", "ReLU", "Dense"]
BLOCK = ["Conv2D", "BatchNorm", "ReLU"]
LAYERS = {
    "EXERCISE": EXERCISE_LAYERS,
    "EXERCISE_ORIGINAL": EXERCISE_LAYERS,
    "DEEP": [
        *(2 * [*BLOCK, *BLOCK, "MaxPool2D", "Dropout"]),
        *("Flatten", "Dense", "BatchNorm", "ReLU", "Dropout", "Dense"),
    ],
}
N_PARAMS = {
    "EXERCISE": 119_772,
    "EXERCISE_ORIGINAL": 119_772 + 2 * (784 - 1) * 6,
    "DEEP": 9 * (32 + 32 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 32 + 64 + 64 + 128) + 49 * 64 * 128 + 128 * 10 + 10,
}


@pytest.mark.parametrize("name", presets.__all__)
def test_presets_leave_nothing_to_defaults(name):
    preset = getattr(presets, name)
    yours = {"random_state", "n_jobs", "backend", "verbose", "warm_start"}
    assert set(preset) == set(NumpyCNNClassifier().get_params(deep=False)) - yours
    clf = NumpyCNNClassifier(**preset, random_state=0)
    clf.set_params(max_iter=1, batch_size=min(preset["batch_size"], 20))
    X, y = np.random.default_rng(0).integers(0, 256, (20, 28, 28)).astype(np.uint8), np.arange(20) % 10
    clf.fit(X, y)
    kinds = [type(layer).__name__ for layer in clf.network_.layers]
    assert kinds == LAYERS[name]
    assert clf.network_.n_params == N_PARAMS[name]


@pytest.mark.slow
def test_exercise_on_fashion_mnist():
    """The recipe learns in one epoch: batches of 1 on a third of the training images, batches of 32 on all."""
    X, y = load_fashion_mnist(return_X_y=True)
    X_test, y_test = load_fashion_mnist(subset="test", return_X_y=True)
    one = NumpyCNNClassifier(**{**presets.EXERCISE, "max_iter": 1, "random_state": 0}).fit(X[:20_000], y[:20_000])
    assert 0.80 < one.score(X_test, y_test) < 0.90
    faster = {"batch_size": 32, "max_iter": 1, "learning_rate_init": 0.05, "random_state": 0}
    assert 0.80 < NumpyCNNClassifier(**{**presets.EXERCISE, **faster}).fit(X, y).score(X_test, y_test) < 0.92
