"""A folder of images with a sub-folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.utils import Bunch

from skcnn._estimator.warning import warn
from skcnn.datasets.image_files import FILES_NAMED, Resize, Size, decoder, read_images, unreadable_files

__all__ = ["load_image_folder"]

EXTENSIONS = (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
    *(".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)
DARK = 64  # the largest pixel of images of 14 bits in files of 16 bits
PARTS_OF_DATA = {"train", "training", "test", "testing", "val", "valid", "validation"}


def load_image_folder(
    path: str | os.PathLike[str],
    *,
    size: Size = None,
    grey: bool = False,
    resize: Resize = "stretch",
    on_error: Literal["raise", "warn"] = "raise",
    verbose: int = 0,
    return_X_y: bool = False,
) -> Any:
    """Load images from a folder that has a sub-folder for each class.

    The names of the sub-folders are the labels::

        photos/cat/1.jpg
        photos/cat/2.jpg
        photos/dog/1.jpg

    Images deeper in a class's folder belong to this class too. Files without the extension of an image are ignored, and
    so are files and folders whose names start with a dot. Symbolic links are followed. The order is that of the names,
    first of the classes, then of the files. This needs Pillow: ``pip install "skcnn[images]"``.

    Parameters
    ----------
    path : path
        The folder.
    size : int or (int, int), default=None
        The number of rows and columns, or one number for both. None keeps the size of the files, which must then be the
        same for all.
    grey : bool, default=False
        Whether to return grey images. Otherwise, they have the channels red, green and blue, which are equal for grey
        files.
    resize : {"stretch", "crop", "pad"}, default="stretch"
        How to resize images whose aspect ratio is not that of `size`. ``"stretch"`` stretches or squeezes them,
        ``"crop"`` crops two opposite sides, ``"pad"`` adds white borders.
    on_error : {"raise", "warn"}, default="raise"
        What to do if files cannot be read. With ``"warn"``, they are left out. The error or the warning names them.
    verbose : int, default=0
        Whether to show a progress bar on a terminal or in a notebook.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        ``data`` of uint8, (n, h, w, 3) or, if `grey`, (n, h, w); ``target`` (n,) of str, the class of each image;
        ``target_names``, the list of all classes; ``filenames`` (n,) of str.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If the folder does not exist, or if files cannot be read.
    ValueError
        If a parameter is not one of these values, if the sub-folders contain no images, or if `size` is None and the
        files differ in size.
    MemoryError
        If the images would need more memory than there is.

    See Also
    --------
    load_images : Read single files in the same way, for prediction.

    Notes
    -----
    Labels are names, unlike those of scikit-learn's `load_files`, so a classifier predicts names.

    How files are read:

    - Photographs are turned upright, as their EXIF data says.
    - Transparent pixels become white.
    - Of an animation or of several pages, only the first is read.
    - Grey pixels of 16 bits are scaled from 0..65535, and floating-point pixels from 0..1. A file with other values is
      an error.
    - Images are resized by bicubic interpolation, without aliasing.
    - Colour profiles are ignored.

    These files are read, with small or capital letters: .bmp, .gif, .ico, .jfif, .jp2, .jpe, .jpeg, .jpg, .pbm, .pgm,
    .png, .pnm, .ppm, .tif, .tiff, .webp; .avif if your version of Pillow supports it; .heic and .heif if you have
    called ``pillow_heif.register_heif_opener()``, from the package pillow-heif.

    Examples
    --------
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.datasets import load_image_folder, load_images
    >>> X, y = load_image_folder("photos", size=64, return_X_y=True)  # doctest: +SKIP
    >>> clf = NumpyCNNClassifier(random_state=0).fit(X, y)  # doctest: +SKIP
    >>> clf.predict(load_images("new.jpg", size=64))  # doctest: +SKIP
    array(['cat'], dtype='<U3')
    """
    if on_error not in ("raise", "warn"):
        raise ValueError(f"on_error must be 'raise' or 'warn', got {on_error!r}")
    decode = decoder(size, grey, resize)
    classes = _files_of_classes(_existing(path))
    files = np.array([file for files in classes.values() for file in files])
    labels = np.repeat(list(classes), [len(files) for files in classes.values()])
    images, unreadable = read_images(files.tolist(), decode, verbose)
    if unreadable:
        _report(unreadable_files(unreadable, len(files)), raises=on_error == "raise" or len(images) == 0)
        is_read = [file not in unreadable for file in files]
        files, labels = files[is_read], labels[is_read]
        if lost := sorted(set(classes) - set(labels.tolist())):
            warn(f"The folders {_some(lost)} contain no images that can be read, so they are not classes")
    if images.max() <= DARK:
        warn(_ALMOST_BLACK.format(images.max()))
    if return_X_y:
        return images, labels
    return Bunch(data=images, target=labels, target_names=np.unique(labels).tolist(), filenames=files)


def _existing(path: str | os.PathLike[str]) -> Path:
    folder = Path(path).expanduser()
    if not folder.exists():
        raise FileNotFoundError(f"path must be a folder, but {folder} does not exist")
    if not folder.is_dir():
        raise NotADirectoryError(f"path must be a folder, but {folder} is a file")
    return folder


def _report(message: str, raises: bool) -> None:
    if raises:
        raise OSError(f'{message}. To leave out such files, pass on_error="warn"')
    warn(f"{message}. They are left out")


def _files_of_classes(folder: Path) -> dict[str, list[str]]:
    """Return the image files of each class, in the order of their names."""
    entries = _visible(folder)
    above = frozenset([os.path.realpath(folder)])
    classes = {entry.name: list(_images_in(entry.path, above)) for entry in entries if entry.is_dir()}
    without_class = [entry.path for entry in entries if not entry.is_dir() and _is_image(entry)]
    if not any(classes.values()):
        raise ValueError(f"{folder} {_WITHOUT_CLASSES if without_class else _WITHOUT_IMAGES} {_HOW_TO_ARRANGE}")
    _warn_if_unusual(folder, classes, without_class)
    return {name: files for name, files in classes.items() if files}


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _images_in(folder: str, above: frozenset[str]) -> Iterator[str]:
    """Yield the image files in a folder and in those below. A link to a folder above would have no end."""
    here = os.path.realpath(folder)
    for entry in _visible(folder) if here not in above else ():
        if entry.is_dir():
            yield from _images_in(entry.path, above | {here})
        elif _is_image(entry):
            yield entry.path


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(EXTENSIONS)


def _warn_if_unusual(folder: Path, classes: dict[str, list[str]], without_class: list[str]) -> None:
    if without_class:
        warn(f"{_some(without_class)} belong to no class, so they are left out: move them into the folder of a class")
    if empty := [name for name, files in classes.items() if not files]:
        warn(f"The folders {_some(empty)} in {folder} contain no images, so they are not classes")
    if all(name.lower() in PARTS_OF_DATA for name in classes):
        warn(
            f"The classes are {_some(list(classes))}. If these folders contain folders of classes, load each by itself"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - FILES_NAMED} more" if len(names) > FILES_NAMED else ""
    return ", ".join(names[:FILES_NAMED]) + more


_WITHOUT_CLASSES = "contains images, but no folders with images. load_images reads images without classes."
_WITHOUT_IMAGES = "contains no folders with images."
_ALMOST_BLACK = (
    "All images are almost black: their largest pixel is {} of 255. If the files have 16 bits but the images fewer, "
    "read them with another library, and pass them to the classifier as an array of uint16"
)
_HOW_TO_ARRANGE = (
    "Put the images of each class into a folder of its own, such as cat/1.jpg and dog/1.jpg. "
    f"The files must have one of the extensions {', '.join(EXTENSIONS)}."
)
