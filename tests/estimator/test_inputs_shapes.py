"""The shapes of images: those that are read, those that are guessed and those that are refused."""

import numpy as np
import pandas as pd
import pytest

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import PREDICTIONS, QUICK, bits, same_bits


def test_flat_and_image_shaped_digits_are_the_same(split_digits):
    X, X_test, y, _ = split_digits
    shapes = [(-1, 64), (-1, 8, 8), (-1, 8, 8, 1)]
    models = [NumpyCNNClassifier(**QUICK).fit(X.reshape(shape), y) for shape in shapes]
    assert {bits(clf, X_test.reshape(shape)) for clf in models for shape in shapes} == {bits(models[0], X_test)}
    assert {clf.image_shape_ for clf in models} == {(8, 8, 1)}
    assert {clf.n_features_in_ for clf in models} == {64}


def test_channels_first_and_last_are_the_same(colour):
    X, y = colour
    first = np.ascontiguousarray(X.transpose(0, 3, 1, 2))
    last_clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    first_clf = NumpyCNNClassifier(data_format="channels_first", **QUICK).fit(first, y)
    flat_clf = NumpyCNNClassifier(data_format="channels_first", image_shape=(7, 10, 3), **QUICK).fit(
        first.reshape(90, -1), y
    )
    assert first_clf.image_shape_ == last_clf.image_shape_ == flat_clf.image_shape_ == (7, 10, 3)
    assert (
        bits(first_clf, first) == bits(last_clf, X) == bits(flat_clf, first) == bits(first_clf, first.reshape(90, -1))
    )


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (None, "got None. Pass an array or a list of images"),
        (3.0, "Pass an array or a list of images"),
        (np.array(3.0), "Pass an array or a list of images"),
        ([1.0, 2.0], r"Reshape your data: if X is a single flat image, pass \[X\]"),
        (np.zeros(36), r"Reshape your data: if X is a single flat image, pass \[X\]"),
        ([], "X contains no images"),
        (np.zeros(0), "X contains no images"),
    ],
    ids=repr,
)
def test_fewer_than_two_dimensions(make, data, fitted, bad, text):
    for action in (lambda: make().fit(bad, data[1]), lambda: fitted.predict(bad)):
        with pytest.raises(ValueError, match=rf"(?s)Expected 2D array.*{text}$"):
            action()


@pytest.mark.parametrize(
    ("shape", "data_format", "image_shape"),
    [
        ((40, 4, 9), "channels_last", (4, 9, 1)),
        ((40, 4, 3, 3), "channels_last", (4, 3, 3)),
        ((40, 3, 4, 3), "channels_first", (4, 3, 3)),
    ],
)
def test_images_are_taken_in_the_documented_layout(make, data, shape, data_format, image_shape):
    X, y = data
    clf = make(data_format=data_format).fit(X.reshape(shape), y)
    assert clf.image_shape_ == image_shape
    assert clf.n_features_in_ == 36
    assert clf.network_.shapes[0] == image_shape
    # flat rows hold the pixels in the same order
    assert same_bits(clf.predict_proba(X.reshape(shape)), clf.predict_proba(X))


def test_both_data_formats_mean_the_same_images(make, data):
    X, y = data[0].reshape(40, 4, 3, 3), data[1]
    last = make().fit(X, y)
    first = make(data_format="channels_first").fit(X.transpose(0, 3, 1, 2), y)
    assert same_bits(last.predict_proba(X), first.predict_proba(X.transpose(0, 3, 1, 2)))


@pytest.mark.parametrize(("shape", "data_format"), [((8, 3, 6, 6), "channels_last"), ((8, 6, 6, 3), "channels_first")])
def test_the_other_order_of_channels_looks_right(make, data, shape, data_format):
    X, y = np.resize(data[0], shape), data[1][:8]
    with pytest.warns(UserWarning, match=f"is read as {data_format}, as images with 6 channels; if they have 3, set"):
        clf = make(data_format=data_format).fit(X, y)
    assert clf.image_shape_[2] == 6  # the warning changes nothing in how X is read


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("shape", "data_format"), [((8, 1, 30, 6), "channels_last"), ((8, 6, 30, 1), "channels_first")]
)
def test_signals_with_many_channels_are_no_images_in_the_other_order(make, data, shape, data_format):
    settings = {"data_format": data_format, "pool_size": 1}
    make(**settings).fit(np.resize(data[0], shape), data[1][:8])
    square = (8, 1, 28, 28) if data_format == "channels_last" else (8, 28, 28, 1)
    with pytest.warns(UserWarning, match="if they have 1, set data_format"):
        make(**settings).fit(np.resize(data[0], square), data[1][:8])


