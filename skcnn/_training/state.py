"""The training state: everything that training changes."""

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
    """The progress of training.

    It can be pickled between two epochs. Another process can resume from it, with the same result, bit for bit.

    Attributes
    ----------
    network : Network
        Its weights are changed in place.
    early_stopping : EarlyStopping or None
        It may end training early. At the end, the best weights are restored.
    optimizer_state : dict or None
        The state of the optimizer, if training continues an earlier one. None: training creates a new one.
    first_epoch : int
        The number of epochs for which the network was trained before. The random streams continue from there.
    history : list of dict
        One row per epoch: epoch, loss, accuracy, the validation columns, learning_rate (of the first step), seconds.
    stop_reason : {"max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged"} or None
        None while training continues. "max_time", "interrupted": training stopped after a complete step, but possibly
        within an epoch, which still counts. "callback": an observer asked to stop. "diverged": the loss, a weight or
        the prediction of a training image was not finite, and the weights of the last complete epoch were restored.
    n_seen : int
        The number of samples trained on, added up over all epochs.
    penalty : float
        The mean L2 penalty in the loss of the last epoch.
    divergence : str
        If training diverged: the learning rate, and what was not finite.
    is_exact : bool
        See `Calculation`.
    """

    network: Network
    early_stopping: EarlyStopping | None = None
    optimizer_state: State | None = None
    first_epoch: int = 0
    history: list[Row] = field(default_factory=list)
    stop_reason: str | None = None
    n_seen: int = 0
    penalty: float = 0.0
    divergence: str = ""
    is_exact: bool = True

    @property
    def epoch(self) -> int:
        """The index of the next epoch, counted from the network's first epoch."""
        return self.first_epoch + len(self.history)
