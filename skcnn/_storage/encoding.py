"""Values as JSON and arrays, without code.

Values that JSON can represent are stored directly. Everything else becomes a JSON object whose first key says what it
is: a tuple, a NumPy scalar, an array (which is stored separately), and so on. Layers, optimizers, schedules and
augmentations of this package are stored as their fields and their name, which is looked up in a fixed table. Of the
user's own objects, only the name is stored (and the fields, for dataclasses); the reader passes the objects.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn import augmentation, layers, optimizers, schedules
from skcnn._storage.archive import CONTENT_ERRORS, is_plain
from skcnn._storage.exact import is_exact, parts
from skcnn._storage.missing import Missing
from skcnn._values import Value
from skcnn.layers import Layer

__all__ = ["KNOWN", "CustomObjectError", "Decoder", "Encoder", "is_made_from_fields", "names_that_layers_need"]

Array = NDArray[Any]
Json = Any

# all public configuration objects, by name
KNOWN: dict[str, type[Value]] = {
    name: item
    for module in (layers, optimizers, schedules, augmentation)
    for name in module.__all__
    if isinstance(item := getattr(module, name), type) and issubclass(item, Value)
}
_NAMES = {item: name for name, item in KNOWN.items()}
_LABELS = (str, bytes, int, float, bool, type(None), np.generic)  # allowed items of an array of objects
_DTYPE = re.compile(r"[<>|=]?[a-zA-Z]\d{0,9}(\[\w{1,20}\])?")
_BITS = 63  # larger integers are not plain JSON: other programs would round them
_MOST_BITS = 4096  # computing with much larger integers takes long
_MOST_EQUAL_HASHES = 100  # of the keys of a dict
_MOST_RANDOM_STATES = 1000  # making one takes 0.2 ms


class Encoder:
    """Turns values into JSON.

    Parameters
    ----------
    remedy : str
        What to do about values that cannot be encoded, for error messages.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays of all encoded values.
    """

    def __init__(self, remedy: str) -> None:
        self.arrays: dict[str, Array] = {}
        self._remedy = remedy
        self._names_of_arrays: dict[int, str] = {}  # by id
        self._own: dict[str, Any] = {}

    def encode(self, value: Any, where: str) -> Json:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
        where : str
            Where the value comes from, for error messages and for the names of arrays: "augment[0]".

        Raises
        ------
        TypeError
            If the value, or a part of it, cannot be encoded.
        """
        for kinds, encode in self._encoders:
            if isinstance(value, kinds):
                return encode(self, value, where)
        return self.encode_own(value, where)

    def _plain(self, value: Any, where: str) -> Json:
        return value

    def _bytes(self, value: bytes, where: str) -> Json:
        return {"bytes": value.hex()}

    def _scalar(self, value: Any, where: str) -> Json:
        if isinstance(value, np.str_ | np.bytes_):  # the dtype of an empty string has no bytes
            return {"text scalar": self.encode(value.item(), where)}
        self._require_plain(value.dtype, value, where)
        return {"scalar": value.tobytes().hex(), "dtype": value.dtype.str}

    def _text(self, value: str, where: str) -> Json:
        return str.__str__(value)

    def _int(self, value: int, where: str) -> Json:
        if value.bit_length() > _MOST_BITS:
            raise TypeError(f"{where} is an integer of {value.bit_length()} bits, which is too large to be stored")
        return int(value) if value.bit_length() <= _BITS else {"int": hex(value)}

    def _float(self, value: float, where: str) -> Json:
        return float(value) if isfinite(value) else {"float": float.__repr__(value)}

    def _fraction(self, value: Fraction, where: str) -> Json:
        return {"fraction": self._list([value.numerator, value.denominator], where)}

    def _list(self, value: list[Any], where: str) -> Json:
        return [self.encode(item, f"{where}[{index}]") for index, item in enumerate(value)]

    def _tuple(self, value: tuple[Any, ...], where: str) -> Json:
        return {"tuple": self._list(list(value), where)}

    def _dict(self, value: dict[Any, Any], where: str) -> Json:
        if hasattr(value, "__missing__"):  # a defaultdict, for instance, also returns values for missing keys
            raise self.refusal(value, where)
        if all(type(key) is str for key in value):
            return {"dict": {key: self.encode(item, f"{where}[{key!r}]") for key, item in value.items()}}
        pairs = [[self.encode(key, where), self.encode(item, f"{where}[{key!r}]")] for key, item in value.items()]
        return {"items": pairs}

    def _array(self, value: Array, where: str) -> Json:
        if not is_exact(value):  # a masked array, for instance, has more than its elements
            raise self.refusal(value, where)
        if value.dtype == object:
            if not all(isinstance(item, _LABELS) for item in value.flat):
                raise self.refusal(value, where)
            items = [self.encode(item, where) for item in value.flat]
            return {"objects": items, "shape": list(value.shape)}
        self._require_plain(value.dtype, value, where)
        return self.encode_array(value, where)

    def encode_array(self, value: Array, where: str) -> Json:
        """Return the name under which an array is stored. The same array is stored only once, and is read as one."""
        if id(value) in self._names_of_arrays:
            return {"array": self._names_of_arrays[id(value)]}
        stem = re.sub(r"\W+", ".", where, flags=re.ASCII).strip(".")[:80] or "array"
        name = next(name for name in _numbered(stem, ".") if name not in self.arrays)
        self.arrays[name] = value
        self._names_of_arrays[id(value)] = name
        return {"array": name}

    def _random_state(self, value: np.random.RandomState, where: str) -> Json:
        state = value.get_state(legacy=False)
        if not isinstance(state, dict) or state["bit_generator"] != "MT19937":
            raise self.refusal(value, where)
        numbers = state["state"]["key"], state["state"]["pos"], state["has_gauss"], state["gauss"]
        return {"random state": self._list(list(numbers), where)}

    def _configuration(self, value: Value, where: str) -> Json:
        if type(value) not in _NAMES:
            return self.encode_own(value, where)
        return {"object": _NAMES[type(value)], "fields": self._fields(value, where)}

    def _fields(self, value: Any, where: str) -> Json:
        return {name: self.encode(getattr(value, name), f"{where}.{name}") for name in _names_of_fields(value)}

    def encode_own(self, value: Any, where: str) -> Json:
        """Return the name of an object of the user's own code, and the fields of a dataclass."""
        about: Json = {"layer": True} if isinstance(value, Layer) else {}
        if is_made_from_fields(value):
            for name in _names_of_fields(value):
                self.require_exact(getattr(value, name), f"{where}.{name}")
            return {"custom": self._name(type(value)), "fields": self._fields(value, where), **about}
        if not (callable(value) or hasattr(value, "step") or about):
            raise self.refusal(value, where)
        return {"custom": self._name(value), **about}

    def _name(self, value: Any) -> str:
        """Return a name for an object. Different objects have different names: "noise" and "noise#2"."""
        stem = getattr(value, "__name__", type(value).__name__)
        name = next(name for name in _numbered(stem, "#") if self._own.get(name, value) is value)
        self._own[name] = value
        return name

    def _require_plain(self, dtype: np.dtype[Any], value: Any, where: str) -> None:
        if not is_plain(dtype):
            raise self.refusal(value, where)

    def require_exact(self, value: Any, where: str) -> None:
        """Raise TypeError if a part of a value that the user's own code uses would be read as one of another type."""
        for part, place in parts(value, where):
            if not is_exact(part):
                raise self.refusal(part, place)

    def refusal(self, value: Any, where: str, reason: str = "which cannot be stored without code") -> TypeError:
        """Return the error for a value that cannot be encoded."""
        return TypeError(f"{where} is {_short(value)}, {reason}; {self._remedy}")

    # in this order: a NumPy scalar can also be a float or a str, and a bool is an int
    _encoders: tuple[tuple[Any, Callable[[Any, Any, str], Json]], ...] = (
        (bool | None, _plain),
        (np.generic, _scalar),
        (str, _text),
        (bytes, _bytes),
        (int, _int),
        (float, _float),
        (Fraction, _fraction),
        (list, _list),
        (tuple, _tuple),
        (dict, _dict),
        (np.ndarray, _array),
        (np.random.RandomState, _random_state),
        (Value, _configuration),
    )


