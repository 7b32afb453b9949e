"""skcnn.save and skcnn.load: the same classifier again, from a file without code."""

import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.metrics import make_scorer, recall_score
from sklearn.pipeline import make_pipeline

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn._storage.encoding import KNOWN
from skcnn._storage.missing import Missing
from skcnn._trees import leaves
from skcnn.augmentation import Crop, Cutout, Flip, Rotate, Shift
from skcnn.layers import BatchNorm, Conv2D, Dense, Flatten, Layer, LeakyReLU, MaxPool2D, ReLU, Residual, Sequential
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop
from skcnn.presets import EXERCISE
from skcnn.schedules import Cosine, ReduceOnPlateau

DAMAGE = Path(__file__).parents[1] / "benchmarks" / "damage.py"
USUAL = {"n_kernels": "auto", "hidden_layer_sizes": "auto"}  # the default values, which `layers` needs


@dataclass(frozen=True, repr=False)
class Scaled(Layer):
    """A layer of one's own."""

    factor: float = 0.5

    def forward(self, params, x, context):
        return x * x.dtype.type(self.factor), None

    def backward(self, params, cache, d_out, context):
        return d_out * d_out.dtype.type(self.factor), {}


class Double(Layer):
    """A layer that is no dataclass itself, with a constructor."""

    def __init__(self, times):
        object.__setattr__(self, "times", times)

    def forward(self, params, x, context):
        return x * x.dtype.type(self.times), None

    def backward(self, params, cache, d_out, context):
        return d_out * d_out.dtype.type(self.times), {}


@dataclass(eq=False)
class Signs:
    """An optimizer of one's own, with a state that is no flat dict."""

    size: float = 1.0

    def init(self, weights):
        return {"nested": [{"n": (0, "text")}, np.float32(2.5)], "velocities": [np.zeros_like(w) for w in weights]}

    def step(self, weights, grads, state, learning_rate):
        n, text = state["nested"][0]["n"]
        state["nested"][0]["n"] = (n + 1, text)
        for w, g, v in zip(weights, grads, state["velocities"], strict=True):
            v += g
            w -= self.size * learning_rate * np.sign(v)


def noise(images, rng):
    return images + rng.normal(0, 0.05, images.shape).astype(images.dtype)


def other_noise(images, rng):
    return images


other_noise.__name__ = "noise"


def halves(epoch, n_epochs):
    return 0.5**epoch


def bits(clf):
    return [array.tobytes() for _, array in leaves([clf.network_.params, clf.network_.states])]


def again(clf, folder, custom_objects=None, **options):
    skcnn.save(clf, folder / "model", **options)
    return skcnn.load(folder / "model", custom_objects)


def require_same(clf, same, X):
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected, found = getattr(clf, method)(X), getattr(same, method)(X)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert bits(same) == bits(clf)
    for name in ("history_", "t_", "n_iter_", "stop_reason_", "best_iter_", "best_validation_score_", "image_shape_"):
        assert repr(getattr(same, name)) == repr(getattr(clf, name)), name
    assert repr(same.get_params()) == repr(clf.get_params())


