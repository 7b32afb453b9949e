"""All private names of scikit-learn that the package imports, so that a new release can break only this file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from math import inf
from typing import Any, ParamSpec, TypeVar, cast

from sklearn import get_config, set_config
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

from skcnn._engine.numpy_settings import restoring_numpy
from skcnn._engine.surely import surely
from skcnn._values import is_number

P = ParamSpec("P")
R = TypeVar("R")

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn 1.6 to 1.8
    _with_callbacks = None

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty: this version of scikit-learn has no callbacks."""


def with_callbacks(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method work with scikit-learn's callbacks, in versions that have them."""
    return cast("Callable[P, R]", _with_callbacks(method)) if _with_callbacks else method


class Number(Interval):
    """A number in an interval. Any real number that fits into a float is accepted, such as a large integer."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Return whether `val` is a number in the interval."""
        low = -inf if self.left is None else float(self.left)
        high = inf if self.right is None else float(self.right)
        return is_number(val, low, high, self.closed)


class DocumentationLinkMixin:
    """Links the estimator's diagram in notebooks to its page in the documentation."""

    _doc_link_module = "skcnn"  # so estimators of other packages that are derived from ours have no link
    _doc_link_template = "https://skcnn.readthedocs.io/en/latest/api/generated/skcnn.{name}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"name": type(self).__name__}


__all__ = [
    "CallbackSupportMixin",
    "DocumentationLinkMixin",
    "HasMethods",
    "Interval",
    "Number",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
    "validate_parameter_constraints",
    "with_callbacks",
]


def fit_context(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method check the parameters against `_parameter_constraints` first.

    The scikit-learn functions that the method calls then do not check their own parameters. This setting, and those of
    NumPy, are restored even if a signal handler raises an exception.
    """
    checked: Callable[P, R] = _fit_context(prefer_skip_nested_validation=True)(method)

    @wraps(method)
    def in_context(*args: P.args, **kwargs: P.kwargs) -> R:
        skip = get_config()["skip_parameter_validation"]
        fit = partial(restoring_numpy, partial(checked, *args, **kwargs))
        return surely(fit, partial(set_config, skip_parameter_validation=skip))

    return in_context
