"""Copies of a classifier: pickle, joblib, memory maps and deepcopy."""

import io
import pickle
import subprocess
import sys
import weakref
from copy import copy, deepcopy

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.model_selection import GridSearchCV

from skcnn import NumpyCNNClassifier
from skcnn._estimator import fitted as module
from skcnn.layers import Conv2D, Flatten
from skcnn.optimizers import SGD
from tests.scripts import run_script


@pytest.fixture(scope="module")
def all_digits():
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module", params=["float32", "float64"])
def fitted(request, all_digits):
    return NumpyCNNClassifier(max_iter=1, random_state=0, dtype=request.param).fit(*all_digits)


@pytest.mark.parametrize("library", ["joblib", "pickle"])
def test_a_new_process_gives_the_same_bytes(fitted, all_digits, library, tmp_path):
    path, out = tmp_path / "model", tmp_path / "probabilities"
    if library == "joblib":
        joblib.dump(fitted, path)
    else:
        path.write_bytes(pickle.dumps(fitted))
    load = "joblib.load(path)" if library == "joblib" else "pickle.loads(pathlib.Path(path).read_bytes())"
    script = f"""
import pathlib, pickle, sys, joblib
from sklearn.base import clone
from sklearn.datasets import load_digits
path, out = sys.argv[1:]
pathlib.Path(out).write_bytes({load}.predict_proba(load_digits().data).tobytes())
"""
    subprocess.run([sys.executable, "-c", script, path, out], check=True)
    assert out.read_bytes() == fitted.predict_proba(all_digits[0]).tobytes()


def test_pickles_are_the_same_before_and_after_predict(fitted, all_digits):
    before = pickle.dumps(fitted)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        getattr(fitted, method)(all_digits[0])
    fitted.score(*all_digits)
    assert pickle.dumps(fitted) == before


def test_pickles_hold_the_weights_once_and_no_images(fitted):
    weights = sum(array.nbytes for array in (*fitted.coefs_, *fitted.intercepts_))
    assert len(pickle.dumps(fitted)) < 1.15 * weights + 16_384


def test_an_unfitted_classifier_with_layers_survives():
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()], solver=SGD(momentum=0.5))
    assert pickle.loads(pickle.dumps(clf)).get_params() == clf.get_params()


def test_another_version_warns(fitted, monkeypatch):
    written = pickle.dumps(fitted)
    monkeypatch.setattr(module, "__version__", "9.9")
    with pytest.warns(InconsistentVersionWarning, match=r"saved by skcnn 0\.\d.* and is loaded by skcnn 9\.9"):
        loaded = pickle.loads(written)
    np.testing.assert_array_equal(loaded.classes_, fitted.classes_)


@pytest.mark.usefixtures("small_shards")
def test_unpickle_without_optional_packages(make, data, tmp_path):
    clf = make().fit(*data)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(clf))
    np.save(tmp_path / "X.npy", data[0])
    text = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tqdm", "pandas", "matplotlib", "torch"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Missing())
import pickle
import numpy as np
with open("model.pkl", "rb") as file:
    clf = pickle.load(file)
X = np.load("X.npy")
np.save("proba.npy", clf.predict_proba(X))
clf.fit(X, clf.predict(X))  # and it trains without tqdm
try:
    import tqdm
except ImportError:
    print("blocked")
