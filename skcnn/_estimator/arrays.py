"""Arrays: X and y become arrays first, by NumPy's rules, and are judged afterwards.

So everything that NumPy can convert to an array is read like this array: lists of images, tensors, lazy arrays, open
files. Tables stay tables, because scikit-learn reads the names of their columns.
"""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skcnn._estimator.warning import warn

__all__ = ["as_array", "as_images", "is_missing", "numeric_dtype", "require_no_images_in_cells"]

Array = NDArray[Any]
_TEXT = (str, bytes, os.PathLike)
_NUMBER = "a number"
# a separator anywhere, or an extension at the end
_LIKE_A_PATH = re.compile(r"[/\\]|\.[a-z]\w{1,4}$", re.IGNORECASE)


def as_array(value: Any, name: str) -> Any:
    """Return the argument `name` as an ndarray, without a copy if possible.

    Tables, sparse matrices and matrices (`numpy.matrix`) are returned unchanged: scikit-learn reads the first, and
    explains why it refuses the others.

    Raises
    ------
    ValueError
        If it cannot be converted. A MemoryError or OSError keeps its type.
    """
    if type(value) is not np.ndarray:
        if _is_table(value) or isinstance(value, np.matrix) or issparse(value):
            return value
        value = _converted(value, name)
    return value.astype(object) if value.dtype.kind == "T" else value  # scikit-learn does not read StringDType


def _converted(value: Any, name: str) -> Array:
    try:
        array = np.asarray(_readable(value))
        if array.dtype == object and not array.ndim and _mode(value) and hasattr(value, "load"):
            value.load()  # older versions of Pillow do not raise errors, such as that of a closed file, until then
    except Exception as error:
        kind = next((kind for kind in (MemoryError, OSError) if isinstance(error, kind)), ValueError)
        reason = str(error) or type(error).__name__
        if kind is ValueError and _mode(value):
            reason += "; if its file has been closed, take image.copy() while it is still open"
        raise kind(f"{name} cannot be converted to an array: {reason}") from error
    return array


def _readable(value: Any) -> Any:
    """Return what NumPy can convert: an object that only supports DLPack becomes an ndarray first."""
    only_dlpack = hasattr(value, "__dlpack__") and not hasattr(value, "__array__")
    return np.from_dlpack(value) if only_dlpack else value


def _is_table(X: Any) -> bool:
    """Return whether X is a table, such as a DataFrame of any library."""
    return hasattr(type(X), "columns")  # the type's, because an array of xarray may have an axis of this name


def as_images(X: Any) -> Any:
    """Return X as an array of 2 to 4 axes, the first of which counts the images, or unchanged if it is a table.

    Raises
    ------
    ValueError
        If X is no such array. The message says what to do.
    """
    if isinstance(X, Mapping) and not issparse(X):  # one of the sparse formats is a dict
        raise ValueError(
            f"X must be an array of images, got {type(X).__name__} with the keys {reprlib.repr(list(X))}; pass the "
            "array in it, such as X['data']"
        )
    array = _stacked(X) if _is_list(X) else as_array(X, "X")
    if type(array) is not np.ndarray or 2 <= array.ndim <= 4:
        return array
    if array.ndim > 4:
        raise ValueError(
            f"X has {array.ndim} axes (its shape is {array.shape}), but only 2, 3 or 4 axes are accepted: "
            "(n, n_features), (n, h, w), and (n, h, w, c) or (n, c, h, w)"
        )
    if array.dtype.kind in "OSU" and array.size:
        _require_numbers(array)
    got = f"{type(X).__name__} of shape {array.shape}" if array.ndim else reprlib.repr(X)
    raise ValueError(f"Expected 2D array of flat images, or images with 3 or 4 axes, got {got}. {_advice(X, array)}")


def _advice(X: Any, array: Array) -> str:
    """Say what to pass instead of X, whose array has 0 or 1 axes."""
    if array.ndim:
        return "Reshape your data: if X is a single flat image, pass [X]" if array.size else "X contains no images"
    is_iterable = array.dtype == object and isinstance(X, Iterable)  # such as a generator, or the values of a dict
    return "Pass list(X)" if is_iterable else "Pass an array or a list of images"


def _is_list(X: Any) -> bool:
    return isinstance(X, Sequence) and not isinstance(X, str | bytes | bytearray | memoryview)


def _stacked(images: Sequence[Any]) -> Any:
    """Return a list of images or of rows as an array. Images of different shapes or modes are refused."""
    modes = {mode for image in images if (mode := _mode(image))}
    try:
        array = as_array([_readable(image) for image in images], "X")
    except (OSError, ValueError):
        _common_form(images)  # raises an error that names the image
        raise
    if len(modes) > 1:  # images of different modes may have the same shape
        _common_form(images)
    if modes & {"P", "PA"}:
        warn(
            "X contains palette images, whose numbers are indices of colours; convert them first, as in "
            "image.convert('RGB')"
        )
    return array


def _require_numbers(array: Array) -> None:
    """Raise ValueError if an array of 0 or 1 axes contains images, paths or other objects instead of numbers."""
    first = array.ravel()[:1].tolist()[0]
    _require_no_text(first, "X")
    form = _common_form(array.ravel())
    if form.startswith("of shape"):
        raise ValueError(f"X contains {len(array)} separate arrays {form}; pass {_stack(first, 'X')}")
    if array.ndim and form != _NUMBER:
        raise ValueError(f"X must contain images, but X[0] is {form}")


