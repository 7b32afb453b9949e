import gzip
import tracemalloc

import numpy as np
import pytest
from sklearn.utils import Bunch

from skcnn.datasets import fashion_mnist, load_fashion_mnist


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(0, 256, (n, 28, 28)).astype(np.uint8), rng.integers(0, 10, n))
        for name, n in (("train", 7), ("t10k", 3))
    }


@pytest.fixture(params=["compressed", "plain"])
def folder(request, arrays, tmp_path):
    for name, (images, labels) in arrays.items():
        for stem, array in ((f"{name}-images-idx3-ubyte", images), (f"{name}-labels-idx1-ubyte", labels)):
            if request.param == "compressed":
                (tmp_path / f"{stem}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (tmp_path / stem).write_bytes(idx(array))
    return tmp_path


def test_reads_the_files(folder, arrays):
    train, test = load_fashion_mnist(data_home=folder), load_fashion_mnist(subset="test", data_home=folder)
    np.testing.assert_array_equal(train.data, arrays["train"][0])
    np.testing.assert_array_equal(test.target, arrays["t10k"][1])
    assert train.data.dtype == np.uint8
    assert train.target.dtype.kind == "i"
    assert train.target_names[9] == "Ankle boot"
    train.data[0] = 0  # the arrays belong to the caller, who may write to them


def test_all_is_train_then_test(folder, arrays):
    X, y = load_fashion_mnist(subset="all", data_home=folder, return_X_y=True)
    np.testing.assert_array_equal(X, np.concatenate([arrays["train"][0], arrays["t10k"][0]]))
    np.testing.assert_array_equal(y, np.concatenate([arrays["train"][1], arrays["t10k"][1]]))


def test_finds_the_folder_by_the_environment(folder, monkeypatch):
    monkeypatch.setenv("SKCNN_DATA", str(folder))
    assert len(load_fashion_mnist().data) == 7


def test_a_named_folder_without_the_files_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not contain the four files.*apt install dataset-fashion-mnist"):
        load_fashion_mnist(data_home=tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"\1" + b[1:], lambda b: b[:3], lambda b: b""])
def test_a_damaged_file_is_named(folder, damage):
    path = next(iter(folder.glob("train-images*")))
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.write_bytes(gzip.compress(damage(content)) if path.suffix == ".gz" else damage(content))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.* is damaged or is not an IDX file"):
        load_fashion_mnist(data_home=folder)


def test_unknown_subset():
    with pytest.raises(ValueError, match="subset must be 'train', 'test' or 'all', got 'validation'"):
        load_fashion_mnist(subset="validation")


@pytest.fixture
def no_files(monkeypatch, tmp_path):
    monkeypatch.delenv("SKCNN_DATA", raising=False)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_PACKAGE", tmp_path / "absent")


def test_else_it_is_fetched_from_openml(no_files, monkeypatch):
    rows = np.arange(70_000)
    fetched = Bunch(data=np.repeat(rows[:, np.newaxis] % 256, 784, axis=1), target=(rows % 10).astype(str))
    monkeypatch.setattr(fashion_mnist, "fetch_openml", lambda *args, **kwargs: fetched)
    test = load_fashion_mnist(subset="test")
    assert test.data.shape == (10_000, 28, 28)
    assert test.data.dtype == np.uint8
    np.testing.assert_array_equal(test.target, rows[60_000:] % 10)


def test_what_cannot_be_fetched_says_how_to_get_it(no_files, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(fashion_mnist, "fetch_openml", fail)
    with pytest.raises(OSError, match=r"could not be fetched from OpenML \(no network\).*SKCNN_DATA"):
        load_fashion_mnist()


def replaced(folder, stem, content):
    """Replace a file by one with this content, compressed if it was."""
    path = next(iter(folder.glob(f"{stem}*")))
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b[:30], lambda b: b[: len(b) // 2] + b"x" * 99, bytes])
def test_a_damaged_compressed_file_is_named(arrays, tmp_path, damage):
    for name, both in arrays.items():
        for kind, array in zip(("images-idx3", "labels-idx1"), both, strict=True):
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()) if damage is not bytes else b"no gzip file")
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte\.gz is damaged"):
        load_fashion_mnist(data_home=tmp_path)


def header(*lengths, n_axes=None):
    return bytes((0, 0, 8, n_axes or len(lengths))) + np.array(lengths, dtype=">u4").tobytes()


@pytest.mark.parametrize(
    "start",
    [
        header(2**20, 2**20, 2**20),
        header(2**32 - 1, 28, 28),
        header(60_001, 28, 28),
        header(0, 28, 28),
        header(7, 28, 27),
        header(7, 784),
        header(28, 28, 28, n_axes=255),
        header(*([1] * 255)),
    ],
    ids=lambda start: start[:20].hex(),
)
def test_a_shape_of_other_data_is_refused(folder, start):
    replaced(folder, "train-images", start + bytes(10**6))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.* with the shape \('n', 28, 28\)"):
        load_fashion_mnist(data_home=folder)


def test_no_more_is_read_than_the_shape_needs(folder, arrays):
    replaced(folder, "train-images", idx(arrays["train"][0]) + bytes(10**8))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.* is damaged"):
        load_fashion_mnist(data_home=folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**6


def test_labels_are_those_of_the_ten_classes(folder, arrays):
    labels = arrays["train"][1].copy()
    labels[3] = 10
    replaced(folder, "train-labels", idx(labels))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte.* is damaged: it contains the label 10, but"):
        load_fashion_mnist(data_home=folder)


def test_images_and_labels_must_match(folder, arrays):
    replaced(folder, "train-labels", idx(arrays["train"][1][:5]))
    with pytest.raises(ValueError, match=r"the train files do not match: images \(7, 28, 28\), labels \(5,\)"):
        load_fashion_mnist(data_home=folder)


def test_a_folder_in_place_of_a_file_is_no_file(folder):
    path = next(iter(folder.glob("train-images*")))
    path.unlink()
    path.mkdir()
    with pytest.raises(FileNotFoundError, match="does not contain the four files"):
        load_fashion_mnist(data_home=folder)


def test_an_empty_name_is_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not contain the four files"):
        load_fashion_mnist(data_home="")