class Decoder:
    """Turns JSON back into values.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    custom_objects : mapping of str to object
        The user's own objects, by the names in the file: classes for dataclasses, otherwise the objects themselves. An
        object that is not among them is decoded as a `Missing`.
    """

    def __init__(self, arrays: Mapping[str, Array], custom_objects: Mapping[str, Any]):
        self._arrays, self._custom = arrays, custom_objects
        self._made: dict[str, Any] = {}
        self._n_random_states = 0

    def decode(self, node: Json, where: str) -> Any:
        """Return the value of some JSON.

        Raises
        ------
        Exception
            Any, if the JSON was not made by `Encoder`.
        """
        if isinstance(node, list):
            return [
                self.decode(item, f"{where}[{index}]") if isinstance(item, list | dict) else item
                for index, item in enumerate(node)
            ]
        if not isinstance(node, dict):
            return node
        tag = next(iter(node))
        return self._decoders[tag](self, node, where)

    def _tuple(self, node: Json, where: str) -> Any:
        return tuple(self.decode(_list(node["tuple"]), where))

    def _dict(self, node: Json, where: str) -> Any:
        return {key: self.decode(item, f"{where}[{key!r}]") for key, item in node["dict"].items()}

    def _items(self, node: Json, where: str) -> Any:
        keys = [self.decode(key, where) for key, _ in node["items"]]
        most_equal = max(Counter(map(hash, keys)).values(), default=0)
        if most_equal > _MOST_EQUAL_HASHES:  # making the dict takes quadratic time in this number
            raise ValueError(f"{where} has {most_equal} keys with equal hashes")
        return {key: self.decode(item, where) for key, (_, item) in zip(keys, node["items"], strict=True)}

    def _bytes(self, node: Json, where: str) -> Any:
        return bytes.fromhex(node["bytes"])

    def _int(self, node: Json, where: str) -> Any:
        if len(node["int"]) > _MOST_BITS // 4 + len("-0x"):
            raise ValueError(f"{where} is too large")
        return int(node["int"], 16)

    def _float(self, node: Json, where: str) -> Any:
        return {"inf": np.inf, "-inf": -np.inf, "nan": np.nan}[node["float"]]

    def _fraction(self, node: Json, where: str) -> Any:
        numerator, denominator = self.decode(_list(node["fraction"]), where)
        if type(numerator) is not int or type(denominator) is not int:  # reading a text could take very long
            raise ValueError(f"{where} is not a fraction")
        return Fraction(numerator, denominator)

    def _scalar(self, node: Json, where: str) -> Any:
        if not _DTYPE.fullmatch(node["dtype"]) or not is_plain(dtype := np.dtype(node["dtype"])):
            raise ValueError(f"the dtype of {where} is invalid: {node['dtype']}")
        (value,) = np.frombuffer(bytes.fromhex(node["scalar"]), dtype)
        return value

    def _text_scalar(self, node: Json, where: str) -> Any:
        value = self.decode(node["text scalar"], where)
        return np.bytes_(value) if isinstance(value, bytes) else np.str_(value)

    def _array(self, node: Json, where: str) -> Any:
        return self._arrays[node["array"]]

    def _objects(self, node: Json, where: str) -> Any:
        items, shape = self.decode(_list(node["objects"]), where), tuple(node["shape"])
        if prod(shape) != len(items) or not all(isinstance(item, _LABELS) for item in items):
            raise ValueError(f"{where} is not an array of labels")
        array = np.empty(len(items), object)
        array[:] = items
        return array.reshape(shape)

    def _random_state(self, node: Json, where: str) -> Any:
        self._n_random_states += 1
        if self._n_random_states > _MOST_RANDOM_STATES:
            raise ValueError(f"there are more than {_MOST_RANDOM_STATES} random states")
        key, position, has_gauss, gauss = self.decode(_list(node["random state"]), where)
        if (key.dtype, key.shape) != (np.uint32, (624,)) or not 0 <= position <= 624:
            raise ValueError(f"{where} is not the state of a RandomState")
        random_state = np.random.RandomState(0)
        random_state.set_state(("MT19937", key, int(position), int(has_gauss), float(gauss)))
        return random_state

    def _object(self, node: Json, where: str) -> Any:
        values = self._decoded_fields(node, where)
        try:
            return KNOWN[node["object"]](**values)
        except ValueError:
            missing = _first_missing(values)
            if missing is None:
                raise
            return missing  # a Sequential, for instance, cannot be made without its layers

    def _own(self, node: Json, where: str) -> Any:
        name = node["custom"]
        if name not in self._custom:
            return Missing(str(name), where)
        item = self._custom[name]
        if "fields" in node:
            item = self._made_from_fields(item, node, where)
        if node.get("layer") and not isinstance(item, Layer):
            raise CustomObjectError(f"custom_objects[{name!r}] must be a layer, or its class, got {item!r}")
        return item

    def _made_from_fields(self, item: Any, node: Json, where: str) -> Any:
        name = node["custom"]
        if not (isinstance(item, type) and is_dataclass(item)):  # a file may not have other classes called
            raise CustomObjectError(f"custom_objects[{name!r}] must be the class of a dataclass, got {item!r}")
        values = self._decoded_fields(node, where)
        try:
            made = item(**values)
        except (RuntimeError, *CONTENT_ERRORS) as error:  # it is the user's code
            missing = _first_missing(values)
            if missing is not None:
                return missing
            message = f"custom_objects[{name!r}]: {item.__name__} cannot be made from its fields: {error!r}"
            raise CustomObjectError(message) from error
        # equal fields must give equal objects, so that training can continue, even if the class does not compare them
        eq: Any = item.__eq__
        return made if eq is not object.__eq__ else self._made.setdefault(repr(node), made)

    def _decoded_fields(self, node: Json, where: str) -> dict[str, Any]:
        return {name: self.decode(item, f"{where}.{name}") for name, item in node["fields"].items()}

    _decoders: Mapping[str, Callable[[Any, Json, str], Any]] = {
        "tuple": _tuple,
        "dict": _dict,
        "items": _items,
        "bytes": _bytes,
        "int": _int,
        "float": _float,
        "fraction": _fraction,
        "scalar": _scalar,
        "text scalar": _text_scalar,
        "array": _array,
        "objects": _objects,
        "random state": _random_state,
        "object": _object,
        "custom": _own,
    }


