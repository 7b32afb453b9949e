"""Bad and unusual X: what must be refused, in which words, and what must work all the same."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skcnn._trees import leaves

PREDICTIONS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def is_finite(clf):
    return all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


def with_value(X, value):
    X = X.copy()
    X[3, 5] = value
    return X


# Values


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 6, 6, 1)], ids=str)
@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(np.nan, "Input X contains NaN", id="row_1-nan"),
        pytest.param(np.inf, "contains infinity or a value too large for dtype", id="row_2-inf"),
        pytest.param(-np.inf, "contains infinity or a value too large for dtype", id="row_2-minus_inf"),
    ],
)
def test_rows_1_and_2_values_that_are_no_numbers(make, data, fitted, value, text, shape, dtype):
    X, y = data
    bad = with_value(X.astype(dtype), value).reshape(shape)
    with pytest.raises(ValueError, match=text):
        make().fit(bad, y)
    for name in PREDICTIONS:
        with pytest.raises(ValueError, match=text):
            getattr(fitted, name)(bad)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["auto", (-4, 4), None], ids=str)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")  # they do
def test_row_3_one_huge_value_leaves_finite_weights(make, data, scaling, dtype):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # divergence may be told, as long as it is undone
        clf = make(scaling=scaling, dtype=dtype, max_iter=2).fit(with_value(X, 1e300), y)
    assert is_finite(clf)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(("scaling", "values"), [("standard", [1e300]), ("auto", [1.7e308, -1.7e308])], ids=str)
def test_row_3_a_spread_beyond_float64_is_named(make, data, scaling, values):
    X = data[0].copy()
    X[0, : len(values)] = values
    with pytest.raises(ValueError, match=r"spread too wide for float64, its scale comes to \[?inf"):
        make(scaling=scaling).fit(X, data[1])


HUGE = {
    "positive": np.full((1, 36), 1e308),
    "negative": np.full((1, 36), -1e308),
    "alternating": np.where(np.arange(36) % 2, 1e308, -1e308)[np.newaxis],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("signs", HUGE)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")  # they do
def test_row_4_huge_rows_give_finite_probabilities_or_an_error(make, data, signs, dtype):
    clf = make(dtype=dtype).fit(*data)
    for name in ("predict_proba", "predict_log_proba", "decision_function"):
        try:
            out = getattr(clf, name)(HUGE[signs])
        except ValueError as error:
            assert "X holds values too large for this network" in str(error)  # noqa: PT017
        else:
            assert np.isfinite(out).all()


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")  # they do
def test_row_4_outputs_that_overflow_are_refused(make, data, name):
    # 1e308 is beyond float32, and without rectifiers nothing can bring it back
    clf = make(dtype="float32", activation="identity").fit(*data)
    with pytest.raises(ValueError, match=r"values too large for this network.*outputs are not finite"):
        getattr(clf, name)(np.vstack([data[0], HUGE["positive"]]))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_5_large_logits_give_probabilities(make, data, n_classes, dtype):
    X, y = data
    clf = make(dtype=dtype).fit(X, y % n_classes)
    clf.coefs_[-1][...] *= 1e4 / np.abs(clf.decision_function(X)).max()
    assert 5e3 < np.abs(clf.decision_function(X)).max() < 2e4
    proba = clf.predict_proba(X)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-6)
    assert np.isfinite(clf.predict_log_proba(X)).all()


@pytest.mark.parametrize("constant", [0.0, 7.0])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
def test_row_25_constant_images(make, data, constant, scaling):
    X = np.full((40, 36), constant)
    clf = make(scaling=scaling, max_iter=2).fit(X, data[1])
    assert is_finite(clf)
    assert np.isfinite(clf.predict_proba(X)).all()


# Shapes


@pytest.mark.parametrize("bad", [None, 3.0, np.array(3.0), [1.0, 2.0], np.zeros(36)], ids=repr)
def test_row_6_fewer_than_two_dimensions(make, data, fitted, bad):
    with pytest.raises(ValueError, match=r"(?s)Expected 2D array.*Reshape your data"):
        make().fit(bad, data[1])
    with pytest.raises(ValueError, match=r"(?s)Expected 2D array.*Reshape your data"):
        fitted.predict(bad)


@pytest.mark.parametrize(
    ("shape", "data_format", "image_shape"),
    [
        ((40, 4, 9), "channels_last", (4, 9, 1)),
        ((40, 4, 3, 3), "channels_last", (4, 3, 3)),
        ((40, 3, 4, 3), "channels_first", (4, 3, 3)),
    ],
)
def test_row_7_images_are_taken_in_the_documented_layout(make, data, shape, data_format, image_shape):
    X, y = data
    clf = make(data_format=data_format).fit(X.reshape(shape), y)
    assert clf.image_shape_ == image_shape
    assert clf.n_features_in_ == 36
    assert clf.network_.shapes[0] == image_shape
    assert same_bits(clf.predict_proba(X.reshape(shape)), clf.predict_proba(X))  # flat rows unroll in the same order


def test_row_7_both_data_formats_mean_the_same_images(make, data):
    X, y = data[0].reshape(40, 4, 3, 3), data[1]
    last = make().fit(X, y)
    first = make(data_format="channels_first").fit(X.transpose(0, 3, 1, 2), y)
    assert same_bits(last.predict_proba(X), first.predict_proba(X.transpose(0, 3, 1, 2)))


def test_row_8_five_dimensions(make, data, fitted):
    X = data[0].reshape(40, 2, 3, 2, 3)
    with pytest.raises(ValueError, match="Found array with dim 5"):
        make().fit(X, data[1])
    with pytest.raises(ValueError, match="Found array with dim 5"):
        fitted.predict(X)


@pytest.mark.parametrize("ragged", [[[1, 2], [3]], [[[1, 2], [3, 4]], [[5, 6]]]], ids=["rows", "images"])
def test_row_9_ragged_lists(make, fitted, ragged):
    with pytest.raises(ValueError, match="inhomogeneous"):
        make().fit(ragged, [0, 1])
    with pytest.raises(ValueError, match="inhomogeneous"):
        fitted.predict(ragged)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((0, 36), r"0 sample\(s\) \(shape=\(0, 36\)\) while a minimum of 1"),
        ((0, 6, 6), r"0 sample\(s\) \(shape=\(0, 36\)\) while a minimum of 1"),
        ((0, 6, 6, 1), r"0 sample\(s\) \(shape=\(0, 36\)\) while a minimum of 1"),
        ((40, 0), r"0 feature\(s\) \(shape=\(40, 0\)\) while a minimum of 1"),
        ((40, 0, 6), r"0 feature\(s\) \(shape=\(40, 0\)\) while a minimum of 1"),
    ],
)
def test_row_10_no_rows_or_columns(make, data, shape, text):
    with pytest.raises(ValueError, match=text):
        make().fit(np.zeros(shape), data[1][: shape[0]])


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("shape", [(0, 36), (0, 6, 6), (0, 6, 6, 1)], ids=str)
def test_row_11_predict_no_rows(fitted, name, shape):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        getattr(fitted, name)(np.zeros(shape))


@pytest.mark.parametrize("name", PREDICTIONS)
def test_row_41_another_width_at_predict(make, digits, name):
    X, y = digits
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match="X has 63 features, but NumpyCNNClassifier is expecting 64"):
        getattr(clf, name)(X[:, :63])
    with pytest.raises(ValueError, match="X has 120 features, but NumpyCNNClassifier is expecting 64"):
        getattr(clf, name)(X.T)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_row_42_before_fit(make, data, fitted, name):
    for unfitted in (make(), clone(fitted)):
        # even on X that no fitted network would take: there is nothing to judge it by
        for X in (data[0], data[0].reshape(40, 6, 6), None):
            with pytest.raises(NotFittedError, match="This NumpyCNNClassifier instance is not fitted yet"):
                getattr(unfitted, name)(X)


def test_row_42_score_before_fit(make, data):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        make().score(*data)


@pytest.mark.parametrize("shape", [(40, 3, 4, 3), (40, 4, 9, 1), (40, 4, 9)], ids=str)
def test_row_43_another_image_size_at_predict(make, data, shape):
    X, y = data
    clf = make().fit(X.reshape(40, 4, 3, 3), y)
    there = str((*shape[1:], 1)[:3]).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=rf"images of shape {there}, but the network was fitted on \(4, 3, 3\)"):
        clf.predict(X.reshape(shape))  # as many numbers an image, so only the shape can tell


@pytest.mark.parametrize(
    ("n_features", "image_shape"), [(36, (6, 6, 1)), (37, (1, 37, 1)), (60, (1, 60, 1)), (1, (1, 1, 1)), (2, (1, 2, 1))]
)
def test_rows_47_and_55_flat_rows_without_image_shape(make, data, n_features, image_shape):
    # a square or one line of pixels; kernels and pools shrink to what there is
    X = np.resize(data[0], (40, n_features))
    clf = make(n_kernels=(2, 2)).fit(X, data[1])
    assert clf.image_shape_ == image_shape
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("n_features", "hint"),
    [(65, r"pass image_shape=\(h, w\) or \(h, w, c\)$"), (3072, r"3072 looks like image_shape=\(32, 32, 3\)")],
)
def test_row_47_wide_rows_that_are_no_square_warn(make, data, n_features, hint):
    X = np.resize(data[0], (8, n_features))
    with pytest.warns(UserWarning, match=f"{n_features} features are no square.*{hint}"):
        clf = make().fit(X, data[1][:8])
    assert clf.image_shape_ == (1, n_features, 1)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        ((40, 1, 1), {"pool_size": 1}),
        ((40, 1, 1, 3), {"pool_size": 1}),
        ((40, 1, 9), {"pool_size": ((1, 2),)}),
        ((40, 9, 1), {"pool_size": ((2, 1),)}),
        ((40, 9), {"image_shape": (1, 9), "pool_size": ((1, 2),)}),
    ],
)
def test_row_55_images_of_one_pixel_or_one_line(make, data, shape, parameters):
    X = np.resize(data[0], shape)
    clf = make(**parameters).fit(X, data[1])
    assert np.isfinite(clf.predict_proba(X)).all()


# Types


def test_row_12_object_array_of_numbers(make, data):
    X, y = data
    clf = make().fit(X, y)
    assert same_bits(make().fit(X.astype(object), y).predict_proba(X.astype(object)), clf.predict_proba(X))


def test_row_12_object_array_of_other_things(make, data, fitted):
    X = data[0].astype(object)
    X[3, 5] = {}
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        make().fit(X, data[1])
    with pytest.raises(TypeError, match="argument must be a string or a real number"):
        fitted.predict(X)


@pytest.mark.parametrize("word", ["cat", b"cat"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_row_13_words(make, data, fitted, word, shape):
    with pytest.raises(ValueError, match="could not convert string to float"):
        make().fit(np.full(shape, word), data[1])
    with pytest.raises(ValueError, match="could not convert string to float"):
        fitted.predict(np.full(shape, word))


def test_row_14_numbers_in_strings_are_read(make, data):
    X, y = data
    as_strings = [[repr(float(value)) for value in row] for row in X]
    proba = make().fit(X, y).predict_proba(X)
    for strings in (as_strings, np.array(as_strings), np.array(as_strings, dtype=object)):
        assert same_bits(make().fit(strings, y).predict_proba(strings), proba)


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_row_15_complex(make, data, fitted, shape):
    X = data[0].reshape(shape) + 0j
    with pytest.raises(ValueError, match="Complex data not supported"):
        make().fit(X, data[1])
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted.predict(X)


@pytest.mark.parametrize("dtype", ["M8[s]", "m8[s]"])
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 6, 6, 1)], ids=str)
def test_row_16_dates(make, data, fitted, dtype, shape):
    dates = np.zeros(shape, dtype)
    for refused in (lambda: make().fit(dates, data[1]), lambda: fitted.predict(dates)):
        with pytest.raises(ValueError, match="X holds dates or time spans"):
            refused()


@pytest.mark.parametrize("date", [np.datetime64(5, "s"), np.timedelta64(5, "s")], ids=["date", "span"])
@pytest.mark.parametrize("kind", [list, pd.DataFrame, "objects"], ids=["list", "frame", "objects"])
def test_row_16_dates_among_other_things(make, data, date, kind):
    rows = [[date] * 36] * 40
    X = np.array(rows, dtype=object) if kind == "objects" else kind(rows)
    with pytest.raises((ValueError, TypeError), match=r"dates or time spans|string or a real number"):
        make().fit(X, data[1])


def test_row_16_the_column_of_dates_is_named_by_its_own_type(make, data):
    X = pd.DataFrame(data[0]).assign(**{"35": pd.Timestamp("2020-01-01")})
    with pytest.raises(ValueError, match=r"dates or time spans \(datetime64"):
        make().fit(X, data[1])


INTEGERS = ["int8", "int16", "int32", "int64", "uint16", "uint32", "uint64", "uint8"]
FLOATS = ["float16", "float32", "float64", "longdouble", ">f4", ">f8", ">i2", ">u4"]


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_row_17_number_types(make, data, dtype):
    X = np.random.default_rng(1).integers(0, 101, (40, 36))
    reference = make(scaling=(0, 100)).fit(X.astype("float64"), data[1]).predict_proba(X)
    clf = make(scaling=(0, 100)).fit(X.astype(dtype), data[1])
    proba = clf.predict_proba(X.astype(dtype))
    assert proba.dtype == ("float64" if dtype == "float64" else clf.network_.dtype)
    assert proba.dtype in ("float32", "float64")
    np.testing.assert_allclose(proba, reference, atol=1e-4)


def test_row_17_bool(make, data):
    X = data[0] > 0.5
    clf = make().fit(X, data[1])
    as_float = make().fit(X.astype("float32"), data[1])
    assert same_bits(clf.predict_proba(X), as_float.predict_proba(X.astype("float32")))


@pytest.mark.parametrize("fit_dtype", ["float32", "float64", "int8"])
@pytest.mark.parametrize("scaling", ["auto", "standard", (-50, 50), None], ids=str)
def test_row_18_small_integers_do_not_wrap_around(make, data, fit_dtype, scaling):
    # trained on values around 0, so that 0 - center and 255 - center leave the range of uint8
    clf = make(scaling=scaling).fit(np.rint(20 * data[0]).astype(fit_dtype), data[1])
    new = np.resize(np.arange(256), (40, 36))
    proba = clf.predict_proba(new.astype("uint8"))
    assert same_bits(proba, clf.predict_proba(new.astype("float32")))
    assert len(np.unique(proba, axis=0)) > 1


LAYOUTS = {
    "fortran": np.asfortranarray,
    "negative_strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "strided": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "read_only": lambda X: X,
    "list": lambda X: X.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6), (40, 4, 3, 3)], ids=str)
def test_row_19_layout_in_memory_changes_no_bit(make, data, layout, shape):
    plain = data[0].reshape(shape).copy()
    X = LAYOUTS[layout](data[0].reshape(shape))
    proba = make().fit(plain, data[1]).predict_proba(plain)
    assert same_bits(make().fit(X, data[1]).predict_proba(X), proba)


def test_row_19_zero_strides(make, data):
    X = np.broadcast_to(data[0][0], (40, 36))
    assert same_bits(make().fit(X, data[1]).predict_proba(X), make().fit(X.copy(), data[1]).predict_proba(X.copy()))


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_row_19_read_only_memory_map(make, data, tmp_path, shape):
    np.save(tmp_path / "X.npy", data[0].reshape(shape))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert same_bits(make().fit(X, data[1]).predict_proba(X), make().fit(*data).predict_proba(data[0]))


@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_row_20_masks_are_ignored_as_everywhere_in_scikit_learn(make, data, shape):
    X, y = data[0].reshape(shape), data[1]
    masked = np.ma.masked_array(X, mask=X > 1)
    assert same_bits(make().fit(masked, y).predict_proba(masked), make().fit(X, y).predict_proba(X))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_row_21_matrix(make, data, fitted):
    with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
        make().fit(np.matrix(data[0]), data[1])
    with pytest.raises(TypeError, match=r"np\.matrix is not supported"):
        fitted.predict(np.matrix(data[0]))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array, sparse.csc_matrix])
def test_row_22_sparse(make, data, fitted, kind):
    with pytest.raises(TypeError, match=r"(?i)sparse data was passed.*\.toarray\(\)"):
        make().fit(kind(data[0]), data[1])
    with pytest.raises(TypeError, match=r"(?i)sparse data was passed.*\.toarray\(\)"):
        fitted.predict(kind(data[0]))


# Tables


@pytest.fixture(scope="module")
def table(data):
    return pd.DataFrame(data[0], columns=[f"pixel{i}" for i in range(36)])


def test_row_23_a_table_is_its_numbers(make, data, table):
    X, y = data
    clf = make().fit(table, y)
    assert clf.feature_names_in_.tolist() == table.columns.tolist()
    assert same_bits(clf.predict_proba(table), make().fit(X, y).predict_proba(X))


def test_row_23_numeric_categories(make, data, table):
    X = table.round(1)
    in_categories = X.astype("category")
    proba = make().fit(X, data[1]).predict_proba(X)
    assert same_bits(make().fit(in_categories, data[1]).predict_proba(in_categories), proba)


def test_row_23_missing_values_of_pandas(make, data, table):
    missing = table.astype("Float64").mask(table > 2)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make().fit(missing, data[1])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make().fit(table, data[1]).predict(missing)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_row_24_other_columns_at_predict(make, data, table, name):
    clf = make().fit(table, data[1])
    for other in (table[table.columns[::-1]], table.rename(columns={"pixel0": "pixel_0"})):
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(clf, name)(other)


# Input that is probably not what it was meant to be


def test_row_17_dark_uint8_images_warn(make, data):
    X = np.resize(np.arange(10), (40, 36)).astype("uint8")
    with pytest.warns(UserWarning, match=r"its largest value is 9; if that is white, pass scaling=\(0, 9\)"):
        make().fit(X, data[1])
    make().fit(X * 20, data[1])  # as bright as a photograph: silence
    make(scaling=(0, 9)).fit(X, data[1])  # told: silence


@pytest.mark.parametrize(("shape", "data_format"), [((8, 3, 6, 6), "channels_last"), ((8, 6, 6, 3), "channels_first")])
def test_row_7_the_other_order_of_channels_looks_right(make, data, shape, data_format):
    X, y = np.resize(data[0], shape), data[1][:8]
    with pytest.warns(
        UserWarning, match=f"is read as {data_format}, so as images of 6 channels; if it has 3, set data_f"
    ):
        clf = make(data_format=data_format).fit(X, y)
    assert clf.image_shape_[2] == 6  # said, but not done behind the user's back
