"""Bad and unusual y, weights and classes, and what a fit that fails leaves behind."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.metrics import recall_score

from skcnn.layers import Conv2D, Flatten
from skcnn.optimizers import SGD

FITTED = [
    *("classes_", "n_features_in_", "feature_names_in_", "image_shape_", "network_", "n_iter_", "t_", "loss_"),
    *("loss_curve_", "best_loss_", "validation_loss_curve_", "validation_scores_", "best_validation_score_"),
    *("best_iter_", "stop_reason_", "history_", "n_layers_", "n_outputs_", "out_activation_", "coefs_", "intercepts_"),
]


# Labels


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
def test_row_26_no_labels(make, data, y, text):
    with pytest.raises(ValueError, match=text):
        make().fit(data[0], y)


def test_row_27_continuous_labels(make, data):
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
def test_row_28_labels_keep_type_and_value(make, data, kind):
    labels = LABELS[kind]
    y = labels[np.arange(40) % len(labels)]
    clf = make(max_iter=40).fit(data[0], y)
    predicted = clf.predict(data[0])
    assert clf.classes_.tolist() == sorted(labels.tolist())
    assert predicted.dtype == clf.classes_.dtype == y.dtype
    assert set(predicted.tolist()) <= set(labels.tolist())
    assert clf.score(data[0], y) == np.mean(predicted == y)


def test_row_29_integers_and_words(make, data):
    with pytest.raises((TypeError, ValueError), match=r"Unknown label type|'<' not supported"):
        make().fit(data[0], np.array([1, "one"] * 20, dtype=object))


def test_row_30_column_of_labels(make, data):
    X, y = data
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        clf = make().fit(X, y[:, np.newaxis])
    assert clf.predict_proba(X).tobytes() == make().fit(X, y).predict_proba(X).tobytes()


@pytest.mark.parametrize("dtype", [int, float, bool])
def test_row_31_one_hot_labels(make, data, dtype):
    with pytest.raises(ValueError, match=r"multilabel-indicator.*one class label a row"):
        make().fit(data[0], np.eye(3, dtype=dtype)[data[1]])


@pytest.mark.parametrize("shift", [1, 0.5])
def test_row_32_several_outputs(make, data, shift):
    with pytest.raises(ValueError, match=r"Unknown label type: .*multioutput"):
        make().fit(data[0], np.column_stack([data[1], data[1] + shift]))


@pytest.mark.parametrize("label", [7, "bag"])
def test_row_33_one_class(make, data, label):
    clf = make().fit(data[0], [label] * 40)
    assert clf.predict_proba(data[0]).tolist() == [[1.0]] * 40
    assert clf.predict(data[0]).tolist() == [label] * 40


@pytest.mark.filterwarnings("ignore:The number of unique classes is greater than 50%:UserWarning")
def test_row_34_every_label_unique(make, data):
    clf = make().fit(data[0], np.arange(40))
    assert clf.predict_proba(data[0]).shape == (40, 40)


def test_row_34_memory_is_linear_in_the_number_of_classes(make, data):
    def peak(n_classes):
        clf = make(batch_size=40)
        tracemalloc.start()
        try:
            clf.partial_fit(*data, classes=np.arange(n_classes))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # the first call may import
    assert peak(10_000) < 2.5 * peak(5_000)
    assert peak(10_000) < 100e6  # a square of 10,000 float64 would be 800 MB


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_row_35_one_or_two_samples(make, data, n, batch_size):
    clf = make(batch_size=batch_size).fit(data[0][:n], data[1][:n])
    assert np.isfinite(clf.predict_proba(data[0])).all()


# Weights


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        pytest.param(np.zeros(40), "zero", id="row_36-all_zero"),
        pytest.param(np.full(40, np.nan), "Input sample_weight contains NaN", id="row_36-nan"),
        pytest.param(np.ones(39), r"sample_weight\.shape == \(39,\), expected \(40,\)", id="row_36-short"),
        pytest.param(np.ones((40, 2)), "Sample weights must be 1D array or scalar", id="row_36-2d"),
        pytest.param(-np.ones(40), "Negative values in data passed to `sample_weight`", id="row_37-negative"),
    ],
)
def test_rows_36_and_37_bad_weights(make, data, weight, text):
    with pytest.raises(ValueError, match=text):
        make().fit(*data, sample_weight=weight)
    with pytest.raises(ValueError, match=text):
        make().partial_fit(*data, sample_weight=weight, classes=[0, 1, 2])


def test_row_38_weights_that_leave_one_class(make, data):
    with pytest.raises(ValueError, match=r"leave rows of one class only: \[2\]"):
        make().fit(*data, sample_weight=data[1] == 2)
    with pytest.raises(ValueError, match=r"leave rows of one class only: \[2\]"):
        make(class_weight={0: 0, 1: 0}).fit(*data)


@pytest.mark.filterwarnings("ignore:batch_size=100 is larger:UserWarning")
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}], ids=str)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")  # they do
def test_row_39_a_row_of_weight_zero_is_as_if_removed(make, data, scaling, class_weight):
    X, y = data[0].copy(), data[1]
    weight = np.random.default_rng(2).uniform(0.5, 2, 40)
    weight[[0, 7, 20]] = 0
    X[[0, 7, 20]] *= 50  # the greatest values of all, which the scaling must not see either
    kept = weight > 0
    # one deterministic batch: with several, the cuts between them would fall elsewhere
    clf = make(
        solver=SGD(), shuffle=False, batch_size=100, max_iter=10, learning_rate_init=0.05, scaling=scaling,
        class_weight=class_weight,
    )  # fmt: skip
    proba = clf.fit(X, y, sample_weight=weight).predict_proba(X)
    without = clf.fit(X[kept], y[kept], sample_weight=weight[kept]).predict_proba(X)
    np.testing.assert_allclose(proba, without, rtol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 1000.0}], ids=["balanced", "dict"])
def test_row_40_a_class_in_a_thousand(make, class_weight):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(1001, 36)).astype("float32"), np.zeros(1001, int)
    X[500] += 2
    y[500] = 1
    truth = np.repeat([1, 0], 100)
    new = rng.normal(size=(200, 36)) + 2 * truth[:, np.newaxis]

    def recalls(class_weight):
        clf = make(
            class_weight=class_weight,
            n_kernels=4,
            hidden_layer_sizes=16,
            solver="sgd",
            learning_rate_init=0.001,
            max_iter=5,
        )
        return recall_score(truth, clf.fit(X, y).predict(new), average=None)

    assert recalls(None)[1] < 0.1
    majority, minority = recalls(class_weight)
    assert minority > 0.5
    assert majority > 0.5  # and not by calling everything rare


# One fit after another


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param({}, "classes must be passed on the first call to partial_fit", id="no_classes"),
        pytest.param({"classes": [0, 1]}, r"y has labels \[2\] that are not among the classes \[0, 1\]", id="unseen"),
    ],
)
def test_row_44_first_partial_fit(make, data, arguments, text):
    with pytest.raises(ValueError, match=text):
        make().partial_fit(*data, **arguments)


def test_row_44_later_partial_fits(make, data):
    X, y = data
    clf = make().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2, 3\] is not the same as .* the first call: \[0, 1, 2\]"):
        clf.partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"y has labels \[3\] that are not among the classes \[0, 1, 2\]"):
        clf.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 35 features, but NumpyCNNClassifier is expecting 36"):
        clf.partial_fit(X[:, :35], y)
    clf.partial_fit(X, y, classes=[2, 1, 0]).partial_fit(X[:1], y[:1])  # the same classes, and fewer of them in y
    assert clf.n_iter_ == 3


def test_row_44_balanced_weights_need_all_rows_at_once(make):
    clf = make(class_weight="balanced")
    assert not hasattr(clf, "partial_fit")
    assert hasattr(make(class_weight={0: 2}), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        clf.partial_fit  # noqa: B018
    assert isinstance(caught.value.__cause__, ValueError)
    assert "class_weight='balanced' needs all rows at once" in str(caught.value.__cause__)


def test_row_45_a_refit_starts_anew(make, data, digits):
    X, y = data
    table = pd.DataFrame(digits[0], columns=[f"p{i}" for i in range(64)])
    clf = make(early_stopping=True).fit(table, digits[1]).set_params(early_stopping=False).fit(X, y)
    fresh = make().fit(X, y)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.n_features_in_ == 36
    assert not hasattr(clf, "feature_names_in_")
    assert vars(clf).keys() == vars(fresh).keys()
    assert (clf.n_iter_, clf.t_, clf.best_iter_, clf.validation_scores_) == (1, 40, None, None)
    assert clf.predict_proba(X).tobytes() == fresh.predict_proba(X).tobytes()


def _named(X, prefix):
    return pd.DataFrame(X, columns=[f"{prefix}{i}" for i in range(X.shape[1])])


FAILURES = {
    "nan": (lambda X, y: {"X": X * np.nan, "y": y}, "contains NaN"),
    "nan_in_other_columns": (lambda X, y: {"X": _named(X * np.nan, "q"), "y": y}, "contains NaN"),
    "continuous_y": (lambda X, y: {"X": X, "y": y + 0.5}, "Unknown label type"),
    "other_width_and_weights": (lambda X, y: {"X": X[:, :9], "y": y % 2, "sample_weight": y * 0}, "zero"),
    "width_of_X_val": (lambda X, y: {"X": X, "y": y, "X_val": X[:, :9], "y_val": y}, "9 features"),
    "shape_of_X_val": (
        lambda X, y: {"X": X, "y": y, "X_val": X.reshape(40, 4, 9), "y_val": y},
        "holds images of shape",
    ),
    "classes_of_y_val": (lambda X, y: {"X": X, "y": y, "X_val": X, "y_val": y + 1}, "y_val has labels"),
    "no_y_val": (lambda X, y: {"X": X, "y": y, "X_val": X}, "X_val and y_val go together"),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("warm_start", [False, True])
def test_row_46_a_failed_refit_changes_nothing(make, data, failure, warm_start):
    X, y = data
    arguments, text = FAILURES[failure]
    clf = make(warm_start=warm_start).fit(_named(X, "p"), y)
    proba, state = clf.predict_proba(_named(X, "p")).tobytes(), pickle.dumps(clf)
    # a warm start stumbles over other columns first
    with pytest.raises(ValueError, match=f"{text}|feature names should match|X has 9 features"):
        clf.fit(**arguments(X, y))
    assert clf.predict_proba(_named(X, "p")).tobytes() == proba
    assert pickle.dumps(clf) == state


def test_row_46_a_refit_that_fails_in_training_changes_nothing(make, data):
    def broken(epoch, n_epochs):
        if epoch >= 1:
            raise RuntimeError("this schedule breaks in the second epoch")
        return 1.0

    clf = make().fit(*data)
    clf.set_params(learning_rate=broken, max_iter=2)
    before = {name: value for name, value in vars(clf).items() if name.endswith("_")}
    proba = clf.predict_proba(data[0]).tobytes()
    with pytest.raises(RuntimeError, match="second epoch"):
        clf.fit(*data)
    assert all(vars(clf)[name] is value for name, value in before.items())
    assert clf.predict_proba(data[0]).tobytes() == proba


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_row_46_a_failed_partial_fit_changes_nothing(make, data, method):
    X, y = data
    clf = make().partial_fit(X, y, classes=[0, 1, 2])
    state = pickle.dumps(clf)
    with pytest.raises(ValueError, match="contains NaN"):
        getattr(clf, method)(X * np.nan, y)
    assert pickle.dumps(clf) == state


@pytest.mark.parametrize("failure", FAILURES)
def test_row_46_after_a_failed_first_fit(make, data, failure):
    arguments, text = FAILURES[failure]
    clf = make()
    with pytest.raises(ValueError, match=text):
        clf.fit(**arguments(*data))
    _assert_unfitted(clf, data[0])


@pytest.mark.parametrize(
    "parameters", [{"layers": [Conv2D(2, 9, padding="valid"), Flatten()]}, {"pool": "median"}], ids=str
)
def test_row_46_after_a_first_fit_of_a_network_that_cannot_be(make, data, parameters):
    if "layers" in parameters:
        parameters = {**parameters, "n_kernels": (16, 32), "hidden_layer_sizes": (100,)}
    clf = make(**parameters)
    with pytest.raises(ValueError, match=r"does not fit|pool"):
        clf.fit(*data)
    _assert_unfitted(clf, data[0])


def _assert_unfitted(clf, X):
    assert vars(clf) == clf.get_params(deep=False)
    assert [name for name in FITTED if hasattr(clf, name)] == []
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clf.predict(X)


def test_row_46_the_list_of_fitted_attributes_is_the_documented_one(make, data):
    clf = make().fit(_named(data[0], "p"), data[1])
    assert [name for name in FITTED if not hasattr(clf, name)] == []


def test_row_88_warm_start_with_other_data(make, data):
    X, y = data
    clf = make(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"y has labels \[3\] that are not among the classes \[0, 1, 2\]"):
        clf.fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 35 features, but NumpyCNNClassifier is expecting 36"):
        clf.fit(X[:, :35], y)
    with pytest.raises(ValueError, match=r"images of shape \(4, 9, 1\), but the network was fitted on \(6, 6, 1\)"):
        clf.fit(X.reshape(40, 4, 9), y)
    assert clf.fit(X, y).n_iter_ == 2


def test_row_89_score_with_unseen_labels(fitted, data):
    X, y = data
    assert fitted.score(X, y + 100) == 0
    right = fitted.predict(X)
    assert fitted.score(X, np.where(np.arange(40) < 10, 100, right)) == 0.75
