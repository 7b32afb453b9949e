"""The state of a training: all that it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from skcnn._training.stopping import EarlyStopping
from skcnn.network import Network
from skcnn.optimizers import State

__all__ = ["Row", "TrainingState"]

Row = dict[str, Any]  # one epoch of the history


@dataclass
class TrainingState:
    """How far a training has come.

    Between two epochs it can be pickled, and another process resumes from it as if nothing had happened.

    Attributes
    ----------
    network : Network
        Its weights are changed in place.
    early_stopping : EarlyStopping or None
        May end training early; its best weights are restored.
    optimizer_state : dict or None
        That of an earlier training which this one continues; None: a new one.
    first_epoch : int
        Epochs that the network had been trained before. The random streams continue from there.
    history : list of dict
        One row for each epoch: epoch, loss, the validation figures, learning_rate (of its first step), seconds.
    stop_reason : {"max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged"} or None
        None while training goes on. "max_time", "interrupted": after a whole step, but perhaps within an epoch, which
        counts all the same. "callback": an observer asked for it. "diverged": the loss or a weight was not finite, and
        the weights of the last whole epoch were restored.
    n_seen : int
        Samples that were trained on, counted in every epoch.
    divergence : str
        If training diverged: at which learning rate, and what was not finite.
    """

    network: Network
    early_stopping: EarlyStopping | None = None
    optimizer_state: State | None = None
    first_epoch: int = 0
    history: list[Row] = field(default_factory=list)
    stop_reason: str | None = None
    n_seen: int = 0
    divergence: str = ""

    @property
    def epoch(self) -> int:
        """The epoch to come, counted from the network's first."""
        return self.first_epoch + len(self.history)