BLOCK = Residual([Conv2D(4, bias=False), BatchNorm(), ReLU(), Sequential([Conv2D(4, bias="position")])])
SETTINGS = {
    "defaults": {},
    "float32": {"dtype": "float32", "scaling": "standard"},
    "early stopping": {"early_stopping": True, "max_iter": 3, "scoring": "balanced_accuracy"},
    "layers": {"layers": [Conv2D(2), BLOCK, MaxPool2D(), Flatten(), Dense(4)], **USUAL, "batch_size": 8},
    "fractions": {"learning_rate_init": Fraction(1, 500), "alpha": Fraction(0)},
    "NumPy numbers": {"alpha": np.float32(0.1), "batch_size": np.int64(7), "shuffle": np.True_},
    "objects": {
        "solver": ClipNorm(RMSprop(momentum=0.5), max_norm=2),
        "learning_rate": ReduceOnPlateau(patience=1),
        "augment": (Flip(), Shift(1), Rotate(5), Crop(0.9), Cutout(2)),
        "activation": LeakyReLU(0.2),
    },
    "sequences": {"n_kernels": [4, 6], "kernel_size": ((3, 2), 3), "pool_size": [1, 2], "padding": ("same", (1, 0))},
    "class weights": {"class_weight": {0: 1.0, 1: 2, np.int64(2): np.float64(0.5)}},
    "random state": {"random_state": np.random.RandomState(3)},
    "batch norm": {"batch_norm": True, "dropout": 0.2, "batch_size": 8},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_loaded_classifier_is_the_same(name, make, data, tmp_path):
    clf = make(**{"max_iter": 3, "batch_size": 4, "hidden_layer_sizes": 16, **SETTINGS[name]}).fit(*data)
    same = again(clf, tmp_path)
    if name == "random state":
        assert clf.random_state.random_sample(700).tobytes() == same.random_state.random_sample(700).tobytes()
        same.random_state = clf.random_state
    require_same(clf, same, data[0])
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


LABELS = {
    "str": np.array(["a", "bc", "ü"]),
    "bool": np.array([False, True]),
    "int8": np.array([-3, 0, 5], np.int8),
    "uint64": np.array([1, 2**64 - 1], np.uint64),
    "float": np.array([-5.0, 0.0, 1.0]),
    "big-endian": np.array([1, 2, 3], ">i4"),
    "object str": np.array(["a", "b", "c"], object),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_type(name, make, data, tmp_path):
    X, labels = data[0], LABELS[name]
    clf = make().fit(X, labels[np.arange(len(X)) % len(labels)])
    same = again(clf, tmp_path)
    assert (same.classes_.dtype, same.classes_.tolist()) == (clf.classes_.dtype, clf.classes_.tolist())
    require_same(clf, same, X)


def test_names_of_features(make, data, tmp_path):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(data[0], columns=[f"pixel {i}" for i in range(36)])
    clf = make().fit(X, data[1])
    same = again(clf, tmp_path)
    assert same.feature_names_in_.tolist() == clf.feature_names_in_.tolist()
    require_same(clf, same, X)


@pytest.mark.parametrize(
    "solver", [SGD(), RMSprop(momentum=0.5), Adam(), "adamw", ClipNorm(AdamW()), Signs()], ids=repr
)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_training_continues_as_if_it_had_not_been_saved(solver, how, make, data, tmp_path):
    clf = make(solver=solver, warm_start=how == "warm_start", batch_size=8)
    train = (
        (lambda clf: clf.partial_fit(*data, classes=[0, 1, 2])) if how == "partial_fit" else lambda clf: clf.fit(*data)
    )
    train(clf)
    same = again(clf, tmp_path, {"Signs": Signs}, include_optimizer=True)
    train(clf)
    train(same)
    assert bits(same) == bits(clf)
    assert (same.loss_curve_, same.t_) == (clf.loss_curve_, clf.t_)


def test_without_the_optimizer_the_file_is_smaller_and_training_starts_with_a_new_one(make, data, tmp_path):
    clf = make().partial_fit(*data, classes=[0, 1, 2])
    skcnn.save(clf, tmp_path / "small")
    skcnn.save(clf, tmp_path / "large", include_optimizer=True)
    assert (tmp_path / "small").stat().st_size < (tmp_path / "large").stat().st_size
    same = skcnn.load(tmp_path / "small").partial_fit(*data)
    assert bits(same) != bits(clf.partial_fit(*data))


def test_the_file_is_hardly_larger_than_the_weights(tmp_path):
    X, y = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
    clf = NumpyCNNClassifier(**{**EXERCISE, "max_iter": 1}, random_state=0).fit(X, y)
    skcnn.save(clf, tmp_path / "model")
    weights = clf.network_.n_params * 4
    assert (tmp_path / "model").stat().st_size <= 1.05 * weights + 10_000


def test_the_same_content_gives_the_same_bytes_and_numpy_opens_it(fitted, data, tmp_path):
    for name in ("one", "other"):
        skcnn.save(fitted, tmp_path / name)
        fitted.predict(data[0])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with np.load(tmp_path / "one", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["params.0.W"], fitted.coefs_[0])


def test_all_configuration_objects_are_in_the_table():
    for module in (skcnn.layers, skcnn.optimizers, skcnn.schedules, skcnn.augmentation):
        public = [getattr(module, name) for name in module.__all__]
        classes = [item for item in public if isinstance(item, type) and hasattr(item, "__dataclass_fields__")]
        assert set(classes) <= set(KNOWN.values())


# objects of one's own


def test_own_objects_come_back(make, data, tmp_path):
    scorer = make_scorer(recall_score, average="macro")
    clf = make(
        layers=[Conv2D(2, initializer=draw), Scaled(0.25), Double(2), Flatten()], **USUAL, augment=[noise, Shift(1)],
        solver=Signs(0.1), learning_rate=halves, scoring=scorer, early_stopping=True, max_iter=2, warm_start=True,
    ).fit(*data)  # fmt: skip
    objects = {
        "Scaled": Scaled, "Double": Double(2), "noise": noise, "Signs": Signs, "halves": halves, "draw": draw,
        type(scorer).__name__: scorer,
    }  # fmt: skip
    same = again(clf, tmp_path, objects, include_optimizer=True)
    assert same.layers[1] == Scaled(0.25)
    assert (same.augment, same.learning_rate, same.scoring, same.solver.size) == (
        [noise, Shift(1)],
        halves,
        scorer,
        0.1,
    )
    assert bits(same.fit(*data)) == bits(clf.fit(*data))


def draw(shape, rng):
    return rng.normal(0, 0.1, shape)


def test_without_own_objects_known_layers_predict_and_training_says_what_it_lacks(make, data, tmp_path):
    clf = make(augment=[Shift(1), noise], learning_rate=halves, solver=ClipNorm(Signs())).fit(*data)
    same = again(clf, tmp_path)
    assert same.predict_proba(data[0]).tobytes() == clf.predict_proba(data[0]).tobytes()
    assert "<missing 'noise': pass custom_objects={'noise': ...} to skcnn.load>" in repr(same.get_params())
    assert isinstance(again(same, tmp_path).learning_rate, Missing)
    for train in (same.fit, same.partial_fit):
        with pytest.raises(ValueError, match="loaded without '") as error:
            train(*data)
        for name in ("'halves' (learning_rate)", "'noise' (augment[1])", "'Signs' (solver.optimizer)"):
            assert name in str(error.value)
    same.set_params(augment=None, learning_rate="constant", solver="adam").fit(*data)


def test_a_missing_layer_is_an_error_that_names_it(make, data, tmp_path):
    clf = make(layers=[Sequential([Conv2D(2), Scaled()]), Flatten()], **USUAL).fit(*data)
    with pytest.raises(ValueError, match=r"path='.*model'.*fields; pass custom_objects=\{'Scaled': \.\.\.\}"):
        again(clf, tmp_path)
    require_same(clf, again(clf, tmp_path, {"Scaled": Scaled}), data[0])
    for wrong, text in [
        (Scaled(), "must be the class"),
        (ReLU, "cannot be made"),
        (Fraction, "must be the class of a dataclass"),
    ]:
        with pytest.raises(ValueError, match=rf"custom_objects\['Scaled'\].*({text})"):
            skcnn.load(tmp_path / "model", {"Scaled": wrong})
    with pytest.raises(TypeError, match="custom_objects must be a dict"):
        skcnn.load(tmp_path / "model", Scaled)


def halved(x):
    return x * x.dtype.type(0.5)


@dataclass(frozen=True, repr=False)
class Function(Layer):
    """A layer with an own function and other layers in its fields, one of them with the name of a tag."""

    custom: Any = halved
    object: Any = 0.5
    inner: Any = None

    def forward(self, params, x, context):
        return self.custom(x), None

    def backward(self, params, cache, d_out, context):
        return d_out * d_out.dtype.type(0.5), {}


@pytest.mark.parametrize("custom", [halved, (halved,), {"f": [halved]}], ids=["plain", "tuple", "dict"])
def test_functions_in_the_fields_of_own_layers_are_needed_to_predict(custom, make, data, tmp_path):
    function = Function(custom, inner=Sequential([Conv2D(2, initializer=draw)]))
    if custom is not halved:
        function = Function(halved, object=function)
    clf = make(layers=[Conv2D(2, initializer=draw), function, Flatten()], **USUAL).fit(*data)
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Function': \.\.\., 'halved': \.\.\.\}$"):
        again(clf, tmp_path)
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'halved': \.\.\.\}$"):
        again(clf, tmp_path, {"Function": Function})
    same = again(clf, tmp_path, {"Function": Function, "halved": halved})
    assert same.predict_proba(data[0]).tobytes() == clf.predict_proba(data[0]).tobytes()
    with pytest.raises(ValueError, match=r"loaded without 'draw'.*which it needs; pass"):
        same.fit(*data)


def test_two_missing_layers_that_are_no_dataclasses(make, data, tmp_path):
    clf = make(layers=[Conv2D(2), Double(1), Double(2), Flatten()], **USUAL).fit(*data)
    with pytest.raises(ValueError, match=r"pass custom_objects=\{'Double': \.\.\., 'Double#2': \.\.\.\}$"):
        again(clf, tmp_path)
    require_same(clf, again(clf, tmp_path, {"Double": clf.layers[1], "Double#2": clf.layers[2]}), data[0])


def test_layers_that_are_parameters_but_not_in_the_network_may_be_missing(make, data, tmp_path):
    clf = make().fit(*data).set_params(layers=[Sequential([Scaled()]), Flatten()])
    same = again(clf, tmp_path)
    assert same.predict_proba(data[0]).tobytes() == clf.predict_proba(data[0]).tobytes()
    with pytest.raises(ValueError, match="loaded without 'Scaled'"):
        same.fit(*data)


class Mode(StrEnum):
    HALF = "half"


@dataclass(frozen=True, repr=False)
class Moded(Scaled):
    """A layer whose own code depends on the type of a field."""

    mode: Any = Mode.HALF

    def forward(self, params, x, context):
        return (x * x.dtype.type(0.5) if self.mode is Mode.HALF else x), None


@pytest.mark.parametrize("mode", [Mode.HALF, [Mode.HALF], namedtuple("Size", "width")(3)], ids=repr)
def test_fields_that_would_have_another_type_are_refused(mode, make, data, tmp_path):
    clf = make(layers=[Conv2D(2), Moded(mode=mode), Flatten()], **USUAL).fit(*data)
    with pytest.raises(TypeError, match=r"layers\[1\]\.mode.* is .*, which cannot be stored without code"):
        skcnn.save(clf, tmp_path / "model")


def test_two_objects_of_one_name_are_told_apart(make, data, tmp_path):
    clf = make(augment=[noise, other_noise, noise]).fit(*data)
    same = again(clf, tmp_path, {"noise": noise})
    assert same.augment[0] is same.augment[2] is noise
    assert isinstance(same.augment[1], Missing)
    assert skcnn.load(tmp_path / "model", {"noise": noise, "noise#2": other_noise}).augment == clf.augment


# errors


@pytest.mark.parametrize(
    ("value", "text"),
    [({"alpha": 1j}, r"alpha is 1j, which cannot be stored without code; use joblib.dump"),
     ({"random_state": np.random.RandomState(np.random.PCG64(0))}, "random_state is RandomState.*use joblib.dump")],
)  # fmt: skip
def test_a_parameter_that_cannot_be_saved_is_an_error_that_names_it(value, text, fitted, tmp_path):
    with pytest.raises(TypeError, match=text):
        skcnn.save(fitted.set_params(**value), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_fitted_classifier_is_refused(make, fitted, tmp_path):
    with pytest.raises(NotFittedError):
        skcnn.save(make(), tmp_path / "model")
    for other in (make_pipeline(fitted), None, type("Sub", (NumpyCNNClassifier,), {})()):
        with pytest.raises(TypeError, match=r"clf must be a NumpyCNNClassifier, got .*joblib.dump"):
            skcnn.save(other, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", [lambda clf, path: skcnn.save(clf, path), lambda clf, path: skcnn.load(path)])
def test_a_path_that_is_no_file_is_refused(call, fitted, tmp_path):
    for path, error in [(b"x", TypeError), (3, TypeError), ("", ValueError), ("a\0b", ValueError), (tmp_path, OSError)]:
        with pytest.raises(error, match="path"):
            call(fitted, path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        call(fitted, tmp_path / "nowhere" / "model")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="path must be the path of a file, but is a device, a pipe"):
        call(fitted, tmp_path / "pipe")


def test_other_files_are_refused(make, data, tmp_path):
    (tmp_path / "text").write_text("text")
    np.savez(tmp_path / "arrays.npz", np.zeros(3))
    for name in ("text", "arrays.npz"):
        with pytest.raises(ValueError, match=rf"path='.*{name}' is not a model saved by skcnn.save, or is damaged"):
            skcnn.load(tmp_path / name)
    clf = make().fit(*data, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match=r"path='.*c.finished' is a checkpoint, but must be a model"):
        skcnn.load(tmp_path / "c.finished")
    skcnn.save(clf, tmp_path / "c")
    (tmp_path / "c.finished").unlink()
    with pytest.raises(ValueError, match=r"checkpoint='.*c' is a model, but must be a checkpoint"):
        clf.fit(*data, checkpoint=tmp_path / "c")


def test_versions(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("skcnn._estimator.file_kind.__version__", "0.0.7")
    skcnn.save(fitted, tmp_path / "old")
    monkeypatch.setattr("skcnn._estimator.file_kind.FORMAT", 2)
    skcnn.save(fitted, tmp_path / "new")
    monkeypatch.undo()
    with pytest.warns(InconsistentVersionWarning, match=r"saved by skcnn 0\.0\.7"):
        skcnn.load(tmp_path / "old")
    with pytest.raises(ValueError, match=r"path='.*new' was written by skcnn 0\.0\.7, and .* cannot read it; update"):
        skcnn.load(tmp_path / "new")


def test_a_new_process_loads_it(fitted, data, tmp_path):
    skcnn.save(fitted, tmp_path / "model")
    np.save(tmp_path / "X.npy", data[0])
    script = """
import sys, numpy as np, skcnn
folder = sys.argv[1]
np.save(folder + "/out.npy", skcnn.load(folder + "/model").predict_proba(np.load(folder + "/X.npy")))
"""
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), fitted.predict_proba(data[0]))


def test_damaged_files_are_refused():
    done = subprocess.run([sys.executable, DAMAGE, "--files", "150"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("a clear error") > 10


def test_a_partial_function_is_one_object(make, data, tmp_path):
    schedule = partial(halves)
    clf = make(learning_rate=schedule).fit(*data)
    assert again(clf, tmp_path, {"partial": schedule}).learning_rate is schedule


def test_cosine_is_stored_with_all_its_fields(make, data, tmp_path):
    assert again(make(learning_rate=Cosine(warm_up=1)).fit(*data), tmp_path).learning_rate == Cosine(warm_up=1)
