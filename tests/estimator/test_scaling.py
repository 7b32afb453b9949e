"""The scale of pixels: what scaling does to them, and warnings where two scales do not agree."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, same_bits


@pytest.mark.parametrize(
    ("scaling", "dtype", "expected"),
    [
        ("auto", np.uint8, lambda X: X / 255 - 0.5),
        ("auto", np.float64, lambda X: (X - X.mean(axis=(0, 1, 2))) / X.std(axis=(0, 1, 2))),
        ("auto", np.int32, lambda X: (X - X.mean(axis=(0, 1, 2))) / X.std(axis=(0, 1, 2))),
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
    width = clf._model.image_format.width
    assert width[1] == pytest.approx(
        (width[0] + width[2]) / 2
    )  # later images may vary as much as the other channels do
    np.testing.assert_allclose(clf._model.image_format.read(X.reshape(90, -1))[..., 1], 0, atol=1e-9)
    constant = NumpyCNNClassifier(scaling="standard", max_iter=1).fit(np.full_like(X, value), y)
    assert constant._model.image_format.width.tolist() == [1, 1, 1]


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


SMALL_SPREADS = [1e-100, 1e-170, 1e-200, 1e-300]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["auto", "standard"])
@pytest.mark.parametrize("spread", SMALL_SPREADS)
def test_a_small_spread_is_scaled_like_any_other(make, data, spread, scaling, dtype):
    X, y = data
    small = make(scaling=scaling, dtype=dtype).fit(X * spread, y).predict_proba(X * spread)
    usual = make(scaling=scaling, dtype=dtype).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(small, usual, rtol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.parametrize("spread", [1e-37, 1e-40])
def test_a_spread_too_small_for_float32_is_scaled_in_float64(make, data, spread):
    X, y = (data[0] * spread).astype("float32"), data[1]
    clf = make().fit(X, y)
    assert clf.network_.dtype == np.float32
    X_scaled = clf._model.image_format.read(X)
    np.testing.assert_allclose((X_scaled.mean(), X_scaled.std()), (0, 1), atol=1e-4)


def test_a_range_too_large_for_float32_is_scaled_in_float64(make, data):
    X, y = (data[0] / np.abs(data[0]).max() * 3e38).astype("float32"), data[1]
    images = make().fit(X, y)._model.image_format.read(X)
    assert np.isfinite(images).all()
    np.testing.assert_allclose(images.std(), 1, rtol=1e-6)


def test_subnormal_pixels_are_named(make, data):
    X = (data[0] > 0.5) * 5e-324
    with pytest.raises(ValueError, match=r"scaling='auto': the range of X is too small for float64; .* \[0.\]"):
        make().fit(X, data[1])
    with pytest.raises(ValueError, match=r"scaling=\(0, 5e-324\): the range of X is too small"):
        make(scaling=(0, 5e-324)).fit(*data)


def test_a_narrow_range_far_from_zero_may_be_given(make, data):
    images = make(scaling=(1e15, 1e15 + 100)).fit(1e15 + 100 * (data[0] > 0), data[1])._model.image_format
    assert (images.width, images.center) == (100, 1e15 + 50)


def no_warning(action):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return action()


def test_later_training_on_another_scale_warns(make, split_digits):
    X, y = split_digits[0][:200] / 16, split_digits[2][:200]
    first = {"classes": np.arange(10)}
    text = "the pixels of X reach 255, but those in training {}; check that both have the same scale"
    clf = no_warning(lambda: make().partial_fit(X[:100], y[:100], **first))
    with pytest.warns(UserWarning, match=text.format("reached about 1")):
        clf.partial_fit(X[100:] * 255, y[100:])
    no_warning(lambda: clf.partial_fit(X[100:] * 255, y[100:]))  # now the network has seen this scale
    clf = make().partial_fit(np.zeros_like(X[:4]), y[:4], **first)
    with pytest.warns(UserWarning, match=text.format("were all 0")):
        clf.partial_fit(X[100:] * 255, y[100:])
    clf = make(warm_start=True).fit(X, y)
    with pytest.warns(UserWarning, match=text.format("reached about 1")):
        clf.fit(X * 255, y)
    no_warning(lambda: make().fit(X, y).fit(X * 255, y))  # a new start
    clf = no_warning(lambda: make(scaling=(0, 255)).partial_fit(np.zeros_like(X[:4]), y[:4], **first))
    no_warning(lambda: clf.partial_fit(X[100:] * 255, y[100:]))
    clf = make(scaling=None).partial_fit(X[:100], y[:100], **first)
    no_warning(lambda: clf.partial_fit(X[100:] * 255, y[100:]))


def test_one_image_on_another_scale_warns(make, split_digits):
    X, y = split_digits[0][:200] / 16, split_digits[2][:200]
    small, large = make().fit(X, y), make().fit(X * 255, y)
    for image in X[:20, np.newaxis]:
        with pytest.warns(UserWarning, match="the pixels of X reach"):
            small.predict(image * 255)
        with pytest.warns(UserWarning, match="the pixels of X reach"):
            large.predict(image)


def ordinary(name):
    """Images, flat, whose brightness varies as it does in practice."""
    rng, digits = np.random.default_rng(0), load_digits().data
    every_other = np.arange(len(digits))[:, np.newaxis] % 2 == 0
    if name.startswith("log-normal"):
        return rng.random((300, 64)) * np.exp(float(name.split()[1]) * rng.normal(size=(300, 1)))
    if name.startswith("hot pixels"):
        X = digits.copy()
        X[rng.choice(len(X), int(name.split()[2]), replace=False), 30] = 16 * 100
        return X
    return {
        "digits": digits,
        "digits of 0..1": digits / 16,
        "uint8": (digits * 15).astype(np.uint8),
        "dark and bright uint8": np.where(every_other, digits * 15, digits / 16).astype(np.uint8),
        "standardised": StandardScaler().fit_transform(digits),
        "half of them dark": np.where(every_other, digits, digits / 40),
        "half of them black": digits * every_other,
        "one pixel each": np.eye(64)[rng.integers(0, 64, 200)],
        "one pixel or all": np.vstack([np.eye(64)[rng.integers(0, 64, 100)], rng.random((100, 64))]),
        "spectrograms": rng.exponential(size=(300, 64)) * 10 ** rng.uniform(-4, 1, (300, 1)),
        "textures": rng.normal(128, 40, (300, 64)).clip(0, 255),
        "int16": (1000 * rng.normal(size=(300, 64))).astype(np.int16),
        "int8": np.where(every_other, -128, digits * 15 - 128).astype(np.int8),
    }[name]


ORDINARY = ["digits", "digits of 0..1", "uint8", "dark and bright uint8", "standardised", "half of them dark"]
ORDINARY += ["half of them black", "one pixel each", "one pixel or all", "spectrograms", "textures", "int16", "int8"]
ORDINARY += ["hot pixels 1", "hot pixels 20", "log-normal 0.5", "log-normal 1", "log-normal 2"]


@pytest.mark.filterwarnings("error", "ignore:X is uint8, so it is scaled as 0 to 255:UserWarning")
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_images_do_not_warn(make, name):
    """Neither all of them in training, nor single ones in prediction."""
    X = ordinary(name)
    clf = make().fit(X, np.arange(len(X)) % 3)
    for row in X[:100, np.newaxis]:
        clf.predict(row)


@pytest.mark.parametrize("scaling", ["auto", "standard", (0, 255), None], ids=str)
@pytest.mark.parametrize("name", ["digits of 0..1", "log-normal 0.5", "few"])
@pytest.mark.parametrize("factor", [255, 65535])
def test_images_of_two_scales_in_one_x_warn(make, name, factor, scaling):
    X = ordinary("digits of 0..1")[:10] if name == "few" else ordinary(name)
    X[::2] *= factor
    y, n = np.arange(len(X)) % 3, len(X) // 2
    text = (
        rf"X seems to contain images of two scales: the pixels of {n} images reach .*, and those of {len(X) - n} images"
    )
    with pytest.warns(UserWarning, match=text):
        make(scaling=scaling).fit(X, y)
    with pytest.warns(UserWarning, match=text):
        make(scaling=scaling).partial_fit(X, y, classes=[0, 1, 2])
