import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import InconsistentVersionWarning

from skcnn import NumpyCNNClassifier
from skcnn._estimator import persistence
from skcnn.layers import Conv2D, Flatten
from skcnn.optimizers import SGD


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module", params=["float32", "float64"])
def fitted(request, digits):
    return NumpyCNNClassifier(max_iter=1, random_state=0, dtype=request.param).fit(*digits)


@pytest.mark.parametrize("library", ["joblib", "pickle"])
def test_a_new_process_gives_the_same_bytes(fitted, digits, library, tmp_path):
    path, out = tmp_path / "model", tmp_path / "probabilities"
    if library == "joblib":
        joblib.dump(fitted, path)
    else:
        path.write_bytes(pickle.dumps(fitted))
    load = "joblib.load(path)" if library == "joblib" else "pickle.loads(pathlib.Path(path).read_bytes())"
    script = f"""
import pathlib, pickle, sys, joblib
from sklearn.datasets import load_digits
path, out = sys.argv[1:]
pathlib.Path(out).write_bytes({load}.predict_proba(load_digits().data).tobytes())
"""
    subprocess.run([sys.executable, "-c", script, path, out], check=True)
    assert out.read_bytes() == fitted.predict_proba(digits[0]).tobytes()


def test_pickles_are_the_same_before_and_after_predict(fitted, digits):
    before = pickle.dumps(fitted)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        getattr(fitted, method)(digits[0])
    fitted.score(*digits)
    assert pickle.dumps(fitted) == before


def test_pickles_hold_the_weights_once_and_no_images(fitted):
    weights = sum(array.nbytes for array in (*fitted.coefs_, *fitted.intercepts_))
    assert len(pickle.dumps(fitted)) < 1.15 * weights + 16_384


def test_an_unfitted_classifier_with_layers_survives():
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()], solver=SGD(momentum=0.5))
    assert pickle.loads(pickle.dumps(clf)).get_params() == clf.get_params()


def test_another_version_warns(fitted, monkeypatch):
    written = pickle.dumps(fitted)
    monkeypatch.setattr(persistence, "__version__", "9.9")
    with pytest.warns(InconsistentVersionWarning, match=r"written by skcnn 0\.\d.* and is read by 9\.9"):
        loaded = pickle.loads(written)
    np.testing.assert_array_equal(loaded.classes_, fitted.classes_)
