"""Images whose values are missing, infinite, huge or constant."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from tests.estimator.helpers import PREDICTIONS, is_finite


def with_value(X, value):
    X = X.copy()
    X[3, 5] = value
    return X


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 6, 6, 1)], ids=str)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(np.nan, "Input X contains NaN", id="nan"),
        pytest.param(np.inf, "contains infinity or a value too large for dtype", id="inf"),
        pytest.param(-np.inf, "contains infinity or a value too large for dtype", id="minus_inf"),
    ],
)
def test_values_that_are_no_numbers(make, data, fitted, value, text, shape, dtype):
    X, y = data
    bad = with_value(X.astype(dtype), value).reshape(shape)
    with pytest.raises(ValueError, match=text):
        make().fit(bad, y)
    for name in PREDICTIONS:
        with pytest.raises(ValueError, match=text):
            getattr(fitted, name)(bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["auto", (-4, 4), None], ids=str)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")
def test_one_huge_value_leaves_finite_weights_or_is_refused(make, data, scaling, dtype):
    X, y = data
    clf = make(scaling=scaling, dtype=dtype, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # training may diverge if the weights stay finite
        warnings.filterwarnings("ignore", "Some pixels of X are so far from all others", UserWarning)
        if scaling != "auto" and dtype == "float32":
            with pytest.raises(ValueError, match="X contains values too large for this network: an image in float32"):
                clf.fit(with_value(X, 1e300), y)
            return
        clf.fit(with_value(X, 1e300), y)
    assert is_finite(clf)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize("scaling", ["auto", "standard"])
def test_a_spread_beyond_float64_is_named(make, data, scaling):
    X = np.full_like(data[0], 1.7e308)
    X[0, 0] = -1.7e308
    with pytest.raises(ValueError, match=r"spread too widely for float64; its scale would be \[inf\]"):
        make(scaling=scaling).fit(X, data[1])


@pytest.mark.parametrize("form", [list, np.array])
def test_an_integer_beyond_float64_is_named(make, data, fitted, form):
    X = form(with_value(data[0].astype(object), 10**400).tolist())
    for action in (lambda: make().fit(X, data[1]), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match="X contains a number that is too large for float64"):
            action()


HUGE = {
    "positive": np.full((1, 36), 1e308),
    "negative": np.full((1, 36), -1e308),
    "alternating": np.where(np.arange(36) % 2, 1e308, -1e308)[np.newaxis],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("signs", HUGE)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")
def test_huge_rows_give_finite_probabilities_or_an_error(make, data, signs, dtype):
    clf = make(dtype=dtype).fit(*data)
    for name in ("predict_proba", "predict_log_proba", "decision_function"):
        try:
            out = getattr(clf, name)(HUGE[signs])
        except ValueError as error:
            assert "X contains values too large for this network" in str(error)  # noqa: PT017
        else:
            assert np.isfinite(out).all()


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")
def test_outputs_that_overflow_are_refused(make, data, name):
    # 1e308 is too large for float32, and without rectifiers the outputs are too
    clf = make(dtype="float32", activation="identity").fit(*data)
    with pytest.raises(ValueError, match=r"values too large for this network.*outputs are not finite"):
        getattr(clf, name)(np.vstack([data[0], HUGE["positive"]]))


@pytest.mark.parametrize("constant", [0.0, 7.0])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
def test_constant_images(make, data, constant, scaling):
    X = np.full((40, 36), constant)
    clf = make(scaling=scaling, max_iter=2)
    with pytest.warns(ConvergenceWarning, match="learnt nothing"):  # there is nothing to learn
        clf.fit(X, data[1])
    assert is_finite(clf)
    assert np.isfinite(clf.predict_proba(X)).all()
