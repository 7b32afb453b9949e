"""The outputs of single layers."""

import pickle
import re
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skcnn import NumpyCNNClassifier
from skcnn.layers import BatchNorm, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Residual, Sequential
from skcnn.layers.base import PREDICT

BACKENDS = ["numpy", pytest.param("numba", marks=pytest.mark.skipif(not find_spec("numba"), reason="needs numba"))]
BLOCK = Residual([Conv2D(4, bias=False), BatchNorm(), ReLU()])
LAYERS = [Conv2D(3), ReLU(), MaxPool2D(), BLOCK, Sequential([Sequential([ReLU(), Conv2D(2)]), Flatten()]), Dense(5)]


@pytest.fixture(scope="module")
def clf():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 8, 6, 2)), np.arange(60) % 3
    return NumpyCNNClassifier(layers=LAYERS, max_iter=1, dtype="float64", random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(1).normal(size=(200, 8, 6, 2))


def one_by_one(clf, X):
    """The outputs of all layers of the network, each computed from the one before by the layer alone."""
    network, form = clf.network_, clf._fitted.image_format
    out = (X - form.center) / form.width
    for layer, params, state in zip(network.layers, network.params, network.states, strict=True):
        out = layer.apply(params, out, PREDICT._replace(state=state))
        yield out


@pytest.mark.parametrize("backend", BACKENDS)
def test_activations_are_the_outputs_of_one_layer_after_the_other(clf, X, backend):
    clf.set_params(backend=backend)
    for index, expected in enumerate(one_by_one(clf, X)):
        found = clf.activations(X, layer=index)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(clf.activations(X, layer=index - len(clf.network_.layers)), found)
    clf.set_params(backend="numpy")


def test_by_default_they_are_the_outputs_of_the_network(clf, X):
    np.testing.assert_array_equal(clf.activations(X), clf.decision_function(X))


def test_layers_inside_chains(clf, X):
    pooled, summed = clf.activations(X, layer=2), clf.activations(X, layer=3)
    block = clf.network_.params[3]
    shortcut = pooled @ block["projection"]["W"][0, 0]
    np.testing.assert_allclose(clf.activations(X, layer=(3, 2)) + shortcut, summed, atol=1e-12)
    np.testing.assert_allclose(clf.activations(X, layer=(3, 0)), Conv2D(4, bias=False).apply(block["0"], pooled))
    np.testing.assert_array_equal(clf.activations(X, layer=(4, 0, 0)), np.maximum(summed, 0))
    rows = clf.activations(X, layer=(4, 0, 1)).reshape(len(X), -1)
    np.testing.assert_array_equal(rows, clf.activations(X, layer=(4, 1)))
    np.testing.assert_array_equal(rows, clf.activations(X, layer=4))


def test_the_first_part_of_a_network_has_only_its_own_parameters(clf):
    part = clf.network_.up_to((3, 0))
    assert part.shapes == ((8, 6, 2), (8, 6, 3), (8, 6, 3), (4, 3, 3), (4, 3, 4))
    assert part.n_params == 3 * 3 * 2 * 3 + 3 + 3 * 3 * 3 * 4
    assert part.params[0]["W"] is clf.network_.params[0]["W"]
    assert part.params[3]["0"]["W"] is clf.network_.params[3]["0"]["W"]
    assert clf.network_.up_to((4, 0, 0)).n_params == clf.network_.up_to(3).n_params


def test_the_number_of_threads_does_not_matter_and_nothing_is_written(make, uint8_images, small_shards):
    X, y = uint8_images
    clf = make(n_jobs=1).fit(X, y)
    before = pickle.dumps(clf)
    one = clf.activations(X, layer=1)
    assert pickle.dumps(clf) == before
    assert one.dtype == np.float32
    assert len(clf.network_.up_to(1).shards(len(X))) > 2
    np.testing.assert_array_equal(clf.set_params(n_jobs=2).activations(X, layer=1), one)


def test_images_may_be_flat(fitted, data):
    X = data[0]
    np.testing.assert_array_equal(fitted.activations(X, layer=0), fitted.activations(X.reshape(40, 6, 6), layer=0))


@pytest.mark.parametrize(
    ("layer", "error", "text"),
    [(99, IndexError, "layer=99: the network has"), ("Conv2D", TypeError, "layer='Conv2D' must be an int")],
)
def test_there_must_be_such_a_layer(fitted, data, layer, error, text):
    with pytest.raises(error, match=re.escape(text)):
        fitted.activations(data[0], layer=layer)


def test_errors_are_those_of_predict(make, fitted, data):
    with pytest.raises(NotFittedError):
        make().activations(data[0])
    with pytest.raises(ValueError, match=r"images of shape \(5, 5, 1\)"):
        fitted.activations(np.zeros((2, 5, 5)), layer=0)
    with pytest.warns(UserWarning, match="same scale"), pytest.raises(ValueError, match="not finite"):
        fitted.activations(np.full((1, 36), 1.7e308), layer=-2)
