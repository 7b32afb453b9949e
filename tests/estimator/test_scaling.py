"""The scale of pixels: what scaling does to them, and warnings where two scales do not agree."""

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, same_bits


@pytest.mark.parametrize(
    ("scaling", "dtype", "expected"),
    [
        ("auto", np.uint8, lambda X: X / 255 - 0.5),
        ("auto", np.float64, lambda X: (X - X.min()) / (X.max() - X.min()) - 0.5),
        ("auto", np.int32, lambda X: (X - X.min()) / (X.max() - X.min()) - 0.5),
        ((-100, 300), np.uint8, lambda X: (X + 100) / 400 - 0.5),
        ("standard", np.uint8, lambda X: (X - X.mean(axis=(0, 1, 2))) / X.std(axis=(0, 1, 2))),
        (None, np.float64, lambda X: X),
    ],
)
def test_scaling(colour, scaling, dtype, expected):
    X, y = colour[0].astype(dtype), colour[1]
    clf = NumpyCNNClassifier(scaling=scaling, dtype="float64", max_iter=1).fit(X, y)
    np.testing.assert_allclose(
        clf._model.image_format.read(X.reshape(90, -1)), expected(X.astype(np.float64)), atol=1e-12
    )


def test_uint8_maps_exactly_to_plus_and_minus_one_half(colour):
    clf = NumpyCNNClassifier(max_iter=1).fit(*colour)
    ends = clf._model.image_format.read(np.array([[0, 255] * 105], dtype=np.uint8))
    assert set(ends.ravel().tolist()) == {-0.5, 0.5}


@pytest.mark.parametrize("value", [0.1, 1e5, -3.3])
def test_standard_scaling_of_a_constant_channel(colour, value):
    X, y = colour[0].astype(np.float64), colour[1]
    X[..., 1] = value
    clf = NumpyCNNClassifier(scaling="standard", max_iter=1).fit(X, y)
    assert clf._model.image_format.width[1] == 1
    np.testing.assert_allclose(clf._model.image_format.read(X.reshape(90, -1))[..., 1], 0, atol=1e-9)


@pytest.mark.parametrize("fit_dtype", ["float32", "float64", "int8"])
@pytest.mark.parametrize("scaling", ["auto", "standard", (-50, 50), None], ids=str)
def test_small_integers_do_not_wrap_around(make, data, fit_dtype, scaling):
    # training sees values around 0, so 0 - center and 255 - center leave the range of uint8
    clf = make(scaling=scaling).fit(np.rint(20 * data[0]).astype(fit_dtype), data[1])
    new = np.resize(np.arange(256), (40, 36))
    proba = clf.predict_proba(new.astype("uint8"))
    assert same_bits(proba, clf.predict_proba(new.astype("float32")))
    assert len(np.unique(proba, axis=0)) > 1


def test_dark_uint8_images_warn(make, data):
    X = np.resize(np.arange(10), (40, 36)).astype("uint8")
    with pytest.warns(UserWarning, match=r"its largest value is 9; if that is white, pass scaling=\(0, 9\)"):
        make().fit(X, data[1])
    make().fit(X * 20, data[1])  # pixels as bright as those of photographs do not warn
    make(scaling=(0, 9)).fit(X, data[1])  # a given scale does not warn


def on_scale(scale, dtype, split_digits):
    return (split_digits[0] / 16 * scale).astype(dtype)


@pytest.mark.parametrize("scaling", ["auto", "standard", (0, 255)])
@pytest.mark.parametrize(("fitted_on", "asked_on"), [((255, np.uint8), (1, float)), ((255, float), (1, np.float32))])
def test_a_scale_that_is_off_warns(split_digits, fitted_on, asked_on, scaling):
    """A common mistake: the classifier is fitted on pixels of 0 to 255 and predicts pixels of 0 to 1."""
    X, other = on_scale(*fitted_on, split_digits), on_scale(*asked_on, split_digits)
    clf = NumpyCNNClassifier(scaling=scaling, **QUICK).fit(X, split_digits[2])
    for method in (clf.predict, clf.predict_proba, clf.decision_function):
        with pytest.warns(UserWarning, match=r"the pixels of X reach 1, but .*; check that both have the same scale"):
            method(other)
    with pytest.warns(UserWarning, match="the pixels of X_val reach 1,"):
        clf.fit(X, split_digits[2], X_val=other, y_val=split_digits[2])


def test_the_other_way_round_warns_too(split_digits):
    clf = NumpyCNNClassifier(**QUICK).fit(on_scale(1, float, split_digits), split_digits[2])
    with pytest.warns(UserWarning, match=r"the pixels of X reach 255, but those in training reached about 1;"):
        clf.predict(on_scale(255, np.uint8, split_digits))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scaling", ["auto", "standard", None])
def test_images_on_the_same_scale_warn_of_nothing(split_digits, scaling):
    X, y = on_scale(255, np.uint8, split_digits), split_digits[2]
    clf = NumpyCNNClassifier(scaling=scaling, **{**QUICK, "max_iter": 6, "learning_rate_init": 0.003}).fit(X, y)
    for other in (X, X[:1], X // 20, np.zeros_like(X[:1]), X.astype(float), 255.0 - X):
        clf.predict(other)


@pytest.mark.filterwarnings("error")
def test_without_scaling_no_scale_is_off(split_digits):
    clf = NumpyCNNClassifier(scaling=None, **QUICK).fit(split_digits[0], split_digits[2])
    clf.predict(split_digits[1] / 100)
