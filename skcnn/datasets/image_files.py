"""Many image files as one array."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import joblib
import numpy as np
from numpy.typing import NDArray

from skcnn._engine.surely import surely
from skcnn._engine.workers import Workers
from skcnn._estimator.progress import new_bar
from skcnn._memory import require_memory
from skcnn._values import is_size, pair, plain

if TYPE_CHECKING:
    from skcnn.datasets.decoding import Decoder

__all__ = ["decoder", "load_images", "read_images", "unreadable_files"]

Array = NDArray[Any]
PathLike = str | os.PathLike[str]
Size = int | tuple[int, int] | None
Resize = Literal["stretch", "crop", "pad"]
RESIZES = ("stretch", "crop", "pad")
FILES_NAMED = 10


def load_images(
    paths: PathLike | Iterable[PathLike],
    *,
    size: Size = None,
    grey: bool = False,
    resize: Resize = "stretch",
    verbose: int = 0,
) -> Array:
    """Read image files into one array, for example to predict their classes.

    Pass the same `size`, `grey` and `resize` as to `load_image_folder`, which reads files in the same way; its notes
    say how. This needs Pillow: ``pip install "skcnn[images]"``.

    Parameters
    ----------
    paths : path or iterable of paths
        The files. A single path gives an array that contains one image.
    size : int or (int, int), default=None
        The number of rows and columns, or one number for both. None keeps the size of the files, which must then be the
        same for all.
    grey : bool, default=False
        Whether to return grey images. Otherwise, they have the channels red, green and blue.
    resize : {"stretch", "crop", "pad"}, default="stretch"
        How to resize images whose aspect ratio is not that of `size`, see `load_image_folder`.
    verbose : int, default=0
        Whether to show a progress bar on a terminal or in a notebook.

    Returns
    -------
    images : ndarray of uint8, (n, h, w, 3) or, if `grey`, (n, h, w)
        The images, in the order of `paths`.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If files cannot be read. The message names them.
    ValueError
        If a parameter is not one of these values, if there are no paths, or if `size` is None and the files differ in
        size.
    MemoryError
        If the images would need more memory than there is.

    Examples
    --------
    >>> clf.predict(load_images(["new/1.jpg", "new/2.jpg"], size=64))  # doctest: +SKIP
    array(['cat', 'dog'], dtype='<U3')
    """
    decode = decoder(size, grey, resize)
    files = _as_list(paths)
    images, unreadable = read_images(files, decode, verbose)
    if unreadable:
        raise OSError(unreadable_files(unreadable, len(files)))
    return images


def _as_list(paths: Any) -> list[str]:
    if isinstance(paths, str | os.PathLike):
        return [os.path.expanduser(paths)]
    is_content = isinstance(paths, bytes | bytearray) or hasattr(paths, "read")  # its items would be no paths
    given = list(paths) if isinstance(paths, Iterable) and not is_content else [paths]
    if not given:
        raise ValueError("paths must contain at least one path, got none")
    for path in given:
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"paths must be a path or several paths, got {type(path).__name__}")
    return [os.path.expanduser(path) for path in given]


def decoder(size: Size, grey: bool, resize: str) -> Decoder:
    """Check the parameters and return a decoder."""
    size = tuple(size) if isinstance(size, list) else size
    if size is not None and not is_size(size):
        raise ValueError(
            f"size must be None, an int of at least 1 or a pair (rows, columns) of such ints, got {size!r}"
        )
    if not isinstance(grey, bool | np.bool_):
        raise ValueError(f"grey must be True or False, got {grey!r}")
    if resize not in RESIZES:
        raise ValueError(f"resize must be 'stretch', 'crop' or 'pad', got {resize!r}")
    try:
        from skcnn.datasets.decoding import Decoder  # imported here, because it imports Pillow
    except ImportError as error:
        raise ImportError(f'Reading image files needs Pillow: pip install "skcnn[images]" ({error})') from error
    return Decoder(None if size is None else plain(pair(size)), bool(grey), resize)


def read_images(paths: Sequence[str], decoder: Decoder, verbose: int) -> tuple[Array, dict[str, str]]:
    """Return the images that can be read, and the reasons why the other files cannot. Files are read on all cores."""
    workers = Workers(joblib.cpu_count(), begin=bool)
    return surely(lambda: _collect(paths, decoder, workers, verbose), workers.close)


def _collect(paths: Sequence[str], decoder: Decoder, workers: Workers, verbose: int) -> tuple[Array, dict[str, str]]:
    images, n_read, first = _array(len(paths), decoder.shape), 0, ""
    unreadable: dict[str, str] = {}
    with new_bar(len(paths), "Reading images", is_shown=bool(verbose)) as bar:
        for path, result in zip(paths, workers.map(decoder.read, paths), strict=True):
            bar.update()
            if isinstance(result, str):
                unreadable[path] = result
                continue
            if n_read == 0 and decoder.size is None:
                images, first = _array(len(paths), result.shape), path
            if result.shape != images.shape[1:]:
                raise ValueError(_different_sizes(first, images[0], path, result))
            images[n_read] = result
            n_read += 1
    return images[:n_read], unreadable


def _array(n_images: int, shape: tuple[int, ...]) -> Array:
    require_memory(n_images * prod(shape), f"an array of {(n_images, *shape)}")
    return np.empty((n_images, *shape), np.uint8)


def unreadable_files(reasons: Mapping[str, str], n_files: int) -> str:
    """Say which files cannot be read, and why."""
    named = [f"{path} ({reason})" for path, reason in list(reasons.items())[:FILES_NAMED]]
    more = [f"and {len(reasons) - FILES_NAMED} more"] if len(reasons) > FILES_NAMED else []
    return f"{len(reasons)} of {n_files} image files cannot be read: {', '.join(named + more)}"


def _different_sizes(first: str, first_image: Array, path: str, image: Array) -> str:
    sizes = (
        f"{name} has {h} rows and {w} columns"
        for name, (h, w) in ((first, first_image.shape[:2]), (path, image.shape[:2]))
    )
    return f"The images differ in size, so pass the size that they should have: {', '.join(sizes)}"
