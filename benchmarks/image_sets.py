"""Twelve real data sets from packages of Debian 12 and PyPI: small images, as people have them, in several forms.

    apt-get update                                   # once, so that Debian's packages can be found
    python benchmarks/image_sets.py                  # fetch and prepare all sets, and print a table: about 5 minutes
    python benchmarks/image_sets.py --sheets FOLDER  # also write a picture of some images of each set

Nothing is installed. The packages and the sets, as .npz files, are in ``~/.cache/skcnn-benchmarks``, or in the folder
of the environment variable ``SKCNN_DATA_CACHE``: 2 GB. The preparation needs Pillow and SciPy; `load` needs only NumPy.

The development sets are there to make choices by, such as of the defaults. The report sets say what the choices are
worth. An extra set, of drawings, is for neither. The splits are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from common import digest
from image_sources import drawings, icons, letters, textures, voices, watch
from image_sources.packages import cache_folder, debian
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from skcnn.datasets import load_fashion_mnist

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ImageSet:
    """A data set with fixed splits.

    Parameters
    ----------
    name : str
    X : array (n, h, w), (n, h, w, c) or, for signals, (n, p)
        uint8 for pictures, otherwise floating-point.
    y : array (n,) of int or str
    groups : array (n,) or None
        What images that must not lie on both sides of a split have in common, such as an icon's name.
    splits : list of (training indices, test indices)
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    groups: np.ndarray | None
    splits: list[Split]

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """What the classifier must be told about flat rows."""
        return (1, self.X.shape[1]) if self.X.ndim == 2 else None

    def digest(self) -> str:
        """Return a text that is the same for the same images, classes and splits."""
        _, codes = np.unique(self.y, return_inverse=True)
        return digest([self.X, codes, *(rows for split in self.splits for rows in split)])


@dataclass(frozen=True)
class Recipe:
    """How a set is made: a function that returns X, y, groups and splits, and in words what is split and by what."""

    prepare: Callable[[], tuple]
    role: str
    split_by: str


def load(name):
    """Return a set by its name, prepared at the first time."""
    path = cache_folder() / f"{name.replace(' ', '-')}.npz"
    if not path.exists():
        _save(path, *SETS[name].prepare())
    with np.load(path) as file:
        groups = file.get("groups")
        splits = [(file[f"train_{i}"], file[f"test_{i}"]) for i in range(int(file["n_splits"]))]
        return ImageSet(name, file["X"], file["y"], groups, splits)


def _save(path, X, y, groups, splits):
    arrays = {"X": X, "y": y, "n_splits": np.array(len(splits))} | ({} if groups is None else {"groups": groups})
    for i, (train, test) in enumerate(splits):
        arrays |= {f"train_{i}": train, f"test_{i}": test}
    unfinished = path.with_suffix(".unfinished.npz")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


def grouped(prepare, n_folds):
    """Return a set in folds: no group lies on both sides of a split, and each image is tested once."""
    X, y, groups = prepare()
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    return X, y, groups, list(folds.split(X, y, groups))


def small_parts(y, n_train, n_parts, seed=0):
    """Return splits with some rows for training, and all others for testing."""
    rows = np.arange(len(y))
    draw = partial(train_test_split, rows, train_size=n_train, stratify=y)
    return [tuple(draw(random_state=seed + part)) for part in range(n_parts)]


def digits():
    X, y = _digits()
    return X, y, None, list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))


def digits_180():
    X, y = _digits()
    return X, y, None, small_parts(y, 180, n_parts=5)


def _digits():
    loaded = load_digits()
    return loaded.images, loaded.target


def fashion(n_train, n_parts, n_test):
    """Return parts of the training images, which do not overlap, and the same test images for all."""
    X, y, X_test, y_test = _fashion()
    parts = disjoint(y, n_train, n_parts)
    test = np.arange(len(y_test)) if n_test == len(y_test) else disjoint(y_test, n_test, 1)[0]
    tested = n_train * n_parts + np.arange(n_test)
    splits = [(part * n_train + np.arange(n_train), tested) for part in range(n_parts)]
    rows = np.concatenate(parts)
    return np.concatenate([X[rows], X_test[test]]), np.concatenate([y[rows], y_test[test]]), None, splits


