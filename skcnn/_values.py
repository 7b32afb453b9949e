"""Values: frozen objects that hold only configuration, and the checks of their fields.

Layers, optimizers and schedules are values. They can be shared, compared, printed and copied. A changed value is a new
object (`dataclasses.replace`), so changing one model never changes another.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, fields
from numbers import Integral, Real
from typing import Any, ClassVar

Pair = tuple[int, int]


@dataclass(frozen=True)
class Value:
    """Base of all configuration objects.

    Its repr shows the fields in `always_shown` and those that differ from their defaults.
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
        self._check(name, is_count(getattr(self, name), minimum), f"an int of at least {minimum}")

    def _check_size(self, name: str, minimum: int = 1) -> None:
        fits = is_size(getattr(self, name), minimum)
        self._check(name, fits, f"an int of at least {minimum} or a pair (rows, columns) of such ints")

    def _check_number(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        self._check(name, is_real(value) and low <= value < high, f"a number in [{low}, {high})")


def _is_default(field: Field[Any], value: object) -> bool:
    # compare the identity first, because a field may hold an array, and == does not return a bool for arrays
    if field.default is MISSING:
        return False
    return value is field.default or (type(value) is type(field.default) and bool(value == field.default))


def is_count(value: object, minimum: int = 1) -> bool:
    """Return whether `value` is an integer of at least `minimum`. NumPy integers are accepted, bools are not."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= minimum


def is_real(value: object) -> bool:
    """Return whether `value` is a real number. NumPy numbers are accepted, bools are not."""
    return not isinstance(value, bool) and isinstance(value, Real)


def is_size(value: object, minimum: int = 1) -> bool:
    """Return whether `value` is an integer of at least `minimum`, or a pair (rows, columns) of such integers."""
    if isinstance(value, tuple):
        return len(value) == 2 and all(is_count(v, minimum) for v in value)
    return is_count(value, minimum)


def pair(size: Any) -> Pair:
    """Return a size, given as an int or a pair, as a pair: 3 -> (3, 3), (3, 5) -> (3, 5)."""
    rows, columns = size if isinstance(size, tuple) else (size, size)
    return int(rows), int(columns)


def times(size: Any) -> str:
    """Format a size for error messages and tables: (5, 3) -> '5x3'."""
    return "x".join(str(s) for s in size)
