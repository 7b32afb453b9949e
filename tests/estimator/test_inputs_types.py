"""The types of arrays that hold images, and their layouts in memory."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, bits, same_bits


@pytest.mark.parametrize(
    ("X_dtype", "dtype", "result"),
    [
        (np.float64, "auto", np.float64),
        (np.float32, "auto", np.float32),
        (np.uint8, "auto", np.float32),
        (np.int64, "auto", np.float32),
        (np.float64, "float32", np.float32),
        (np.float32, "float64", np.float64),
    ],
)
def test_dtype_of_all_computation(colour, X_dtype, dtype, result):
    X, y = colour
    clf = NumpyCNNClassifier(dtype=dtype, max_iter=1).fit(X.astype(X_dtype), y)
    assert clf.predict_proba(X).dtype == clf.decision_function(X).dtype == result
    assert {W.dtype for W in (*clf.coefs_, *clf.intercepts_)} == {np.dtype(result)}


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "read-only"])
def test_memory_layout_changes_no_bit(split_digits, layout):
    X, X_test, y, _ = split_digits
    other = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(X[::-1])[::-1],
        "read-only": X.copy(),
    }[layout]
    other.flags.writeable = False
    assert bits(NumpyCNNClassifier(**QUICK).fit(other, y), X_test) == bits(
        NumpyCNNClassifier(**QUICK).fit(X, y), X_test
    )


def test_object_array_of_numbers(make, data):
    X, y = data
    clf = make().fit(X, y)
    assert same_bits(make().fit(X.astype(object), y).predict_proba(X.astype(object)), clf.predict_proba(X))


def test_object_array_of_other_things(make, data, fitted):
    X = data[0].astype(object)
    X[3, 5] = {}
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        make().fit(X, data[1])
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        fitted.predict(X)


@pytest.mark.parametrize("word", ["cat", b"cat"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_words(make, data, fitted, word, shape):
    with pytest.raises(ValueError, match=r"'cat', but pixels must be numbers; pass only pixels as X, and labels as y"):
        make().fit(np.full(shape, word), data[1])
    with pytest.raises(ValueError, match="'cat', but pixels must be numbers"):
        fitted.predict(np.full(shape, word))


def test_numbers_in_strings_are_read(make, data):
    X, y = data
    as_strings = [[repr(float(value)) for value in row] for row in X]
    proba = make().fit(X, y).predict_proba(X)
    for strings in (as_strings, np.array(as_strings), np.array(as_strings, dtype=object)):
        assert same_bits(make().fit(strings, y).predict_proba(strings), proba)


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_complex(make, data, fitted, shape):
    X = data[0].reshape(shape) + 0j
    with pytest.raises(ValueError, match="Complex data not supported"):
        make().fit(X, data[1])
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted.predict(X)


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 6, 6, 1)], ids=str)
def test_dates(make, data, fitted, dtype, shape):
    dates = np.zeros(shape, dtype)
    for refused in (lambda: make().fit(dates, data[1]), lambda: fitted.predict(dates)):
        with pytest.raises(ValueError, match="X contains dates or time spans"):
            refused()


@pytest.mark.parametrize("date", [np.datetime64(5, "s"), np.timedelta64(5, "s")], ids=["date", "span"])
@pytest.mark.parametrize("kind", [list, pd.DataFrame, "objects"], ids=["list", "frame", "objects"])
def test_dates_among_other_things(make, data, date, kind):
    rows = [[date] * 36] * 40
    X = np.array(rows, dtype=object) if kind == "objects" else kind(rows)
    with pytest.raises((ValueError, TypeError), match=r"dates or time spans|string or a real number"):
        make().fit(X, data[1])


def test_the_column_of_dates_is_named_by_its_own_type(make, data):
    X = pd.DataFrame(data[0]).assign(**{"35": pd.Timestamp("2020-01-01")})
    with pytest.raises(ValueError, match=r"dates or time spans \(datetime64"):
        make().fit(X, data[1])


INTEGERS = ["int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "uint8"]
FLOATS = ["float16", "float32", "float64", "longdouble", ">f4", ">f8", ">i2", ">u4"]


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_number_types(make, data, dtype):
    X = np.random.default_rng(1).integers(0, 101, (40, 36))
    reference = make(scaling=(0, 100)).fit(X.astype("float64"), data[1]).predict_proba(X)
    clf = make(scaling=(0, 100)).fit(X.astype(dtype), data[1])
    proba = clf.predict_proba(X.astype(dtype))
    assert proba.dtype == ("float64" if dtype == "float64" else clf.network_.dtype)
    assert proba.dtype in ("float32", "float64")
    np.testing.assert_allclose(proba, reference, atol=1e-4)


def test_bool(make, data):
    X = data[0] > 0.5
    clf = make().fit(X, data[1])
    as_float = make().fit(X.astype("float32"), data[1])
    assert same_bits(clf.predict_proba(X), as_float.predict_proba(X.astype("float32")))


LAYOUTS = {
    "fortran": np.asfortranarray,
    "negative_strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "read_only": lambda X: X,
    "list": lambda X: X.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 4, 3, 3)], ids=str)
def test_layout_in_memory_changes_no_bit(make, data, layout, shape):
    plain = data[0].reshape(shape).copy()
    X = LAYOUTS[layout](data[0].reshape(shape))
    proba = make().fit(plain, data[1]).predict_proba(plain)
    assert same_bits(make().fit(X, data[1]).predict_proba(X), proba)


def test_zero_strides(make, data):
    X = np.broadcast_to(data[0][0], (40, 36))
    assert same_bits(make().fit(X, data[1]).predict_proba(X), make().fit(X.copy(), data[1]).predict_proba(X.copy()))


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_read_only_memory_map(make, data, tmp_path, shape):
    np.save(tmp_path / "X.npy", data[0].reshape(shape))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert same_bits(make().fit(X, data[1]).predict_proba(X), make().fit(*data).predict_proba(data[0]))


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_masks_are_ignored_as_everywhere_in_scikit_learn(make, data, shape):
    X, y = data[0].reshape(shape), data[1]
    masked = np.ma.masked_array(X, mask=X > 1)
    assert same_bits(make().fit(masked, y).predict_proba(masked), make().fit(X, y).predict_proba(X))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrix(make, data, fitted):
    with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
        make().fit(np.matrix(data[0]), data[1])
    with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
        fitted.predict(np.matrix(data[0]))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array, sparse.dok_array])
def test_sparse(make, data, fitted, kind):
    with pytest.raises(TypeError, match=r"(?i)sparse data was passed.*\.toarray\(\)"):
        make().fit(kind(data[0]), data[1])
    with pytest.raises(TypeError, match=r"(?i)sparse data was passed.*\.toarray\(\)"):
        fitted.predict(kind(data[0]))


PLAIN = {
    "flat": lambda X: X,
    "one row": lambda X: X[:1],
    "float32 maps": lambda X: X.astype(np.float32).reshape(-1, 6, 6, 1),
    "integers": lambda X: X.astype(np.int8),
    "booleans": lambda X: X > 0,
    "columns in order": lambda X: np.asfortranarray(X),
    "every other row": lambda X: X[::2],
    "a list": lambda X: X.tolist(),
    "big-endian": lambda X: X.astype(">f8"),
    "a subclass": lambda X: np.ma.masked_array(X, X > 1),
}
OTHER = {
    "NaN": lambda X: np.where(X > 2, np.nan, X),
    "infinity": lambda X: np.where(X > 2, np.inf, X),
    "both infinities": lambda X: np.where(X > 2, np.inf, np.where(X < 0, -np.inf, X)),
    "a sum that overflows": lambda X: np.full_like(X, 1e307),
    "a sum that overflows in float16": lambda X: np.full(X.shape, 4000, np.float16),
    "complex": lambda X: X + 0j,
    "texts": lambda X: X.astype(str),
    "objects": lambda X: X.astype(object),
    "a column less": lambda X: X[:, 1:],
    "no rows": lambda X: X[:0],
    "sparse": sparse.csr_array,
    "a table": pd.DataFrame,
}
REFUSED = {"one dimension": lambda X: X[0], "a list of paths": lambda X: ["image.png"] * len(X)}


def outcome(clf, X):
    """Return what a prediction returns or raises, and its warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            result = clf.predict_proba(X).tobytes()
        except Exception as error:
            result = type(error), str(error)
    return result, [str(warning.message) for warning in found]


