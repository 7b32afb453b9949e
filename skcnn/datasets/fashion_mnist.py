"""Fashion-MNIST."""

from __future__ import annotations

import gzip
import os
import zlib
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

__all__ = ["load_fashion_mnist"]

Array = NDArray[Any]
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN_PACKAGE = Path("/usr/share/datasets/fashion-mnist")
_PREFIXES = {"train": "train", "test": "t10k"}
_N_TRAIN = 60_000
_UINT8 = 0x08  # the code of this type in IDX files
_SHAPES: dict[str, tuple[int, ...]] = {"images": (28, 28), "labels": ()}


def load_fashion_mnist(
    *,
    subset: Literal["train", "test", "all"] = "train",
    data_home: str | os.PathLike[str] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load Fashion-MNIST: 70,000 grey images of 28x28 pixels that show articles of clothing, in 10 classes.

    The four IDX files (``train-images-idx3-ubyte.gz`` and so on, compressed or not) are read from the folder
    `data_home`, otherwise from the folder in the environment variable ``SKCNN_DATA``, otherwise from Debian's package
    ``dataset-fashion-mnist``. If you do not name a folder and the package is not installed, scikit-learn fetches the
    data set from OpenML and caches it.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The 60,000 training images, the 10,000 test images, or the training images followed by the test images.
    data_home : path, default=None
        The folder that contains the files. If you pass it, no other place is searched.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data`` (n, 28, 28) of uint8, 0 to 255; ``target`` (n,) of int, 0 to 9; ``target_names``, a list of 10 str.

    Raises
    ------
    ValueError
        If `subset` is not one of these names, or if a file is damaged or does not belong to Fashion-MNIST.
    OSError
        If a named folder does not contain the files, or if they cannot be read or fetched. The message says how to get
        them.

    References
    ----------
    Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms.
    """
    if subset not in ("train", "test", "all"):
        raise ValueError(f"subset must be 'train', 'test' or 'all', got {subset!r}")
    subsets = ("train", "test") if subset == "all" else (subset,)
    folder = _folder(data_home)
    parts = [_read_subset(folder, name) for name in subsets] if folder else [_fetch(name) for name in subsets]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if return_X_y:
        return images, labels
    return Bunch(data=images, target=labels, target_names=list(CLASSES), DESCR=load_fashion_mnist.__doc__)


def _folder(data_home: str | os.PathLike[str] | None) -> Path | None:
    """Return the folder that contains the files, or None if no folder is named and the package is not installed."""
    named = data_home if data_home is not None else os.environ.get("SKCNN_DATA") or None
    folder = DEBIAN_PACKAGE if named is None else Path(named)
    complete = all(_find(folder, prefix, kind) for prefix in _PREFIXES.values() for kind in _SHAPES)
    if named is not None and not complete:
        raise FileNotFoundError(f"{folder} does not contain the four files of Fashion-MNIST. {_HOW_TO_GET_THEM}")
    return folder if complete else None


def _find(folder: Path, prefix: str, kind: str) -> Path | None:
    name = f"{prefix}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _read_subset(folder: Path, subset: str) -> tuple[Array, Array]:
    paths = [_find(folder, _PREFIXES[subset], kind) for kind in _SHAPES]
    images, labels = (_read_idx(path, shape) for path, shape in zip(paths, _SHAPES.values(), strict=True))
    if labels.shape != images.shape[:1]:
        raise ValueError(f"{folder}: the {subset} files do not match: images {images.shape}, labels {labels.shape}")
    if labels.max(initial=0) >= len(CLASSES):
        raise ValueError(f"{paths[1]} is damaged: it contains the label {labels.max()}, but labels must be 0 to 9")
    return images, labels.astype(np.int64)


def _read_idx(path: Path | None, shape_of_one: tuple[int, ...]) -> Array:
    """Read an IDX file: two zero bytes, the type, the number of axes, their lengths (big-endian), the elements."""
    assert path is not None
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _read_shape(file, shape_of_one)
            content = file.read(prod(shape) + 1)  # one byte more shows whether the file is too long
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not shape or len(content) != prod(shape):
        raise ValueError(f"{path} is damaged or is not an IDX file of bytes with the shape {('n', *shape_of_one)}")
    return np.frombuffer(content, np.uint8).reshape(shape).copy()


def _read_shape(file: gzip.GzipFile | BufferedReader, shape_of_one: tuple[int, ...]) -> tuple[int, ...]:
    """Read the header of an IDX file. Return () unless it declares images or labels of the expected shape."""
    n_axes = 1 + len(shape_of_one)
    start, lengths = file.read(4), np.frombuffer(file.read(4 * n_axes).ljust(4 * n_axes, b"\0"), ">u4").tolist()
    is_expected = start == bytes((0, 0, _UINT8, n_axes)) and tuple(lengths[1:]) == shape_of_one
    return tuple(lengths) if is_expected and 1 <= lengths[0] <= _N_TRAIN else ()


def _fetch(subset: str) -> tuple[Array, Array]:
    try:
        data = fetch_openml("Fashion-MNIST", version=1, as_frame=False, parser="liac-arff")
    except OSError as error:
        raise OSError(f"Fashion-MNIST could not be fetched from OpenML ({error}). {_HOW_TO_GET_THEM}") from error
    samples = slice(None, _N_TRAIN) if subset == "train" else slice(_N_TRAIN, None)
    return data.data[samples].astype(np.uint8).reshape(-1, 28, 28), data.target[samples].astype(np.int64)


_HOW_TO_GET_THEM = (
    "On Debian and Ubuntu: apt install dataset-fashion-mnist. Elsewhere, download train-images-idx3-ubyte.gz, "
    "train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz, and pass their folder as "
    "data_home or set the environment variable SKCNN_DATA to it."
)
