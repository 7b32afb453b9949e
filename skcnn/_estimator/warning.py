"""Warnings that point to the user's line of code."""

from __future__ import annotations

import contextlib
import copy
import os
import pickle
import sys
import warnings
from pathlib import Path

import joblib
import sklearn

__all__ = ["warn", "warn_if_inexact"]

# the code that may be between the user's line and the warning: this package, and libraries that call it
_FOLDERS = (Path(__file__).parents[1], Path(sklearn.__file__).parent, Path(joblib.__file__).parent)
_BETWEEN = (*(f"{folder}{os.sep}" for folder in _FOLDERS), contextlib.__file__, copy.__file__, pickle.__file__)


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the innermost line outside this package and the libraries that call it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def warn_if_inexact(is_exact: bool) -> None:
    """Warn if another thread has changed the number of BLAS threads so often that results may differ."""
    if not is_exact:
        warn(
            "Another thread repeatedly changed the number of BLAS threads, so the last bits of the results may "
            "differ from those of another run"
        )
