"""Pickling: an error that names the parameter that cannot be pickled.

`pickle` and `joblib.dump` store functions by name. `copy` keeps the functions themselves. cloudpickle, which joblib
uses to send a classifier to other processes, stores their code. An object cannot know which of them is pickling it, so
this module inspects the call stack.
"""

from __future__ import annotations

import copy
import copyreg
import pickle
import sys
from pathlib import Path
from typing import Any

import sklearn

from skcnn._storage.archive import CONTENT_ERRORS

__all__ = ["is_pickled_by_name", "require_picklable"]

_BETWEEN = (str(Path(__file__).parent), str(Path(sklearn.__file__).parent), copyreg.__file__)
_BY_NAME = ("pickle", "_pickle", "joblib.numpy_pickle")  # the modules of picklers that store functions by name


def is_pickled_by_name() -> bool:
    """Return whether the object whose `__getstate__` calls this is being pickled by a pickler that stores names."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_BETWEEN):
        frame = frame.f_back
    if frame.f_code.co_filename == copy.__file__:
        return False
    caller: Any = frame
    while caller is not None:  # find the innermost pickler that is written in Python, if there is one
        # only frames of such methods are read, because reading `f_locals` keeps all local objects of a frame alive
        pickler = caller.f_locals.get("self") if caller.f_code.co_name == "dump" else None
        if isinstance(pickler, pickle.Pickler | pickle._Pickler):
            return type(pickler).__module__.startswith(_BY_NAME)
        caller = caller.f_back
    return True


def require_picklable(parameters: dict[str, Any]) -> None:
    """Raise PicklingError if a parameter cannot be pickled. The error names the parameter and says what to do."""
    for name, value in parameters.items():
        try:
            pickle.dumps(value)
        except (pickle.PickleError, RuntimeError, *CONTENT_ERRORS) as error:
            raise pickle.PicklingError(
                f"{name}={value!r} cannot be pickled; instead of lambda and local functions, use functions that are "
                f"defined in a module, or save the classifier with skcnn.save ({error})"
            ) from error
