"""Values: frozen objects that hold only configuration, and the checks of their fields.

Layers, optimizers and schedules are values. They can be shared, compared, printed and copied. A changed value is a new
object (`dataclasses.replace`), so changing one model never changes another.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, dataclass, fields
from math import frexp, inf, isfinite, ldexp, nan
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np

Pair = tuple[int, int]
Closed = Literal["left", "right", "both", "neither"]
LARGEST_COUNT = sys.maxsize  # no length, index or slice of an array is larger


@dataclass(frozen=True)
class Value:
    """Base of all configuration objects.

    Its repr shows the fields in `always_shown` and those that differ from their defaults. The checks of numbers also
    convert other types of numbers to ints and floats, because NumPy's small integers would overflow, and its floats
    would make float32 arrays compute in double precision.
    """

    always_shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        always = self.always_shown
        shown = [f for f in fields(self) if f.name in always or not _is_default(f, getattr(self, f.name))]
        return f"{type(self).__name__}({', '.join(f'{f.name}={getattr(self, f.name)!r}' for f in shown)})"

    def _check(self, name: str, fits: bool, expected: str) -> None:
        if not fits:
            raise ValueError(f"{type(self).__name__}: {name} must be {expected}, got {getattr(self, name)!r}")

    def _check_count(self, name: str, minimum: int = 1) -> None:
        value = getattr(self, name)
        too_large = isinstance(value, Integral) and int(value) > LARGEST_COUNT
        limit = f" and at most {LARGEST_COUNT}" if too_large else ""
        self._check(name, is_count(value, minimum), f"an int of at least {minimum}{limit}")
        self._make_plain(name)

    def _check_size(self, name: str, minimum: int = 1) -> None:
        fits = is_size(getattr(self, name), minimum)
        self._check(name, fits, f"an int of at least {minimum} or a pair (rows, columns) of such ints")
        self._make_plain(name)

    def _check_number(self, name: str, low: float = -inf, high: float = inf, closed: Closed = "left") -> None:
        self._check(name, is_number(getattr(self, name), low, high, closed), _expected(low, high, closed))
        self._make_plain(name)
        if abs(getattr(self, name)) > LARGEST_COUNT:  # NumPy has no such integers
            object.__setattr__(self, name, float(getattr(self, name)))

    def _check_in(self, dtype: Any, name: str, *, may_be_zero: bool) -> None:
        """Raise ValueError if a field overflows in `dtype` or, unless it may be zero there, is rounded to 0."""
        value = getattr(self, name)
        with np.errstate(all="ignore"):
            rounded = np.dtype(dtype).type(value)
        if not np.isfinite(rounded) or (rounded == 0 and not may_be_zero):
            remedy = "larger" if rounded == 0 else "smaller"
            raise ValueError(
                f"{type(self).__name__}: {name}={value!r} is {rounded:g} in {np.dtype(dtype)}: it must be {remedy}"
            )

    def _make_plain(self, name: str) -> None:
        object.__setattr__(self, name, plain(getattr(self, name)))


def _is_default(field: Field[Any], value: object) -> bool:
    # compare the identity first, because a field may hold an array, and == does not return a bool for arrays
    if field.default is MISSING:
        return False
    return value is field.default or (type(value) is type(field.default) and bool(value == field.default))


def is_count(value: object, minimum: int = 1) -> bool:
    """Return whether `value` is an integer of at least `minimum`. NumPy integers are accepted, bools are not."""
    is_integer = not isinstance(value, bool) and isinstance(value, Integral)
    return is_integer and minimum <= int(value) <= LARGEST_COUNT  # type: ignore[call-overload]


def is_number(value: object, low: float = -inf, high: float = inf, closed: Closed = "left") -> bool:
    """Return whether `value` is a finite number in an interval. NumPy numbers are accepted, bools are not."""
    number = as_float(value)
    above = low <= number if closed in ("left", "both") else low < number
    below = number <= high if closed in ("right", "both") else number < high
    return isfinite(number) and above and below


def as_float(value: object) -> float:
    """Return a number as a float: infinite if it is too large for a float, NaN if it is a bool or not a real number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf  # type: ignore[operator]


def plain(value: Any) -> Any:
    """Convert a number, or the numbers in a tuple or list, to ints and floats. Return anything else unchanged."""
    if isinstance(value, tuple | list):
        return type(value)(map(plain, value)) if type(value) in (tuple, list) else value
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def power_of_two(value: float) -> float:
    """Return the largest power of two up to a positive number. Dividing by it is exact."""
    return ldexp(1.0, frexp(value)[1] - 1)


def is_size(value: object, minimum: int = 1) -> bool:
    """Return whether `value` is an integer of at least `minimum`, or a pair (rows, columns) of such integers."""
    if isinstance(value, tuple):
        return len(value) == 2 and all(is_count(v, minimum) for v in value)
    return is_count(value, minimum)


def pair(size: Any) -> Pair:
    """Return a size, given as an int or a pair, as a pair: 3 -> (3, 3), (3, 5) -> (3, 5)."""
    rows, columns = size if isinstance(size, tuple) else (size, size)
    return int(rows), int(columns)


def _expected(low: float, high: float, closed: Closed) -> str:
    """Describe an interval for error messages."""
    if high < inf:
        left, right = "[" if closed in ("left", "both") else "(", "]" if closed in ("right", "both") else ")"
        return f"a number in {left}{low}, {high}{right}"
    lower = "of at least" if closed in ("left", "both") else "above"
    return "a finite number" if low == -inf else f"a finite number {lower} {low}"


def times(size: Any) -> str:
    """Format a size for error messages and tables: (5, 3) -> '5x3'."""
    return "x".join(str(s) for s in size)