def disjoint(y, n_rows, n_parts):
    """Draw parts with the same number of rows of each class."""
    rng = np.random.default_rng(0)
    n_each = n_rows // len(np.unique(y))
    classes = [rng.permutation(np.flatnonzero(y == label))[: n_each * n_parts] for label in np.unique(y)]
    return [rng.permutation(np.concatenate([rows[part::n_parts] for rows in classes])) for part in range(n_parts)]


@cache
def _fashion():
    folder = debian("dataset-fashion-mnist") / "usr" / "share" / "datasets" / "fashion-mnist"
    read = partial(load_fashion_mnist, data_home=folder, return_X_y=True)
    return *read(subset="train"), *read(subset="test")


small_icons = partial(icons.icons, icons.THEMES_WITH_SMALL_ICONS, (32,), 32)
large_icons = partial(icons.icons, icons.THEMES_WITH_LARGE_ICONS, (64, 48), 64)

SETS = {
    "digits": Recipe(digits, "report", "5 folds"),
    "digits 180": Recipe(digits_180, "development", "5 draws"),
    "fashion 180": Recipe(partial(fashion, 180, 5, 2000), "report", "5 parts"),
    "fashion 1000": Recipe(partial(fashion, 1000, 4, 2000), "development", "4 parts"),
    "fashion 10000": Recipe(partial(fashion, 10_000, 2, 10_000), "report", "2 parts"),
    "icons 32": Recipe(partial(grouped, small_icons, 3), "development", "3 folds, by icon name"),
    "icons 64": Recipe(partial(grouped, large_icons, 3), "report", "3 folds, by icon name"),
    "letters 64": Recipe(partial(grouped, partial(letters.letters, 150), 3), "development", "3 folds, by font family"),
    "textures 64": Recipe(partial(grouped, partial(textures.materials, 64), 3), "development", "3 folds, by texture"),
    "textures 128": Recipe(partial(grouped, partial(textures.things, 128), 5), "report", "5 folds, by texture"),
    "signals": Recipe(partial(grouped, watch.exercises, 5), "development", "5 folds, by person"),
    "spectrograms": Recipe(partial(grouped, voices.spectrograms, 3), "report", "3 folds, by prompt"),
    "drawings 32": Recipe(partial(grouped, partial(drawings.drawings, 32), 3), "extra", "3 folds, by name"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="write a picture of some images of each set here")
    args = parser.parse_args()
    print("| set | role | training | test | image | type | classes | split | digest |\n" + "|---" * 9 + "|")
    for name, recipe in SETS.items():
        image_set = load(name)
        print(_row(image_set, recipe), flush=True)
        if args.sheets and image_set.X.ndim > 2:
            args.sheets.mkdir(parents=True, exist_ok=True)
            sheet(image_set).save(args.sheets / f"{name.replace(' ', '-')}.png")


def _row(image_set, recipe):
    n_train, n_test = (round(np.mean([len(rows) for rows in side])) for side in zip(*image_set.splits, strict=True))
    shape = "x".join(map(str, image_set.image_shape or image_set.X.shape[1:]))
    n_classes = len(np.unique(image_set.y))
    words = [image_set.name, recipe.role, n_train, n_test, shape, image_set.X.dtype, n_classes, recipe.split_by]
    return "| " + " | ".join(map(str, [*words, image_set.digest()])) + " |"


def sheet(image_set, n_columns=16):
    """Return a picture with a line of images for each class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = [
        np.concatenate(list(image_set.X[rng.permutation(np.flatnonzero(image_set.y == label))[:n_columns]]), axis=1)
        for label in np.unique(image_set.y)
    ]
    pixels = np.concatenate(lines).astype(float)
    return Image.fromarray((255 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8))


if __name__ == "__main__":
    main()
