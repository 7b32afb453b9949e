"""Augmentations: what they do to images, beside SciPy's interpolation, and how training uses them."""

import pickle
import re

import numpy as np
import pytest
from scipy import ndimage
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Crop, Cutout, Flip, Rotate, Shift, augment

ALL = [Flip(), Flip("vertical", 0.8), Shift(), Shift(3), Rotate(), Rotate(180), Crop(), Crop(0.3), Cutout(), Cutout(3)]
NOTHING = [Flip(probability=0), Shift(0), Rotate(0), Crop(1.0)]
every_augmentation = pytest.mark.parametrize("change", ALL, ids=repr)


def images(n=6, shape=(7, 9, 2), dtype=np.float32):
    return np.random.default_rng(1).normal(size=(n, *shape)).astype(dtype)


@every_augmentation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 9, 2), (1, 1, 1), (1, 5, 3)])
def test_shape_and_type_stay_and_nothing_is_written(change, dtype, shape):
    x = images(shape=shape, dtype=dtype)
    before = x.copy()
    x.flags.writeable = False
    one, again = (change(x, np.random.default_rng(3)) for _ in range(2))
    assert (one.shape, one.dtype) == (x.shape, x.dtype)
    assert not np.shares_memory(one, x)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(one, again)
    assert np.isfinite(one).all()


@every_augmentation
def test_images_are_changed_by_numbers_of_their_own(change):
    x = np.repeat(images(1), 30, axis=0)
    out = change(x, np.random.default_rng(0))
    assert len({image.tobytes() for image in out}) > 1
    assert out.min() >= min(x.min(), 0)
    assert out.max() <= max(x.max(), 0)


@pytest.mark.parametrize("change", NOTHING, ids=repr)
def test_a_change_by_nothing_changes_nothing(change):
    x = images(dtype=np.float64)
    np.testing.assert_allclose(change(x, np.random.default_rng(0)), x, atol=1e-12)


def test_a_flip_mirrors():
    x = images()
    np.testing.assert_array_equal(Flip(probability=1)(x, np.random.default_rng(0)), x[:, :, ::-1])
    np.testing.assert_array_equal(Flip("vertical", 1)(x, np.random.default_rng(0)), x[:, ::-1])
    some = Flip()(images(2000, (1, 2, 1)), np.random.default_rng(0))
    assert (some != images(2000, (1, 2, 1))).any(axis=(1, 2, 3)).mean() == pytest.approx(0.5, abs=0.05)


def test_a_shift_moves_by_whole_pixels_and_repeats_the_edge():
    x = images(200, (5, 6, 1))
    moves = set()
    for image, moved in zip(x, Shift(2)(x, np.random.default_rng(0)), strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(moved, image[np.clip(np.arange(5) + down, 0, 4)][:, np.clip(np.arange(6) + right, 0, 5)])
        ]
        assert len(found) == 1
        moves.update(found)
    assert len(moves) == 25


def test_rotation_is_that_of_scipy():
    x, degrees = images(4, (9, 6, 1), np.float64), 40.0
    out = Rotate(degrees)(x, np.random.default_rng(5))
    for image, rotated, angle in zip(x, out, np.random.default_rng(5).uniform(-degrees, degrees, 4), strict=True):
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        matrix, middle = np.array([[cos, -sin], [sin, cos]]), np.array([4.0, 2.5])
        expected = ndimage.affine_transform(image[..., 0], matrix, middle - matrix @ middle, order=1, mode="nearest")
        np.testing.assert_allclose(rotated[..., 0], expected, atol=1e-12)


def test_a_crop_is_a_straight_part_of_the_image():
    rows, columns = np.meshgrid(np.arange(9.0), np.arange(6.0), indexing="ij")
    x = np.repeat(np.stack([rows, columns], axis=-1)[np.newaxis], 50, axis=0)
    out = Crop(0.5)(x, np.random.default_rng(0))
    for axis, length in ((1, 9), (2, 6)):
        steps = np.diff(out[..., axis - 1], axis=axis)
        assert np.abs(steps - steps[:, :1, :1]).max() < 1e-12
        assert (steps >= 0.5).all()
        assert (steps <= 1).all()
        assert out[..., axis - 1].max() <= length - 1


