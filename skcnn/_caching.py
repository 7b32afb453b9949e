"""A cached property without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["cached_property"]

Result = TypeVar("Result")


class cached_property(Generic[Result]):  # named like the one of functools
    """A property that is computed once for each object.

    It is like `functools.cached_property`, which on Python 3.11 holds a lock while it computes. An exception raised by
    a signal handler can leave that lock locked, and other threads then wait forever. This property has no lock, so two
    threads may compute the same value at the same time.
    """

    def __init__(self, function: Callable[[Any], Result]):
        self._function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> cached_property[Result]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Result: ...

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = vars(instance)[self._name] = self._function(instance)
        return value