def test_five_dimensions(make, data, fitted):
    X = data[0].reshape(40, 2, 3, 2, 3)
    for five in (X, X.tolist(), list(X)):
        with pytest.raises(ValueError, match=r"X has 5 axes .*\(40, 2, 3, 2, 3\).* only 2, 3 or 4 axes are accepted"):
            make().fit(five, data[1])
        with pytest.raises(ValueError, match=r"X has 5 axes .*\(40, 2, 3, 2, 3\).* only 2, 3 or 4 axes are accepted"):
            fitted.predict(five)


@pytest.mark.parametrize(
    ("ragged", "text"),
    [
        ([[1, 2], [3]], r"X\[0\] is of shape \(2,\), but X\[1\] is of shape \(1,\)"),
        ([[[1, 2], [3, 4]], [[5, 6]]], r"X\[0\] is of shape \(2, 2\), but X\[1\] is of shape \(1, 2\)"),
    ],
    ids=["rows", "images"],
)
def test_ragged_lists(make, fitted, ragged, text):
    with pytest.raises(ValueError, match=text):
        make().fit(ragged, [0, 1])
    with pytest.raises(ValueError, match=text):
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
def test_no_rows_or_columns(make, data, shape, text):
    with pytest.raises(ValueError, match=text):
        make().fit(np.zeros(shape), data[1][: shape[0]])


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize("shape", [(0, 36), (0, 6, 6), (0, 6, 6, 1)], ids=str)
def test_predict_no_rows(fitted, name, shape):
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        getattr(fitted, name)(np.zeros(shape))


@pytest.mark.parametrize("name", PREDICTIONS)
def test_another_width_at_predict(make, digits, name):
    X, y = digits
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match="X has 63 features, but NumpyCNNClassifier is expecting 64"):
        getattr(clf, name)(X[:, :63])
    with pytest.raises(ValueError, match="X has 120 features, but NumpyCNNClassifier is expecting 64"):
        getattr(clf, name)(X.T)


@pytest.mark.parametrize("shape", [(40, 3, 4, 3), (40, 4, 9, 1), (40, 4, 9)], ids=str)
def test_another_image_size_at_predict(make, data, shape):
    X, y = data
    clf = make().fit(X.reshape(40, 4, 3, 3), y)
    there = str((*shape[1:], 1)[:3]).replace("(", r"\(").replace(")", r"\)")
    text = rf"images of shape {there}, but the network was fitted on images of shape \(4, 3, 3\)"
    with pytest.raises(ValueError, match=text):
        clf.predict(X.reshape(shape))  # the images have as many numbers, so only the shape differs


SINGLE = {
    "grey": ((40, 6, 6), "channels_last", lambda x: x),
    "grey, fitted on rows": ((40, 36), "channels_last", lambda x: x.reshape(6, 6)),
    "grey, as a list": ((40, 6, 6), "channels_last", lambda x: x.tolist()),
    "grey, with a channel": ((40, 6, 6, 1), "channels_last", lambda x: x),
    "grey, without its channel": ((40, 6, 6, 1), "channels_last", lambda x: x[:, :, 0]),
    "not square": ((40, 4, 9), "channels_last", lambda x: x),
    "colour": ((40, 4, 3, 3), "channels_last", lambda x: x),
    "channels first": ((40, 3, 4, 3), "channels_first", lambda x: x),
}


@pytest.mark.parametrize("name", PREDICTIONS)
@pytest.mark.parametrize(("shape", "data_format", "single"), SINGLE.values(), ids=SINGLE)
def test_a_single_image_needs_a_batch(make, data, shape, data_format, single, name):
    X, y = data[0].reshape(shape), data[1]
    clf = make(data_format=data_format).fit(X, y)
    image = single(X[0])
    with pytest.raises(ValueError, match=r"but the network was fitted on images .*for a single image, pass \[X\]"):
        getattr(clf, name)(image)
    assert same_bits(getattr(clf, name)([image]), getattr(clf, name)(X[:1]))


def test_a_single_image_of_pillow_needs_a_batch(make, uint8_images):
    X, y = uint8_images
    clf = make().fit(X, y)
    image = pytest.importorskip("PIL.Image").fromarray(X[0])
    with pytest.raises(ValueError, match=r"for a single image, pass \[X\]"):
        clf.predict(image)
    assert same_bits(clf.predict_proba([image]), clf.predict_proba(X[:1]))


@pytest.mark.parametrize("form", [np.asarray, list, tuple, pd.Series, memoryview], ids=lambda form: form.__name__)
def test_a_single_flat_image_needs_a_batch(fitted, data, form):
    image = form(data[0][0].copy())
    with pytest.raises(ValueError, match=r"of shape \(36,\).*Reshape your data.*pass \[X\]"):
        fitted.predict(image)
    assert same_bits(fitted.predict_proba([image]), fitted.predict_proba(data[0][:1]))


