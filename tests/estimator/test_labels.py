"""The labels y: their types, and those that are refused."""

import tracemalloc
from collections import deque

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning


@pytest.mark.parametrize(
    ("y", "text"),
    [
        pytest.param(None, "requires y to be passed", id="none"),
        pytest.param(np.arange(39) % 3, "inconsistent numbers of samples", id="short"),
        pytest.param([], "inconsistent numbers of samples", id="empty"),
        pytest.param([np.nan, 0.0] * 20, "Input y contains NaN", id="nan"),
        pytest.param([np.inf, 0.0] * 20, "Input y contains infinity", id="inf"),
    ],
)
def test_no_labels(make, data, y, text):
    with pytest.raises(ValueError, match=text):
        make().fit(data[0], y)


def test_continuous_labels(make, data):
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        make().fit(data[0], np.linspace(0, 1, 40))


LABELS = {
    "whole_floats": np.array([1.0, 2.0, 3.0]),
    "float32": np.array([1, 2, 3], dtype="float32"),
    "negative": np.array([-5, -1, 3]),
    "gaps": np.array([0, 1000, 10**12]),
    "uint8": np.array([0, 128, 255], dtype="uint8"),
    "bool": np.array([False, True]),
    "str": np.array(["bag", "shirt", "ankle boot"]),
    "object_str": np.array(["bag", "shirt", "ankle boot"], dtype=object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_keep_type_and_value(make, data, kind):
    labels = LABELS[kind]
    y = labels[np.arange(40) % len(labels)]
    clf = make(max_iter=40).fit(data[0], y)
    predicted = clf.predict(data[0])
    assert clf.classes_.tolist() == sorted(labels.tolist())
    assert predicted.dtype == clf.classes_.dtype == y.dtype
    assert set(predicted.tolist()) <= set(labels.tolist())
    assert clf.score(data[0], y) == np.mean(predicted == y)


MISSING = {
    "None": None,
    "NaN": np.nan,
    "NaN of NumPy": np.float32("nan"),
    "NA of pandas": pd.NA,
    "NaT of pandas": pd.NaT,
}


@pytest.mark.parametrize("form", [list, deque, lambda y: np.array(y, object), lambda y: pd.Series(y, dtype=object)])
@pytest.mark.parametrize("position", [0, 5, 39])
@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_missing_among_strings(make, data, missing, position, form):
    y = np.array(["bag", "shirt"] * 20, dtype=object)
    y[position] = missing
    with pytest.raises(ValueError, match=f"y contains 1 missing labels, the first at position {position} .*remove"):
        make().fit(data[0], form(y))
    with pytest.raises(
        ValueError, match=f"X_val, y_val: y contains 1 missing labels, the first at position {position} "
    ):
        make().fit(data[0], ["bag", "shirt"] * 20, X_val=data[0], y_val=form(y))
    with pytest.raises(ValueError, match=f"classes contains 1 missing labels, the first at position {position} "):
        make().partial_fit(data[0], ["bag", "shirt"] * 20, classes=form(y))


MISSING_IN_TYPES = {
    "text": pd.Series(["bag", None] * 20),
    "string": pd.Series(["bag", None] * 20, dtype="string"),
    "categories": pd.Categorical(["bag", None] * 20),
    "column of categories": pd.Series(["bag", None] * 20, dtype="category"),
    "frame": pd.DataFrame({"y": ["bag", None] * 20}),
    "dates": np.array(["2020-01-01", "NaT"] * 20, "M8[D]"),
    "spans": np.array([5, "NaT"] * 20, "m8[D]"),
    "integers in a list": [1, None] * 20,
}


@pytest.mark.parametrize("y", MISSING_IN_TYPES.values(), ids=MISSING_IN_TYPES)
def test_missing_in_other_types(make, data, y):
    with pytest.raises(ValueError, match="y contains 20 missing labels, the first at position 1 "):
        make().fit(data[0], y)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "float64"])
def test_missing_among_numbers(make, data, dtype):
    with pytest.raises(ValueError, match="Input y contains NaN"):
        make().fit(data[0], pd.Series([1, None] * 20, dtype=dtype))


@pytest.mark.parametrize("y", [[1, "one"] * 20, ["one", 1] * 20, [True, "no"] * 20], ids=str)
@pytest.mark.parametrize("form", [list, lambda y: np.array(y, object), lambda y: pd.Series(y, dtype=object)])
def test_numbers_and_strings(make, data, y, form):
    with pytest.raises(
        ValueError, match=r"Unknown label type: y is an array of Python objects of type \w+ and \w+; all"
    ):
        make().fit(data[0], form(y))
    with pytest.raises(ValueError, match=r"Unknown label type: classes is an array of Python objects"):
        make().partial_fit(data[0], y, classes=form(y))


