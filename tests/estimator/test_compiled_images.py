"""Images that a compiled kernel reads are those that NumPy reads, bit for bit."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from skcnn._estimator.compiled_images import CompiledImages, images_for
from skcnn._estimator.images import ImageFormat, Images
from skcnn._kernels.compiled import images as kernels
from skcnn._kernels.compiled.images import read

SHAPE = (3, 5, 2)
READ = [
    ("uint8", "float32"),
    ("uint8", "float64"),
    ("float32", "float32"),
    ("float32", "float64"),
    ("float64", "float64"),
]


def rows(dtype, n=7, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "uint8":
        return rng.integers(0, 256, (n, 30)).astype(np.uint8)
    X = rng.normal(size=(n, 30)) * 10.0 ** rng.integers(-30, 30, (n, 30))
    return np.where(rng.random((n, 30)) < 0.1, rng.choice([np.nan, np.inf, -0.0, 1e-42], (n, 30)), X).astype(dtype)


def image_format(dtype, center=127.5, width=255.0, order="channels_last"):
    return ImageFormat(SHAPE, order, np.dtype(dtype), center, width)


def assert_same(X, fmt, indices):
    images, expected = images_for(X, fmt, "numba"), Images(X, fmt)[indices]
    assert images[indices].flags.carray
    assert images[indices].dtype == expected.dtype
    assert images[indices].shape == expected.shape
    np.testing.assert_array_equal(images[indices], expected)
    np.testing.assert_array_equal(np.signbit(images[indices]), np.signbit(expected))


@pytest.mark.parametrize(("dtype", "of_network"), READ)
def test_they_are_those_that_numpy_reads(dtype, of_network):
    number = st.floats(-1e6, 1e6)

    @settings(max_examples=60, deadline=None)
    @given(number, st.floats(1e-3, 1e6), st.integers(0, 2**32 - 1), st.lists(st.integers(0, 6), max_size=9))
    @example(127.5, 255.0, 0, [6])
    @example(0.0, 1.0, 0, [])
    def check(center, width, seed, indices):
        X, fmt = rows(dtype, seed=seed), image_format(of_network, center, width)
        assert type(images_for(X, fmt, "numba")) is CompiledImages
        with np.errstate(all="ignore"):
            for some in (np.array(indices, np.intp), slice(0, 4), slice(3, 99), slice(None, None, 2), slice(2, 2)):
                assert_same(X, fmt, some)

    check()


UNUSUAL = {
    "another backend": lambda X: (X, image_format("float32"), "numpy"),
    "columns of a larger array": lambda X: (np.tile(X, 2)[:, :30], image_format("float32"), "numba"),
    "another order": lambda X: (np.asfortranarray(X), image_format("float32"), "numba"),
    "a scale for each channel": lambda X: (X, image_format("float32", np.ones(2), np.full(2, 3.0)), "numba"),
    "channels first": lambda X: (X, image_format("float32", order="channels_first"), "numba"),
    "int16": lambda X: (X.astype(np.int16), image_format("float32"), "numba"),
    "bool": lambda X: (X > 100, image_format("float32"), "numba"),
    "other bytes": lambda X: (X.astype(">f4"), image_format("float32"), "numba"),
    "a rounded X": lambda X: (X.astype(np.float64), image_format("float32"), "numba"),
    "a scale beyond float32": lambda X: (X, image_format("float32", 1e-300, 1e-300), "numba"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_numpy_reads_everything_else(name):
    X, fmt, backend = UNUSUAL[name](rows("uint8"))
    images = images_for(X, fmt, backend)
    assert type(images) is Images
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(images[np.array([3, 1])], fmt.read(X[[3, 1]]))


def test_no_array_makes_the_kernel_compile_anew(tmp_path):
    X, fmt = rows("uint8"), image_format("float32")
    assert_same(X, fmt, np.array([4, 2, 2]))
    n_compiled = len(read.signatures)
    read_only, indices = X.copy(), np.array([4, 2, 2])
    read_only.flags.writeable = indices.flags.writeable = False
    assert_same(read_only, fmt, indices)
    np.save(tmp_path / "X.npy", X)
    assert_same(np.asarray(np.load(tmp_path / "X.npy", mmap_mode="r")), fmt, np.array([0, 4, 2])[::2])
    assert_same(np.ones((1000, 30), np.uint8), fmt, slice(0, 500))
    assert len(read.signatures) == n_compiled
    assert X.flags.writeable


@pytest.mark.parametrize("index", [-1, 7, 2**40])
def test_memory_outside_of_X_is_not_read(index):
    with pytest.raises(IndexError, match="no image has this index"):
        images_for(rows("uint8"), image_format("float32"), "numba")[np.array([0, index])]


def test_training_validation_and_prediction_read_them(make, uint8_images, monkeypatch):
    X, y = uint8_images
    calls = []
    monkeypatch.setattr(kernels, "read", lambda *args: calls.append(args[1].copy()) or read(*args))
    clf = make(backend="numba", early_stopping=True, batch_size=50).fit(X, y)
    assert len(set(np.concatenate(calls))) > 100
    calls.clear()
    proba = clf.predict_proba(X[:40])
    assert np.concatenate(calls).tolist() == list(range(40))
    monkeypatch.setattr("skcnn.classifier.images_for", lambda X, image_format, backend: Images(X, image_format))
    np.testing.assert_array_equal(clf.predict_proba(X[:40]), proba)