"""
    done = run_script(text, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "blocked\n"
    assert np.load(tmp_path / "proba.npy").tobytes() == clf.predict_proba(data[0]).tobytes()


WRITERS = {
    **{f"protocol {p}": lambda clf, path, p=p: pickle.dumps(clf, protocol=p) for p in range(6)},
    "in a list": lambda clf, path: pickle.dumps([clf]),
    "in Python": lambda clf, path: pickle._dumps(clf),
    "joblib": joblib.dump,
    "joblib zlib": lambda clf, path: joblib.dump(clf, path, compress=3),
}


@pytest.mark.parametrize("parameter", ["learning_rate", "augment", "scoring", "initializer"])
@pytest.mark.parametrize("way", WRITERS)
def test_a_function_that_cannot_be_pickled_is_an_error_that_names_the_parameter(way, parameter, make, tmp_path):
    value = {
        "learning_rate": lambda epoch, n_epochs: 1.0,
        "augment": [lambda images, rng: images],
        "scoring": lambda clf, X, y: 1.0,
        "initializer": [Conv2D(2, initializer=lambda shape, rng: np.zeros(shape)), Flatten()],
    }[parameter]
    name = "layers" if parameter == "initializer" else parameter
    text = rf"{name}=.*<lambda>.* cannot be pickled; instead of lambda and local functions, .* skcnn\.save"
    with pytest.raises(pickle.PicklingError, match=text):
        WRITERS[way](make(**{name: value}), tmp_path / "model")


def test_a_function_in_the_network_that_cannot_be_pickled_is_named_too(make, data):
    layers = [Conv2D(2, initializer=lambda shape, rng: rng.normal(size=shape)), Flatten()]
    clf = make(layers=layers, n_kernels="auto", hidden_layer_sizes="auto").fit(*data).set_params(layers=None)
    with pytest.raises(pickle.PicklingError, match=r"layers=.* cannot be pickled"):
        pickle.dumps(clf)


class ByValue(pickle._Pickler):
    """A pickler that can also store lambda functions, as dill does."""

    def save_function(self, function):
        self.save_reduce(str, ("the code",), obj=function)

    dispatch = {**pickle._Pickler.dispatch, type(lambda: 0): save_function}  # noqa: RUF012


def test_pickling_keeps_no_objects_of_the_callers_alive(fitted):
    class Large:
        pass

    large = Large()
    there = weakref.ref(large)
    pickle.dumps(fitted)
    del large
    assert there() is None


def test_functions_survive_where_they_always_did(make, data):
    cloudpickle = pytest.importorskip("cloudpickle")
    clf = make(learning_rate=lambda epoch, n_epochs: 1.0).fit(*data)
    probabilities = clf.predict_proba(data[0]).tobytes()
    for same in (copy(clf), deepcopy([clf])[0], cloudpickle.loads(cloudpickle.dumps(clf)), clone(clf).fit(*data)):
        assert same.predict_proba(data[0]).tobytes() == probabilities
    ByValue(io.BytesIO()).dump(clf)
    search = GridSearchCV(clf, {"alpha": [0.1, 0.2]}, cv=2, n_jobs=2, error_score="raise").fit(*data)
    assert search.best_estimator_.predict(data[0]).shape == (40,)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("warm_start", [False, True])
def test_memory_mapped_models(make, data, tmp_path, warm_start):
    X, y = data
    clf = make(warm_start=warm_start).fit(X, y)
    path = tmp_path / "model.joblib"
    joblib.dump(clf, path)
    content = path.read_bytes()
    mapped = joblib.load(path, mmap_mode="r")
    assert all(isinstance(array, np.memmap) for array in mapped.coefs_)
    assert mapped.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()

    mapped.partial_fit(X, y)
    clf.partial_fit(X, y)
    assert mapped.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()
    assert not any(isinstance(array, np.memmap) for array in mapped.coefs_)
    assert path.read_bytes() == content


def via_joblib(compress):
    def copy(clf, folder):
        joblib.dump(clf, folder / "model", compress=compress)
        return joblib.load(folder / "model")

    return copy


COPIES = {
    **{f"protocol_{p}": lambda clf, folder, p=p: pickle.loads(pickle.dumps(clf, protocol=p)) for p in (2, 3, 4, 5)},
    "deepcopy": lambda clf, folder: deepcopy(clf),
    "joblib": via_joblib(0),
    "joblib_zlib": via_joblib(3),
    "joblib_xz": via_joblib(("xz", 3)),
}


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_predict_the_same_bits(make, data, tmp_path, way, dtype):
    clf = make(dtype=dtype, early_stopping=True, max_iter=2).fit(*data)
    copy = COPIES[way](clf, tmp_path)
    assert copy.predict_proba(data[0]).tobytes() == clf.predict_proba(data[0]).tobytes()
    assert copy.history_ == clf.history_
    assert copy.get_params() == clf.get_params()
    assert not any(np.shares_memory(a, b) for a, b in zip(copy.coefs_, clf.coefs_, strict=True))


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_pickle_holds_the_parameters_and_little_more(digits, protocol, dtype, early_stopping):
    X, y = digits
    clf = NumpyCNNClassifier(max_iter=2, dtype=dtype, early_stopping=early_stopping, random_state=0).fit(X, y)
    before = pickle.dumps(clf, protocol=protocol)
    assert clf.network_.n_params > 10_000  # the bound says little for fewer parameters
    # protocol 2 has no bytes and writes text, in which bytes from 128 on take two characters
    ratio = 1.15 if protocol > 2 else 1.6
    assert len(before) < ratio * clf.network_.n_params * clf.network_.dtype.itemsize + 16 * 1024
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        getattr(clf, name)(X)
    assert pickle.dumps(clf, protocol=protocol) == before