@pytest.mark.parametrize("label", [1, True, (1, 2), {"a": 1}], ids=repr)
def test_python_objects_as_labels(make, data, label):
    y = np.empty(40, object)
    y[:] = [label] * 40
    with pytest.raises(
        ValueError, match=r"Unknown label type: y is an array of Python objects of type .*y\.astype\(int\)"
    ):
        make().fit(data[0], y)


@pytest.mark.parametrize("y", [[b"a", b"b"] * 20, np.array([b"a", b"b"] * 20, object)], ids=["list", "objects"])
def test_labels_in_bytes(make, data, y):
    # a warning in older versions of scikit-learn
    with pytest.raises((TypeError, FutureWarning), match="labels represented as bytes is"):
        make().fit(data[0], y)


@pytest.mark.parametrize("y", [3, "bag", {1, 2}, (label for label in [1])], ids=lambda y: type(y).__name__)
def test_no_array_of_labels(make, data, y):
    with pytest.raises(ValueError, match="y must be an array or a list of labels, got"):
        make().fit(data[0], y)
    with pytest.raises(ValueError, match="classes must be an array or a list of labels, got"):
        make().partial_fit(*data, classes=y)


def test_lists_of_labels_for_a_sample(make, data):
    with pytest.raises(
        ValueError, match="y must contain one class label per sample; y cannot be converted to an array"
    ):
        make().fit(data[0], [[1], [1, 2]] * 20)


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        ([0, 0.5, 1], "Unknown label type: continuous. classes must contain class labels"),
        (np.eye(3), r"classes must contain one class label per sample, got shape \(3, 3\)"),
        ([0, 1, np.nan], "Input classes contains NaN"),
    ],
)
def test_classes_that_are_no_labels(make, data, classes, text):
    with pytest.raises(ValueError, match=text):
        make().partial_fit(*data, classes=classes)


@pytest.mark.parametrize("y", [None, [[1, 2]] * 40, np.eye(3)[np.arange(40) % 3]], ids=["None", "lists", "one-hot"])
def test_scores_need_labels(fitted, data, y):
    with pytest.raises(ValueError, match=r"y_true|targets"):
        fitted.score(data[0], y)


def test_strings_of_numpy(make, data):
    dtypes = pytest.importorskip("numpy.dtypes")
    if not hasattr(dtypes, "StringDType"):
        pytest.skip("NumPy 2 and newer")
    y = np.array(["bag", "shirt"] * 20, dtype=dtypes.StringDType())
    clf = make().fit(data[0], y)
    assert clf.classes_.tolist() == ["bag", "shirt"]
    assert clf.score(data[0], y) == clf.score(data[0], y.tolist())


def test_column_of_labels(make, data):
    X, y = data
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        clf = make().fit(X, y[:, np.newaxis])
    assert clf.predict_proba(X).tobytes() == make().fit(X, y).predict_proba(X).tobytes()


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_one_hot_labels(make, data, dtype):
    with pytest.raises(ValueError, match=r"multilabel-indicator.*one class label per sample"):
        make().fit(data[0], np.eye(3, dtype=dtype)[data[1]])


@pytest.mark.parametrize("shape", [(40, 6, 6), (40, 4, 3, 3)], ids=str)
def test_images_as_labels(make, data, shape):
    with pytest.raises(ValueError, match=r"y must contain one class .* got shape .* images, so X and y may be swapped"):
        make().fit(data[1], data[0].reshape(shape))


@pytest.mark.parametrize("shift", [1, 0.5])
def test_several_outputs(make, data, shift):
    with pytest.raises(ValueError, match=r"Unknown label type: .*multioutput"):
        make().fit(data[0], np.column_stack([data[1], data[1] + shift]))


@pytest.mark.parametrize("label", [7, "bag"])
def test_one_class(make, data, label):
    clf = make().fit(data[0], [label] * 40)
    assert clf.predict_proba(data[0]).tolist() == [[1.0]] * 40
    assert clf.predict(data[0]).tolist() == [label] * 40


@pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%:UserWarning")
def test_every_label_unique(make, data):
    clf = make().fit(data[0], np.arange(40))
    assert clf.predict_proba(data[0]).shape == (40, 40)


def test_memory_is_linear_in_the_number_of_classes(make, data):
    def peak(n_classes):
        clf = make(batch_size=40)
        tracemalloc.start()
        try:
            clf.partial_fit(*data, classes=np.arange(n_classes))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # the first call imports modules
    assert peak(10_000) < 2.5 * peak(5_000)
    assert peak(10_000) < 100e6  # a matrix of 10,000 x 10,000 numbers in float64 needs 800 MB
