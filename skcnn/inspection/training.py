"""TrainingDisplay: loss, score and learning rate of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from skcnn.inspection._axes import stacked_axes_for
from skcnn.inspection._classifier import require_fitted

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """The course of training: the loss, the score on the validation set and the learning rate against the epochs.

    Use `from_estimator` to create one. There is a panel for the score only if there was a validation set.

    Parameters
    ----------
    history : sequence of dict
        ``clf.history_``, one row per epoch.
    score_name : str, default="score"
        What the score is.
    best_epoch : int or None, default=None
        The epoch whose weights early stopping kept. It is marked by a vertical line.

    Attributes
    ----------
    axes_ : ndarray of Axes, of shape (3,), or (2,) without a validation set
    figure_ : Figure
    lines_ : dict of str and Line2D
        The lines, by the column of the history: loss, val_loss, val_score, learning_rate.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.inspection import TrainingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=3, random_state=0).fit(X[:500], y[:500], X_val=X[500:700], y_val=y[500:700])
    >>> display = TrainingDisplay.from_estimator(clf)
    >>> sorted(display.lines_)
    ['learning_rate', 'loss', 'val_loss', 'val_score']
    """

    def __init__(
        self, history: Sequence[Mapping[str, Any]], *, score_name: str = "score", best_epoch: int | None = None
    ) -> None:
        self.history = history
        self.score_name = score_name
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the training of a fitted classifier.

        Parameters
        ----------
        estimator : NumpyCNNClassifier
            A fitted classifier.
        ax : Axes, sequence of Axes or None, default=None
            As in `plot`.

        Returns
        -------
        display : TrainingDisplay

        Raises
        ------
        TypeError, NotFittedError
            If `estimator` is not a `NumpyCNNClassifier`, or is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        require_fitted(estimator)
        scoring = estimator.scoring
        name = "accuracy" if scoring is None else scoring if isinstance(scoring, str) else "score"
        return cls(estimator.history_, score_name=name, best_epoch=estimator.best_iter_).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : Axes, sequence of Axes or None, default=None
            None: draw in a new figure. A single Axes is divided into panels. A sequence must have one Axes per panel.

        Returns
        -------
        self : TrainingDisplay
        """
        panels = self._panels()
        self.axes_ = stacked_axes_for(type(self), ax, len(panels))
        self.figure_ = self.axes_[0].figure
        epochs = [row["epoch"] for row in self.history]
        self.lines_ = {}
        for panel, (label, columns) in zip(self.axes_, panels.items(), strict=True):
            for name, legend in columns.items():
                values = [row[name] if row[name] is not None else float("nan") for row in self.history]
                marker = "o" if len(epochs) == 1 else None  # a line of one point cannot be seen
                (self.lines_[name],) = panel.plot(epochs, values, label=legend, marker=marker)
            if self.best_epoch is not None:
                panel.axvline(self.best_epoch, color="0.5", linestyle=":", label=f"best epoch, {self.best_epoch}")
            panel.set_ylabel(label)
            panel.grid(alpha=0.3)
        self.axes_[0].legend()
        self.axes_[-1].set_xlabel("epoch")
        self.axes_[-1].xaxis.get_major_locator().set_params(integer=True)
        return self

    def _panels(self) -> dict[str, dict[str, str]]:
        """Return the label of each panel and its columns of the history, with the legend of each."""
        validated = any(row["val_loss"] is not None for row in self.history)
        loss = {"loss": "training", **({"val_loss": "validation"} if validated else {})}
        score = {f"validation {self.score_name}": {"val_score": "validation"}} if validated else {}
        return {"loss": loss, **score, "learning rate": {"learning_rate": "training"}}
