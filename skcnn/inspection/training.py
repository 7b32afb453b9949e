"""TrainingDisplay: loss, accuracy, score and learning rate of each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from skcnn.inspection._axes import stacked_axes_for
from skcnn.inspection._classifier import require_fitted

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """The course of training: the loss, the accuracy and the learning rate against the epochs.

    Use `from_estimator` to create one. If there was a validation set and the score on it is not the accuracy, there is
    a panel for the score, too.

    Parameters
    ----------
    history : sequence of dict
        ``clf.history_``, one row per epoch.
    score_name : str, default="score"
        What the score is. "accuracy": there is no panel for it, because it is in the panel of the accuracy.
    best_epoch : int or None, default=None
        The epoch whose weights early stopping kept. It is marked by a vertical line.

    Attributes
    ----------
    axes_ : ndarray of Axes, of shape (3,), or (4,) with a panel for the score
    figure_ : Figure
    lines_ : dict of str and Line2D
        The lines, by the column of the history: loss, val_loss, accuracy, val_accuracy, val_score, learning_rate.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.inspection import TrainingDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=3, random_state=0).fit(X[:500], y[:500], X_val=X[500:700], y_val=y[500:700])
    >>> display = TrainingDisplay.from_estimator(clf)
    >>> sorted(display.lines_)
    ['accuracy', 'learning_rate', 'loss', 'val_accuracy', 'val_loss']
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
                values = [float("nan") if row.get(name) is None else row[name] for row in self.history]
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
        panels = {
            "loss": {"loss": "training", "val_loss": "validation"},
            "accuracy": {"accuracy": "training", "val_accuracy": "validation"},
            f"validation {self.score_name}": {} if self.score_name == "accuracy" else {"val_score": "validation"},
            "learning rate": {"learning_rate": "training"},
        }
        known = {label: self._with_values(columns) for label, columns in panels.items()}
        return {label: columns for label, columns in known.items() if columns}

    def _with_values(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the columns that are not empty. Only a validation set fills those that begin with "val_".

        Models that an early version saved have no training accuracy.
        """
        return {name: text for name, text in columns.items() if any(row.get(name) is not None for row in self.history)}
