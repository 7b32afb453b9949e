"""Arrays: X and y become arrays first, by NumPy's rules, and are judged afterwards.

So everything that NumPy can convert to an array is read like this array: lists of images, tensors, lazy arrays, open
files. Tables stay tables, because scikit-learn reads the names of their columns.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skcnn._estimator.warning import warn

__all__ = ["as_array", "as_images", "is_missing", "numeric_dtype", "require_no_images_in_cells"]

Array = NDArray[Any]
_PATH = (str, bytes, os.PathLike)
_NUMBER = "a number"
_NO_PATHS = (
    ", but it must contain the images themselves, not their paths; skcnn.datasets.load_image_folder(path, size=(h, w)) "
    "reads a folder of images"
)


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
        return np.asarray(_readable(value))
    except Exception as error:
        kind = next((kind for kind in (MemoryError, OSError) if isinstance(error, kind)), ValueError)
        raise kind(f"{name} cannot be converted to an array: {error}") from error


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
    raise ValueError(
        f"Expected 2D array of flat images, or images with 3 or 4 axes, got {got}. "
        "Reshape your data: if X is a single flat image, pass X.reshape(1, -1)"
    )


def _is_list(X: Any) -> bool:
    return isinstance(X, Sequence) and not isinstance(X, str | bytes | bytearray | memoryview)


def _stacked(images: Sequence[Any]) -> Any:
    """Return a list of images or of rows as an array. Images of different shapes or modes are refused."""
    modes = {mode for image in images if isinstance(mode := getattr(image, "mode", None), str)}
    try:
        array = as_array([_readable(image) for image in images], "X")
    except ValueError as error:
        form = _common_form(images)
        raise ValueError(f"X must contain images, but X[0] is {form}: {error.__cause__}") from error
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
    if isinstance(first, _PATH):
        raise ValueError(f"X contains {reprlib.repr(first)}{_NO_PATHS}")
    form = _common_form(array.ravel())
    if form.startswith("of shape"):
        raise ValueError(f"X contains {len(array)} separate arrays {form}; pass np.stack(X)")
    if array.ndim and form != _NUMBER:
        raise ValueError(f"X must contain images, but X[0] is {form}")


def require_no_images_in_cells(X: Any) -> None:
    """Raise ValueError if the first row of a table or of an array with two axes contains images or paths."""
    if issparse(X):  # np.asarray would slice some of its formats, which cannot be sliced
        return
    cells = np.asarray(X)
    for cell in cells[0] if cells.ndim == 2 and cells.dtype.kind in "OSU" and cells.size else ():
        if isinstance(cell, _PATH) and not _is_numeric(cell):
            raise ValueError(f"could not convert string to float: X contains {str(cell)!r}{_NO_PATHS}")
        if (form := _form(cell)).startswith("of shape"):
            raise ValueError(f"X has arrays {form} in its cells; pass np.stack of the column that contains the images")


def _is_numeric(text: Any) -> bool:
    """Return whether a string is a number, as scikit-learn reads it."""
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _common_form(images: Iterable[Any]) -> str:
    """Return the form of all images. Raise ValueError that names the first one that differs from image 0."""
    forms = map(_form, images)
    first = next(forms)
    for i, form in enumerate(forms, start=1):
        if form != first:
            raise ValueError(
                f"X[0] is {first}, but X[{i}] is {form}; all must be images with the same size and channels. Resize "
                "and convert them (skcnn.datasets.load_image_folder(path, size=(h, w)) does this for files), and "
                "remove those that are missing"
            )
    return first


def _form(image: Any) -> str:
    """Describe an image by its shape, and by its mode if it is of Pillow. Describe anything else by its type."""
    try:
        array = as_array(image, "X")
    except ValueError:
        return f"a {type(image).__name__} that cannot be converted to an array"
    if issparse(image):
        return "sparse (use .toarray())"
    if np.ndim(array):
        mode = getattr(image, "mode", None)
        return f"of shape {array.shape}" + (f" and mode {mode}" if isinstance(mode, str) else "")
    if is_missing(image):
        return repr(image)
    return _NUMBER if isinstance(image, Number) else f"of type {type(image).__name__}"


def is_missing(value: Any) -> bool:
    """Return whether a value stands for a missing one: None, NaN, NaT or pandas.NA."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas.NA compares as neither true nor false; an array has no single truth value
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