@pytest.mark.parametrize("shape", [(6, 6), (6, 6, 1), (4, 3, 3)], ids=str)
def test_training_on_a_single_image_needs_a_batch(make, data, shape):
    X = data[0][0].reshape(shape)
    clf = make(pool_size=1)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: .*single image, pass \[X\]"):
        clf.partial_fit(X, [1], classes=[0, 1, 2])
    clf.partial_fit(X[np.newaxis], [1], classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"pass \[X\]"):
        clf.partial_fit(X, [1])


@pytest.mark.parametrize(
    ("n_features", "image_shape"), [(36, (6, 6, 1)), (37, (1, 37, 1)), (60, (1, 60, 1)), (1, (1, 1, 1)), (2, (1, 2, 1))]
)
def test_flat_rows_without_image_shape(make, data, n_features, image_shape):
    # rows are read as a square or as one line of pixels; kernels and pools shrink to that size
    X = np.resize(data[0], (40, n_features))
    clf = make(n_kernels=(2, 2)).fit(X, data[1])
    assert clf.image_shape_ == image_shape
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("n_features", "hint"),
    [(65, r"pass image_shape=\(h, w\) or \(h, w, c\)$"), (3072, r"perhaps image_shape=\(32, 32, 3\)")],
)
def test_wide_rows_that_are_no_square_warn(make, data, n_features, hint):
    X = np.resize(data[0], (8, n_features))
    with pytest.warns(UserWarning, match=f"{n_features} features are not a square number.*{hint}"):
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
def test_images_of_one_pixel_or_one_line(make, data, shape, parameters):
    X = np.resize(data[0], shape)
    clf = make(**parameters).fit(X, data[1])
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("image_shape", "n_features", "text"),
    [
        ((8, 8), 60, r"image_shape \(8, 8, 1\) needs 64 features, got 60"),
        ((4, 5, 3), 64, r"image_shape \(4, 5, 3\) needs 60 features, got 64"),
    ],
)
def test_image_shape_of_another_size(make, image_shape, n_features, text):
    with pytest.raises(ValueError, match=text):
        make(image_shape=image_shape).fit(np.zeros((8, n_features)), np.arange(8) % 2)


def test_image_shape_against_the_shape_of_X(make, images):
    with pytest.raises(ValueError, match=r"image_shape \(4, 9, 1\) does not match X of shape \(40, 6, 6\)"):
        make(image_shape=(4, 9)).fit(*images)


@pytest.mark.parametrize("image_shape", [(3, 32, 32), (1, 12, 12), (4, 6, 8), (3, 5, 7)], ids=str)
def test_image_shape_with_the_channels_first(make, image_shape):
    c, h, w = image_shape
    X, y = np.random.default_rng(0).random((8, h * w * c)), np.arange(8) % 2
    text = rf"image_shape \({c}, {h}, {w}\) means .*pass image_shape=\({h}, {w}, {c}\) and data_format='channels_first'"
    with pytest.warns(UserWarning, match=text):
        clf = make(image_shape=image_shape, pool_size=1).fit(X, y)
    assert clf.image_shape_ == image_shape  # the warning changes nothing in how X is read
    assert make(image_shape=(h, w, c), data_format="channels_first").fit(X, y).image_shape_ == (h, w, c)


@pytest.mark.parametrize("image_shape", [(1, 20, 9), (3, 8, 3), (2, 8, 8), (32, 32, 3), (5, 8, 8), (1, 4, 4)], ids=str)
def test_image_shapes_that_may_be_right_do_not_warn(make, image_shape):
    X = np.random.default_rng(0).random((8, np.prod(image_shape)))
    assert make(image_shape=image_shape, pool_size=1).fit(X, np.arange(8) % 2).image_shape_ == image_shape


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_image_shape_with_the_channels_first_against_X(make, data_format):
    X = np.zeros((8, 6, 6, 3) if data_format == "channels_last" else (8, 3, 6, 6))
    with pytest.raises(
        ValueError, match=r"image_shape \(3, 6, 6\) does not match X .*image_shape is always \(h, w, c\)"
    ):
        make(image_shape=(3, 6, 6), data_format=data_format).fit(X, np.arange(8) % 2)


BAD_SHAPES = [(0, 8), (-1, 8), (8.0, 8), (8, 8, 1, 1), (64,), (), (True, 8), (8, None), "8x8", 8, True, 8.0]


@pytest.mark.parametrize("image_shape", BAD_SHAPES, ids=repr)
def test_image_shape_out_of_range(make, digits, image_shape):
    clf = make(image_shape=image_shape)  # the constructor checks nothing, as everywhere in scikit-learn
    clf.set_params(image_shape=image_shape)
    with pytest.raises(ValueError, match=r"image_shape.* must be .*[Gg]ot") as caught:
        clf.fit(*digits)
    assert repr(image_shape) in str(caught.value)
