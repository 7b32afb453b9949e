"""What a call of fit that fails leaves behind."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skcnn.layers import Conv2D, Flatten

FITTED = [
    *("classes_", "n_features_in_", "feature_names_in_", "image_shape_", "network_", "n_iter_", "t_", "loss_"),
    *("loss_curve_", "best_loss_", "validation_loss_curve_", "validation_scores_", "best_validation_score_"),
    *("best_iter_", "stop_reason_", "history_", "n_layers_", "n_outputs_", "out_activation_", "coefs_", "intercepts_"),
]


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
        "contains images of shape",
    ),
    "classes_of_y_val": (lambda X, y: {"X": X, "y": y, "X_val": X, "y_val": y + 1}, "y_val has labels"),
    "no_y_val": (lambda X, y: {"X": X, "y": y, "X_val": X}, "X_val and y_val must be passed together"),
}


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failed_refit_changes_nothing(make, data, failure, warm_start):
    X, y = data
    arguments, text = FAILURES[failure]
    clf = make(warm_start=warm_start).fit(_named(X, "p"), y)
    proba, state = clf.predict_proba(_named(X, "p")).tobytes(), pickle.dumps(clf)
    # a warm start checks the columns first
    with pytest.raises(ValueError, match=f"{text}|feature names should match|X has 9 features"):
        clf.fit(**arguments(X, y))
    assert clf.predict_proba(_named(X, "p")).tobytes() == proba
    assert pickle.dumps(clf) == state


def test_a_refit_that_fails_in_training_changes_nothing(make, data):
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
def test_a_failed_partial_fit_changes_nothing(make, data, method):
    X, y = data
    clf = make().partial_fit(X, y, classes=[0, 1, 2])
    state = pickle.dumps(clf)
    with pytest.raises(ValueError, match="contains NaN"):
        getattr(clf, method)(X * np.nan, y)
    assert pickle.dumps(clf) == state


@pytest.mark.parametrize("failure", FAILURES)
def test_after_a_failed_first_fit(make, data, failure):
    arguments, text = FAILURES[failure]
    clf = make()
    with pytest.raises(ValueError, match=text):
        clf.fit(**arguments(*data))
    _assert_unfitted(clf, data[0])


@pytest.mark.parametrize(
    "parameters", [{"layers": [Conv2D(2, 9, padding="valid"), Flatten()]}, {"pool": "median"}], ids=str
)
def test_after_a_first_fit_of_a_network_that_cannot_be(make, data, parameters):
    if "layers" in parameters:
        parameters = {**parameters, "n_kernels": "auto", "hidden_layer_sizes": "auto"}
    clf = make(**parameters)
    with pytest.raises(ValueError, match=r"does not fit|pool"):
        clf.fit(*data)
    _assert_unfitted(clf, data[0])


def _assert_unfitted(clf, X):
    assert vars(clf) == clf.get_params(deep=False)
    assert [name for name in FITTED if hasattr(clf, name)] == []
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clf.predict(X)


def test_the_list_of_fitted_attributes_is_the_documented_one(make, data):
    clf = make().fit(_named(data[0], "p"), data[1])
    assert [name for name in FITTED if not hasattr(clf, name)] == []