@pytest.mark.parametrize("form", (PLAIN | OTHER | REFUSED).values(), ids=PLAIN | OTHER | REFUSED)
@pytest.mark.parametrize("names", [False, True], ids=["no names", "names"])
def test_plain_rows_are_predicted_as_if_scikit_learn_had_checked_them(make, data, monkeypatch, form, names):
    X, y = data
    clf = make().fit(pd.DataFrame(X).add_prefix("pixel") if names else X, y)
    found = outcome(clf, form(X))
    monkeypatch.setattr("skcnn._estimator.reading._is_plain", lambda rows, features: False)
    assert found == outcome(clf, form(X))


@pytest.mark.parametrize("form", PLAIN.values(), ids=PLAIN)
def test_plain_rows_are_predicted_without_the_slow_checks(data, fitted, monkeypatch, form):
    monkeypatch.delattr("skcnn._estimator.reading.validate_data")
    assert np.isfinite(fitted.predict_proba(form(data[0]))).all()


@pytest.mark.parametrize("form", OTHER.values(), ids=OTHER)
def test_scikit_learn_checks_all_other_rows(data, fitted, monkeypatch, form):
    monkeypatch.delattr("skcnn._estimator.reading.validate_data")
    with pytest.raises(NameError, match="validate_data"):
        fitted.predict_proba(form(data[0]))
