"""Descriptions of values, by which another process can recognise them. They are JSON, without arrays or code.

Equal values have equal descriptions, in any version of Python and NumPy and no matter which objects hold them. The
memory order of an array does not matter.
"""

from __future__ import annotations

import hashlib
import json
import sys
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._storage.encoding import Encoder, Json, is_made_from_fields

__all__ = ["describe", "digest", "readable"]

Array = NDArray[Any]
_AT_A_TIME = 2**22  # elements that are converted at a time
_LONGEST = 100  # characters in a message


def describe(value: Any, where: str, remedy: str) -> Json:
    """Return the description of a value.

    Parameters
    ----------
    value : object
    where, remedy : str
        Where the value comes from, and what to do if it cannot be described; for error messages.

    Raises
    ------
    ValueError
        If another process could not recognise the value, or a part of it.
    """
    try:
        return _Descriptions(remedy).encode(value, where)
    except RecursionError:
        raise ValueError(f"{where} contains itself; {remedy}") from None


def digest(value: Any, where: str, remedy: str) -> str:
    """Return the SHA-256 of the description of a value, which is shorter than the description."""
    return hashlib.sha256(json.dumps(describe(value, where, remedy), sort_keys=True).encode()).hexdigest()


class _Descriptions(Encoder):
    def encode_array(self, value: Array, where: str) -> Json:
        return {"sha256": _digest_of(value), "dtype": value.dtype.name, "shape": list(value.shape)}

    def encode_own(self, value: Any, where: str) -> Json:
        if isinstance(value, partial):
            parts = {"func": value.func, "args": value.args, "keywords": value.keywords}
        elif isinstance(value, MethodType):
            parts = {"func": value.__func__, "self": value.__self__}
        elif isinstance(value, type | FunctionType) or hasattr(value, "__name__"):
            return {"custom": self._place(value, value, where)}
        elif is_made_from_fields(value):
            return {"custom": self._place(type(value), value, where), "fields": self._fields(value, where)}
        else:
            parts = self._attributes(value, where)
        about = {name: self.encode(part, f"{where}.{name}") for name, part in parts.items()}
        return {"custom": self._place(type(value), value, where), "fields": about}

    def _attributes(self, value: Any, where: str) -> dict[str, Any]:
        if not hasattr(value, "__dict__"):
            raise self.refusal(value, where)
        attributes: dict[str, Any] = vars(value)
        return attributes

    def _place(self, item: Any, value: Any, where: str) -> str:
        """Return where a class or function is defined. Raise ValueError if it cannot be found there."""
        name = getattr(item, "__qualname__", item.__name__)
        # before NumPy 2, ufuncs do not say where they are defined
        module = "numpy" if isinstance(item, np.ufunc) else getattr(item, "__module__", None) or "builtins"
        found: Any = sys.modules.get(module)
        if item is not partial and item is not MethodType:
            for part in name.split("."):
                found = getattr(found, part, None)
            if found is not item:
                raise self.refusal(value, where)
        return f"{module}.{name}"

    def refusal(self, value: Any, where: str, reason: str = "") -> Any:
        return ValueError(f"{self._remedy}: another process could not recognise {where}={value!r}")


def _digest_of(array: Array) -> str:
    """Return the SHA-256 of the elements in C order. Large arrays are not copied as a whole."""
    hashed = hashlib.sha256()
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _AT_A_TIME * len(rows) // max(rows.size, 1))
    plain = array.dtype.newbyteorder("<")
    for start in range(0, len(rows), step):
        hashed.update(np.ascontiguousarray(rows[start : start + step], dtype=plain).view(np.uint8).data)
    return hashed.hexdigest()


def readable(node: Json) -> str:
    """Return a description as a short text, for error messages."""
    text = _text(node)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _text(node: Json) -> str:
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    if not isinstance(node, dict):
        return repr(node)
    name = node.get("object", node.get("custom"))
    if name is not None:
        return f"{name}({', '.join(f'{key}={_text(item)}' for key, item in node.get('fields', {}).items())})"
    (content, *_) = node.values()
    if "fraction" in node:
        return f"Fraction({', '.join(map(_text, content))})"
    if "tuple" in node:
        return f"({', '.join(map(_text, content))}{',' * (len(content) == 1)})"
    if "dict" in node:
        return f"{{{', '.join(f'{key!r}: {_text(item)}' for key, item in content.items())}}}"
    return str(content)
