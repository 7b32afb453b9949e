"""The labels y: their types, and those that are refused."""

import tracemalloc

import numpy as np
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


def test_integers_and_words(make, data):
    with pytest.raises((TypeError, ValueError), match=r"Unknown label type|'<' not supported"):
        make().fit(data[0], np.array([1, "one"] * 20, dtype=object))


def test_column_of_labels(make, data):
    X, y = data
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        clf = make().fit(X, y[:, np.newaxis])
    assert clf.predict_proba(X).tobytes() == make().fit(X, y).predict_proba(X).tobytes()


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_one_hot_labels(make, data, dtype):
    with pytest.raises(ValueError, match=r"multilabel-indicator.*one class label per sample"):
        make().fit(data[0], np.eye(3, dtype=dtype)[data[1]])


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
