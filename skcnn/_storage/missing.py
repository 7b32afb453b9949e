"""Stand-ins for the user's own objects that a file names, but that were not passed to `skcnn.load`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

__all__ = ["Missing", "require_none_missing"]


class Missing:
    """A stand-in for one object. It can be printed, compared, copied and pickled, but using it raises an error.

    Parameters
    ----------
    name : str
        The name of the object in the file.
    where : str
        The parameter that contains it, such as "augment[0]".
    """

    def __init__(self, name: str, where: str):
        self.name, self.where = name, where

    def __repr__(self) -> str:
        return f"<missing {self.name!r}: pass custom_objects={{{self.name!r}: ...}} to skcnn.load>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Missing) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def _fail(self, *args: Any, **kwargs: Any) -> NoReturn:
        require_none_missing([self])
        raise AssertionError

    __call__ = init = step = _fail


def require_none_missing(values: Iterable[Any]) -> None:
    """Raise ValueError if any of a classifier's parameters is missing."""
    missing = {value.name: value for value in values if isinstance(value, Missing)}
    if missing:
        places = ", ".join(f"{value.name!r} ({value.where})" for value in missing.values())
        pass_them = ", ".join(f"{name!r}: ..." for name in missing)
        raise ValueError(
            f"the classifier was loaded without {places}, which it needs; pass "
            f"custom_objects={{{pass_them}}} to skcnn.load, or set other parameters"
        )