def test_cutout_sets_a_square_to_0():
    x = np.ones((300, 8, 9, 2))
    cut = Cutout(3)(x, np.random.default_rng(0)) == 0
    assert (cut[..., 0] == cut[..., 1]).all()
    assert set(cut.any(axis=2)[..., 0].sum(axis=1)) | set(cut.any(axis=1)[..., 0].sum(axis=1)) == {2, 3}
    assert (cut[..., 0].sum(axis=(1, 2)) == cut.any(axis=2)[..., 0].sum(1) * cut.any(axis=1)[..., 0].sum(1)).all()


@every_augmentation
def test_an_augmentation_is_a_value(change):
    assert eval(repr(change)) == pickle.loads(pickle.dumps(change)) == change
    assert hash(change) == hash(eval(repr(change)))


@pytest.mark.parametrize(
    ("make", "name", "bad", "expected"),
    [
        *((Flip, "axis", bad, "'horizontal' or 'vertical'") for bad in ["left", 1, None]),
        *((Flip, "probability", bad, "a number in [0, 1]") for bad in [-0.1, 1.1, np.nan, None, True]),
        *((Shift, "pixels", bad, "an int of at least 0") for bad in [-1, 0.5, True, None]),
        *((Rotate, "degrees", bad, "a number in [0, 180]") for bad in [-1, 181, np.nan, None]),
        *((Crop, "smallest", bad, "a number in (0, 1]") for bad in [0, 1.1, np.nan, None]),
        *((Cutout, "size", bad, "an int of at least 1") for bad in [0, 2.0, None]),
    ],
)
def test_a_field_out_of_range_is_refused(make, name, bad, expected):
    with pytest.raises(ValueError, match=re.escape(f"{make.__name__}: {name} must be {expected}, got {bad!r}")):
        make(**{name: bad})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda x, rng: x[:, 1:],
            "must return an array of float64 and shape (3, 7, 9, 2), got an array of float64 and shape (3, 6, 9, 2)",
        ),
        (lambda x, rng: x[:2], "got an array of float64 and shape (2, 7, 9, 2)"),
        (lambda x, rng: x[..., 0], "got an array of float64 and shape (3, 7, 9)"),
        (lambda x, rng: np.concatenate([x, x]), "got an array of float64 and shape (6, 7, 9, 2)"),
        (lambda x, rng: x.astype(np.uint8), "got an array of uint8 and shape (3, 7, 9, 2)"),
        (lambda x, rng: x > 0, "got an array of bool and shape (3, 7, 9, 2)"),
        (lambda x, rng: x + 0j, "got an array of complex128 and shape (3, 7, 9, 2)"),
        (lambda x, rng: x.astype(object), "got an array of object and shape (3, 7, 9, 2)"),
        (lambda x, rng: None, "got NoneType"),
        (lambda x, rng: x.tolist(), "got list"),
        (lambda x, rng: (x, rng), "got tuple"),
        (lambda x, rng: x.resize(2, 7, 9, 2, refcheck=False) or x, "shape (3, 7, 9, 2), got an array of float64 and"),
    ],
)
def test_what_a_callable_returns_is_checked(change, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        augment(images(3, dtype=np.float64), [change], np.random.default_rng(0))


@pytest.mark.parametrize("returned", [np.float16, np.float64, np.longdouble, ">f4"])
def test_floats_of_another_dtype_are_cast(returned):
    x = images(3)
    out = augment(x, [lambda x, rng: x.astype(returned), lambda x, rng: x + x.dtype.type(1)], np.random.default_rng(0))
    assert out.dtype == np.float32
    assert out.dtype.isnative
    np.testing.assert_array_equal(out, x.astype(returned).astype(np.float32) + np.float32(1))


def test_a_fit_with_noise_in_float64_is_that_with_noise_in_the_network_s_dtype(make, data):
    def noisy(images, rng):
        return images + rng.normal(0, 0.1, images.shape)

    X, y = data[0].astype(np.float32), data[1]
    clf, cast = make(augment=noisy), make(augment=lambda x, rng: noisy(x, rng).astype(np.float32))
    assert clf.fit(X, y).coefs_[0].dtype == np.float32
    np.testing.assert_array_equal(clf.coefs_[0], cast.fit(X, y).coefs_[0])


def test_an_augmentation_may_change_its_input(make, data):
    X, y = data
    before = X.copy()

    def negative(images, rng):
        images *= -1
        return images

    in_place, new = make(augment=negative).fit(X, y), make(augment=lambda images, rng: -images).fit(X, y)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(in_place.coefs_[0], new.coefs_[0])


@pytest.mark.parametrize("change", [lambda images: images, lambda: 0, lambda images, rng, more: images, np.random.rand])
@pytest.mark.parametrize("fit", ["fit", "partial_fit"])
def test_other_arguments_are_an_error_before_training(change, fit, make, data, capsys):
    X, y = data
    classes = {"classes": [0, 1, 2]} if fit == "partial_fit" else {}
    text = r"augment must take the arguments \(images, rng\), but|augment: <"
    with pytest.raises(TypeError, match=text):
        getattr(make(augment=[Shift(), change], verbose=1), fit)(X, y, **classes)
    assert "Epoch" not in capsys.readouterr().out


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), ZeroDivisionError(), FileNotFoundError(2, "no")])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_that_an_augmentation_raises_keeps_its_type_and_names_it(error, n_jobs, make, data):
    def raising(images, rng):
        raise error

    with pytest.raises(type(error)) as raised:
        make(augment=[Shift(), raising], n_jobs=n_jobs).fit(*data)
    text = "".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert "augment: <function" in text
    assert raised.traceback[-1].name == "raising"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_an_error_at_once(bad, make, data):
    def blotted(images, rng):
        images[0, 0, 0] = bad
        return images

    with pytest.raises(ValueError, match="augment must return finite numbers, but some of the augmented pixels"):
        make(augment=[Shift(1), blotted]).fit(*data)