def require_no_images_in_cells(X: Any) -> None:
    """Raise ValueError if the first row of a table or of an array with two axes contains images, paths or text."""
    if issparse(X):  # np.asarray would slice some of its formats, which cannot be sliced
        return
    cells = np.asarray(X)
    if cells.ndim != 2 or cells.dtype.kind not in "OSU" or not cells.size:
        return
    names = _column_names(X) if _is_table(X) else None
    for i, cell in enumerate(cells[0].tolist()):
        column = f"X[:, {i}]" if names is None else f"X[{names[i]!r}]"
        _require_no_text(cell, column)
        if (form := _form(cell, column)).startswith("of shape"):
            raise ValueError(f"X has arrays {form} in its cells; pass {_stack(cell, column)}")


def _stack(image: Any, images: str) -> str:
    """Say how to pass separate images. An array has no modes, so np.stack would mix palettes and colours."""
    return f"list({images})" if _mode(image) else f"np.stack({images})"


def _require_no_text(value: Any, name: str) -> None:
    """Raise ValueError if a value of `name` is text, a path or an encoded image."""
    is_dict = isinstance(value, dict)  # Hugging Face's form of an image
    contents = (value.get("bytes"), value.get("path")) if is_dict else (value,)
    content = next((content for content in contents if content is not None), None)
    if not isinstance(content, _TEXT) or _is_numeric(content):
        return
    content = os.fspath(content)
    text = content.decode(errors="surrogateescape") if isinstance(content, bytes) else content
    if isinstance(content, bytes) and not text.isprintable():
        data = "x['bytes']" if is_dict else "x"
        advice = f"decode the contents of image files, as in [PIL.Image.open(io.BytesIO({data})) for x in {name}]"
    elif all(map(_is_numeric, re.split(r"[\s,]+", text.strip()))):
        comma = "','" if "," in text else ""
        advice = f"split the text into numbers, as in np.array([x.split({comma}) for x in {name}], dtype=float)"
    elif _LIKE_A_PATH.search(text):
        advice = "if these are paths, skcnn.datasets.load_images and load_image_folder read their images"
    else:
        advice = "pass only pixels as X, and labels as y"
    raise ValueError(
        f"{name} contains {reprlib.repr(value if is_dict else content)}, but pixels must be numbers; {advice}"
    )


def _is_numeric(text: Any) -> bool:
    """Return whether a string is a number, as scikit-learn reads it."""
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _common_form(images: Iterable[Any]) -> str:
    """Return the form of all images. Raise ValueError that names the first one that differs from image 0."""
    forms = (_form(image, f"X[{i}] ({type(image).__name__})") for i, image in enumerate(images))
    first = next(forms)
    for i, form in enumerate(forms, start=1):
        if form != first:
            raise ValueError(
                f"X[0] is {first}, but X[{i}] is {form}; all must be images with the same size and channels. Resize "
                "and convert them (skcnn.datasets.load_image_folder(path, size=(h, w)) does this for files), and "
                "remove those that are missing"
            )
    return first


def _form(image: Any, name: str) -> str:
    """Describe an image by its shape, and by its mode if it is of Pillow. Describe anything else by its type."""
    array = as_array(image, name)
    if issparse(image):
        return "sparse (use .toarray())"
    if np.ndim(array):
        mode = _mode(image)
        return f"of shape {array.shape}" + (f" and mode {mode}" if mode else "")
    if is_missing(image):
        return repr(image)
    return _NUMBER if isinstance(image, Number) else f"of type {type(image).__name__}"


def _mode(image: Any) -> str | None:
    """Return the mode of an image of Pillow."""
    mode = getattr(image, "mode", None)
    return mode if isinstance(mode, str) else None


def is_missing(value: Any) -> bool:
    """Return whether a value stands for a missing one: None, NaN, NaT or pandas.NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except Exception:  # pandas.NA and arrays have no truth value; objects of other classes may raise anything
        return type(value).__name__ == "NAType"


def numeric_dtype(X: Any) -> type | None:
    """Return the dtype to convert an array or table to: None for plain numbers, which stay as they are, or float64.

    Raises
    ------
    ValueError
        If X contains dates or time spans.
    """
    dtypes = _column_dtypes(X) if _is_table(X) else [getattr(X, "dtype", None)]
    for dtype in dtypes:
        if str(dtype).lower().startswith(("date", "time", "duration", "period")):
            raise ValueError(f"X contains dates or time spans ({dtype}); pixels must be numbers")
    if isinstance(X, np.ndarray) and X.dtype == object:
        # NumPy would convert them to numbers without a warning
        dates = (value.dtype for value in X.flat if isinstance(value, np.datetime64 | np.timedelta64))
        if (dtype := next(dates, None)) is not None:
            raise ValueError(f"X contains dates or time spans ({dtype}); pixels must be numbers")
    plain = all(isinstance(dtype, np.dtype) and dtype.kind in "biufc" for dtype in dtypes)
    return None if plain else np.float64


def _column_dtypes(table: Any) -> list[Any]:
    return list(table.dtypes if hasattr(table, "dtypes") else table.schema.types)  # pandas and polars, or pyarrow


def _column_names(table: Any) -> list[Any]:
    return list(table.columns if hasattr(table, "dtypes") else table.schema.names)
