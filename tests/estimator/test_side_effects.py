"""What fit and predict leave as it was: the settings, the random states and the arguments of the caller."""

import pickle
import random
import threading
import warnings
from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn._engine.numpy_settings import BUFFER_ELEMENTS

pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_strict_floating_point_errors_of_the_caller(large, n_jobs, dtype, scaling, n_classes):
    # without scaling, pixels of 1e4 give logits so large that probabilities and gradients underflow
    X, y = (1e4 if scaling is None else 1) * large[0], large[1] % n_classes
    X[0] *= 1e-42  # subnormal numbers in float32
    clf = NumpyCNNClassifier(
        *(2, 3, 2, 4), batch_size=64, max_iter=2, learning_rate_init=1e-6, random_state=0,
        n_jobs=n_jobs, dtype=dtype, scaling=scaling,
    )  # fmt: skip
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The network has learnt nothing", ConvergenceWarning)  # at such a low rate
        clf.fit(X, y, sample_weight=np.linspace(1e-30, 1, 150), X_val=X, y_val=y)
        clf.partial_fit(X[:70], y[:70])
        clone(clf).set_params(early_stopping=True, class_weight="balanced").fit(X, y)
        clf.coefs_[-1][...] *= 1e3 / np.abs(clf.decision_function(X)).max()
        for name in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
            getattr(clf, name)(X)
        clf.score(X, y)
        assert np.geterr() == dict.fromkeys(("divide", "over", "under", "invalid"), "raise")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_overflow_in_a_shard_raises_our_error_and_no_warning_of_numpy(large, n_jobs):
    # a new thread does not inherit np.errstate, and NumPy must not warn there either
    X, y = large
    clf = NumpyCNNClassifier(
        *(2, 3, 2, 4), activation="identity", batch_size=64, max_iter=1, dtype="float32", n_jobs=n_jobs, random_state=0
    ).fit(X, y)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the pixels of X reach")
        with pytest.raises(ValueError, match="values too large for this network"):
            clf.predict(np.full(X.shape, 1e308))


def test_global_random_states_are_left_alone(make, data):
    np.random.seed(1)  # a fresh interpreter does not have this state
    numpy_state, python_state = pickle.dumps(np.random.get_state()), random.getstate()
    clf = make(early_stopping=True, max_iter=2).fit(*data)
    clf.predict_proba(data[0])
    clf.set_params(early_stopping=False).partial_fit(*data)
    assert pickle.dumps(np.random.get_state()) == numpy_state
    assert random.getstate() == python_state


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_arguments_are_not_modified(make, data, dtype, scaling, shape):
    # the arrays are writable and have the precision of the network, so nothing forces a copy
    X = np.rint(30 * data[0] + 100).clip(0, 255).astype(dtype).reshape(shape)
    y, weight = data[1].copy(), np.linspace(0, 2, 40).astype("float32")
    arguments = {"X": X, "y": y, "sample_weight": weight, "X_val": X.copy(), "y_val": y.copy()}
    before = deepcopy(arguments)
    class_weight = {0: 2.0, 1: 0.5}
    clf = make(scaling=scaling, class_weight=class_weight).fit(**arguments)
    clf.partial_fit(X, y, weight)
    clf.predict_proba(X)
    clf.score(X, y, weight)
    assert all(arguments[name].tobytes() == before[name].tobytes() for name in arguments)
    assert class_weight == {0: 2.0, 1: 0.5}


def test_numpy_s_settings_are_the_caller_s_again(uint8_images):
    X, y = uint8_images
    seen = []

    def augment(x, rng):
        seen.append((threading.current_thread(), np.getbufsize(), np.geterr()["over"]))
        return x

    before = np.getbufsize(), np.geterr()
    clf = NumpyCNNClassifier(augment=augment, max_iter=2, n_jobs=2, random_state=0).fit(X, y)
    clf.predict(X)
    with pytest.raises(ZeroDivisionError):
        clf.set_params(augment=lambda x, rng: 1 / 0).fit(X, y)
    assert (np.getbufsize(), np.geterr()) == before
    assert {(size, over) for _, size, over in seen} == {(BUFFER_ELEMENTS, "ignore")}
