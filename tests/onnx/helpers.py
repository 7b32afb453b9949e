"""What the tests of the export share."""

import warnings

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn._engine.backends import missing_backend

needs_numba = pytest.mark.skipif(bool(missing_backend("numba")), reason="needs numba")
both_backends = pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=needs_numba)])
BATCHES = (1, 100)


def session(model):
    """Return the model in onnxruntime."""
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def outputs(model, X):
    """Return the labels and the probabilities that the model predicts for X, in onnxruntime."""
    return session(model).run(None, {"X": X})


def assert_same(model, clf, X):
    """Compare labels and probabilities with the classifier's, for batches of 1 and 100 images."""
    run = session(model)
    for n in BATCHES:
        label, probabilities = run.run(["label", "probabilities"], {"X": X[:n]})
        expected = clf.predict_proba(X[:n])
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
        clear = np.diff(np.sort(expected, axis=1)[:, -2:], axis=1)[:, 0] > 2e-5  # otherwise, rounding decides
        assert clear.mean() > 0.9
        np.testing.assert_array_equal(label[clear], clf.predict(X[:n])[clear])


def fitted_on(X, y, **parameters):
    """Return a small classifier, fitted on X and y without warnings: random images teach it nothing."""
    small = {"n_kernels": 4, "hidden_layer_sizes": 8, "max_iter": 1, "batch_size": 20, "random_state": 0}
    if "layers" in parameters:
        small = {name: value for name, value in small.items() if name not in ("n_kernels", "hidden_layer_sizes")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return NumpyCNNClassifier(**{**small, **parameters}).fit(X, y)
