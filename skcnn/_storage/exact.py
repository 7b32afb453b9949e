"""Which values a file keeps exactly. The user's own code may depend on the types of its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["is_exact", "parts"]

_TYPES = (list, tuple, dict, str, bytes, int, float, np.ndarray)
_EXACT = (*_TYPES, bool, np.memmap)  # joblib makes a memmap of a large array, and any code can use either


def is_exact(value: Any) -> bool:
    """Return whether a value has a type that a file keeps. A namedtuple, for instance, would be read as a tuple."""
    return type(value) in _EXACT or isinstance(value, np.generic) or not isinstance(value, _TYPES)


def parts(value: Any, where: str) -> Iterator[tuple[Any, str]]:
    """Yield a value and everything in its lists, tuples and dicts, each with where it is: "solver.state['n'][0]"."""
    yield value, where
    if isinstance(value, dict):
        for key, item in value.items():
            yield from parts(key, where)
            yield from parts(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from parts(item, f"{where}[{index}]")