class CustomObjectError(ValueError):
    """The error for a custom object that is not the one that a file needs."""


def names_that_layers_need(node: Json, *, is_in_own_layer: bool = False) -> Iterator[str]:
    """Yield the names of the user's own layers in some JSON, and of everything of the user's own in their fields.

    Layers of this package do not need the functions in their fields: only a new network uses initializers.
    """
    if not isinstance(node, dict):
        children = node if isinstance(node, list) else []
    else:
        tag = next(iter(node), None)
        is_in_own_layer = tag != "object" and (is_in_own_layer or bool(node.get("layer")))
        if tag == "custom" and is_in_own_layer:
            yield node["custom"]
        inner = node.get("fields", {}) if tag in ("custom", "object") else node[tag]
        children = list(inner.values()) if isinstance(inner, dict) else [inner]
    for child in children:
        yield from names_that_layers_need(child, is_in_own_layer=is_in_own_layer)


def is_made_from_fields(value: Any) -> bool:
    """Return whether a value is a dataclass instance that can be made again from its fields alone."""
    if isinstance(value, type) or not is_dataclass(value):
        return False
    cls: Any = type(value)
    if "__dataclass_fields__" in vars(cls):
        return bool(cls.__dataclass_params__.init)
    # a subclass that is not decorated itself
    names = {field.name for field in fields(value)}
    return "__init__" not in vars(cls) and set(getattr(value, "__dict__", ())) <= names


def _names_of_fields(value: Any) -> list[str]:
    return [field.name for field in fields(value) if field.init]


def _first_missing(values: Any) -> Missing | None:
    """Return a missing object among some values, or in a list or tuple of them."""
    if isinstance(values, Missing):
        return values
    children = values.values() if isinstance(values, dict) else values if isinstance(values, list | tuple) else ()
    return next((found for child in children if (found := _first_missing(child)) is not None), None)


def _list(node: Json) -> list[Json]:
    if not isinstance(node, list):
        raise ValueError("a list is missing")
    return node


def _numbered(stem: str, separator: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}{separator}{number}"
        number += 1


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