def test_pixels_that_are_not_finite_later_end_training_and_keep_the_weights_from_before(make, data):
    X, y = data
    calls = []

    def blotted_later(images, rng):
        calls.append(len(images))
        return images / 0 if len(calls) > 3 else images

    clf = make(augment=blotted_later, batch_size=40, max_iter=9)
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 4: .* an image from augment was no longer finite"):
        clf.fit(X, y)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("bad", "text"), [([Shift(), "flip"], "got 'flip'"), (Shift, r"; write Shift\(\)$"), ([3], "got 3")]
)
def test_what_is_no_augmentation_is_refused(bad, text, make, data):
    with pytest.raises(ValueError, match=rf"augment must contain callables \(images, rng\) -> images, .*{text}"):
        make(augment=bad).fit(*data)


def test_training_sees_changed_images_and_prediction_does_not(make, data):
    X, y = data
    seen = []

    def watch(images, rng):
        seen.append(images.copy())
        return images

    unfitted = make(n_kernels=8, hidden_layer_sizes=16, batch_size=40, max_iter=3, shuffle=False)
    clone(unfitted).set_params(augment=[Shift(1), watch]).fit(X, y)
    plain = clone(unfitted).set_params(augment=watch, max_iter=1).fit(X, y)
    *epochs, as_given = seen
    assert len({batch.tobytes() for batch in seen}) == 4, "every epoch draws anew"
    assert all(np.isin(epoch, as_given).all() for epoch in epochs)
    before = len(seen)
    plain.predict(X)
    assert len(seen) == before


@pytest.mark.parametrize("how", ["a list", "one"])
def test_same_bits_for_every_n_jobs(how, small_shards):
    rng = np.random.default_rng(0)
    y = np.arange(150) % 3
    X = (rng.integers(0, 156, (150, 28, 28)) + 50 * y[:, np.newaxis, np.newaxis]).astype(np.uint8)
    changes = [Flip(), Shift(), Rotate(), Crop(), Cutout()] if how == "a list" else Shift(4)
    bits = {
        tuple(
            W.tobytes()
            for W in NumpyCNNClassifier(
                3, augment=changes, dropout=0.2, batch_size=64, max_iter=3, random_state=0, n_jobs=n_jobs
            )
            .fit(X, y)
            .coefs_
        )
        for n_jobs in (1, 2, 3, None)
    }
    assert len(bits) == 1


def test_set_params_reaches_augmentations():
    clf = NumpyCNNClassifier(augment=[Shift(1), Flip()])
    clf.set_params(augment__0__pixels=3, augment__1__axis="vertical")
    assert clf.augment == [Shift(3), Flip("vertical")]
    assert NumpyCNNClassifier(augment=Rotate()).set_params(augment__degrees=5).augment == Rotate(5)
