"""Functions of the user: their arguments are checked before training, and errors name the parameter.

A function may be any callable. If it raises an exception, the exception keeps its type and traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np

from skcnn._values import as_float

__all__ = ["name_error", "require_arguments", "returned_number"]


def require_arguments(name: str, function: Callable[..., Any], *arguments: str) -> None:
    """Raise TypeError if the function, the parameter `name`, cannot be called with these positional arguments.

    A function without a signature, such as some functions written in C, is not checked.
    """
    try:
        of_function = signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return
    try:
        of_function.bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} must take the arguments ({', '.join(arguments)}), but {function!r} does not: {error}"
        ) from error


def name_error(error: Exception, name: str) -> None:
    """Put a name before the message of an error."""
    if type(error).__module__ == "builtins" and len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{name}: {error.args[0]}",)
    else:  # other exceptions may use their arguments for anything
        error.add_note(name)


def returned_number(value: Any) -> float:
    """Return a real number of any type, or an array of no axes with such a number, as a float. Otherwise return NaN."""
    return as_float(value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value)
