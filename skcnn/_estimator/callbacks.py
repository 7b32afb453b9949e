"""Callbacks of scikit-learn, where it has them (since 1.9): they are told of every epoch, and may end training."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from skcnn._training.loop import Run

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn 1.6 to 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method: Any) -> Any:
        """Wrap a method in nothing, so that warnings count as many callers as where there are callbacks."""

        @wraps(method)
        def same(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            return method(estimator, *args, **kwargs)

        return same


__all__ = ["CallbackSupportMixin", "FitCallbacks", "with_callbacks"]


class FitCallbacks:
    """The callbacks set on an estimator, as one observer of its training: its fit is a task, every epoch a subtask.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
    max_iter : int
    X, y, sample_weight
        As given to `fit`.
    """

    def __init__(self, estimator: Any, max_iter: int, X: Any, y: Any, sample_weight: Any):
        self.estimator = estimator
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self._task = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self._fit: Any = None
        self._epoch: Any = None
        # set where somebody listens: by `set_callbacks`, or by the estimator around this one
        if hasattr(estimator, "_init_callback_context"):
            self._fit = estimator._init_callback_context(max_subtasks=max_iter)
            self._fit.call_on_fit_task_begin(**self._task)

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch").call_on_fit_task_begin(**self._task)

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, run: Run) -> bool:
        if self._epoch is None:
            return False
        return bool(self._epoch.call_on_fit_task_end(**self._task, reconstruction_attributes=self._as_it_is(run)))

    def _as_it_is(self, run: Run) -> Callable[[], dict[str, Any]]:
        """What makes a fitted estimator of the present weights, for whoever asks for one."""
        return lambda: {
            "network_": run.network.copy(),
            "history_": [*self.estimator.history_, *run.history],
            "stop_reason_": run.stop_reason,
        }

    def close(self) -> None:
        pass

    def end_fit(self) -> None:
        """Tell that the estimator is fitted."""
        if self._fit is not None:
            self._fit.call_on_fit_task_end(**self._task, reconstruction_attributes={})
