"""The callbacks of scikit-learn 1.9 and newer: they are notified of each epoch, and can end training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from skcnn._estimator.model import FittedModel
from skcnn._training.state import TrainingState

__all__ = ["EpochCallbacks", "FitCallbacks"]


class FitCallbacks:
    """The callbacks that are set on an estimator, for one fit. The fit is a task, and each epoch is a subtask.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
    X, y, sample_weight
        The arguments of `fit`.
    n_epochs : int
        The largest number of epochs.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, n_epochs: int):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.task = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.context: Any = None
        # this method exists if `set_callbacks` was called, or if an enclosing estimator has callbacks
        if hasattr(estimator, "_init_callback_context"):
            self.context = estimator._init_callback_context(max_subtasks=n_epochs)
            self.context.call_on_fit_task_begin(**self.task)

    def end_fit(self) -> None:
        """Notify the callbacks that the estimator is fitted."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.task, reconstruction_attributes={})


class EpochCallbacks:
    """The same callbacks, as an observer of training."""

    def __init__(self, callbacks: FitCallbacks, model: FittedModel):
        self._task, self._fit, self._model = callbacks.task, callbacks.context, model
        self._epoch: Any = None

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Begin the subtask of an epoch."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch").call_on_fit_task_begin(**self._task)

    def end_step(self, loss: float, accuracy: float) -> None:
        """Do nothing: callbacks are notified only of epochs."""

    def end_epoch(self, state: TrainingState) -> bool:
        """End the subtask. Return whether a callback asks to stop."""
        if self._epoch is None:
            return False
        attributes = self._attributes_of_fitted(state)
        return bool(self._epoch.call_on_fit_task_end(**self._task, reconstruction_attributes=attributes))

    def _attributes_of_fitted(self, state: TrainingState) -> Callable[[], dict[str, Any]]:
        """Return a function that returns the attributes of a fitted estimator, for callbacks that need one."""
        model = replace(
            self._model,
            history=(*self._model.history, *state.history),
            n_seen=self._model.n_seen + state.n_seen,
            stop_reason=state.stop_reason,
        )
        return lambda: {**model.features, "_fitted": replace(model, network=state.network.copy())}

    def close(self) -> None:
        """Do nothing: scikit-learn closes its callbacks."""
