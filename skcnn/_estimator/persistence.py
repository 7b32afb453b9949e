"""Persistence: what an estimator has learnt is kept whole, and carries the version that wrote it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

from skcnn._version import __version__

__all__ = ["FittedStateMixin", "VersionWarning"]


class VersionWarning(InconsistentVersionWarning):
    """A classifier was unpickled that another version of skcnn had written."""

    def __str__(self):
        return (
            f"{self.estimator_name} was written by skcnn {self.original_sklearn_version} and is read by "
            f"{self.current_sklearn_version}; its results may differ. Fit it again to be sure."
        )


class FittedStateMixin:
    """Care for the fitted attributes, which are those that end in an underscore. It stands left of `BaseEstimator`."""

    @contextmanager
    def _all_or_nothing(self):
        """Give back every attribute if the block fails or is interrupted: fitted values are replaced, never altered."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _forget(self):
        """Remove all fitted attributes."""
        for name in [name for name in self.__dict__ if name.endswith("_")]:
            delattr(self, name)

    def __getstate__(self):
        state: Any = super().__getstate__()
        return {**state, "_skcnn_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        written_by = state.pop("_skcnn_version", "unknown")
        if written_by != __version__:
            warning = VersionWarning(
                estimator_name=type(self).__name__,
                current_sklearn_version=__version__,
                original_sklearn_version=written_by,
            )
            warnings.warn(warning, stacklevel=2)
        super().__setstate__(state)
