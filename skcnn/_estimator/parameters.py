"""Nested parameters: the fields of the objects in an estimator's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from sklearn.base import BaseEstimator

__all__ = ["NestedParametersMixin"]


class NestedParametersMixin(BaseEstimator):
    """Lets `get_params` and `set_params` access the fields of layers, optimizers, schedules and other dataclasses.

    ``set_params(layers__0__n_kernels=8, solver__momentum=0.8)`` replaces the old objects with changed copies. The old
    objects, which other estimators may share, are never changed.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the fields of layers, optimizers and schedules, such as ``layers__0__n_kernels``.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            for name, value in list(params.items()):
                params.update(_nested(name, value))
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters of this estimator, or fields of the objects in them. If one is invalid, none is set.

        Parameters
        ----------
        **params : dict
            ``n_kernels=(8, 16)``, ``layers__0__n_kernels=8``, ``layers__0=Conv2D(8)``, ``solver__momentum=0.8``.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If there is no such parameter or field, or the value is out of the field's range.
        """
        names = list(self.get_params(deep=False))
        changed: dict[str, Any] = {}
        for key in sorted(params, key=lambda key: key.count("__")):  # a whole value first, then its fields
            name, *path = key.split("__")
            if name not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. Valid parameters are: {names!r}."
                )
            changed[name] = _replaced(name, changed.get(name, getattr(self, name)), path, params[key])
        return super().set_params(**changed)


def _children(value: Any) -> dict[str, Any]:
    """Return the parts of a value, by name: the fields of a dataclass, or the items of a sequence of dataclasses."""
    if _is_object(value):
        return {field.name: getattr(value, field.name) for field in fields(value) if field.init}
    if isinstance(value, list | tuple) and any(_is_object(item) for item in value):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def _is_object(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _nested(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    for key, child in _children(value).items():
        yield f"{name}__{key}", child
        yield from _nested(f"{name}__{key}", child)


def _replaced(name: str, value: Any, path: list[str], new: Any) -> Any:
    """Return a copy of `value` with `new` at the end of `path`."""
    if not path:
        return new
    key, *rest = path
    children = _children(value)
    if key not in children:
        raise ValueError(f"{name}={value!r} has no parameter {key!r}; {_hint(name, value, children)}")
    child = _replaced(f"{name}__{key}", children[key], rest, new)
    if _is_object(value):
        return replace(value, **{key: child})
    return type(value)(child if str(index) == key else item for index, item in enumerate(value))


def _hint(name: str, value: Any, children: dict[str, Any]) -> str:
    if children:
        return f"it has {list(children)}"
    if name == "solver" and isinstance(value, str):
        return "pass an optimizer object, as in solver=SGD(momentum=0.9)"
    if callable(value) or hasattr(value, "step"):
        return "only dataclasses have parameters"
    return "pass an object that has this parameter"
