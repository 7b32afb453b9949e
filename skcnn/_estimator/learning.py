"""Whether the network has learnt anything: whether its loss is lower than that of guessing by class frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._estimator.prediction import predict
from skcnn._training.config import DataSet, TrainingConfig
from skcnn._training.state import TrainingState
from skcnn.network import Network

__all__ = ["cost_of_guessing", "learnt_nothing"]

Array = NDArray[Any]
CLEARLY_LOWER = 0.99  # of the loss of guessing: a loss above this may be guessing with some noise
COMPLETE = ("max_iter", "early_stopping")


def learnt_nothing(state: TrainingState, data: DataSet, config: TrainingConfig, cost: float) -> bool:
    """Return whether training is complete, but the loss is not clearly lower than `cost`, the loss of guessing.

    With dropout or augmentation, the training loss can be higher than that of guessing, although the network predicts
    well. So the loss in prediction must be as high too. One epoch is not enough to tell, because its mean loss includes
    the losses of the nearly untrained network.
    """
    if state.stop_reason not in COMPLETE or len(state.history) < 2:
        return False
    limit = CLEARLY_LOWER * cost
    in_training = state.history[-1]["loss"] - state.penalty
    return in_training > limit and _loss_in_prediction(state.network, data, config) > limit


def cost_of_guessing(data: DataSet, n_classes: int, label_smoothing: float) -> float:
    """Return the lowest mean loss on a data set that constant probabilities can reach.

    These probabilities are the mean of the targets, so this loss is the entropy of the mean target. It is infinite if
    the samples belong to fewer than two classes, so that there is nothing to learn.
    """
    weight = None if data.weight is None else data.weight[data.indices].astype(np.float64)
    totals = np.bincount(data.y[data.indices], weights=weight, minlength=n_classes)
    if np.count_nonzero(totals) < 2:
        return inf
    target = (1 - label_smoothing) * totals / totals.sum() + label_smoothing / n_classes
    entropy = -(target * np.log(target, out=np.zeros(n_classes), where=target > 0)).sum()
    return float(entropy * totals.sum() / len(data.indices))  # the mean weight need not be 1


def _loss_in_prediction(network: Network, data: DataSet, config: TrainingConfig) -> float:
    """Return the mean loss on the training images, as it would be without dropout and augmentation."""
    indices = data.indices
    logits = predict(
        network,
        _Chosen(data.images, indices),
        len(indices),
        config.n_threads,
        lambda logits: logits,
        backend=config.backend,
    )
    with np.errstate(all="ignore"):
        losses, _ = config.loss(logits, data.y[indices], None if data.weight is None else data.weight[indices])
    return float(losses.mean(dtype=np.float64))


@dataclass(frozen=True, eq=False)
class _Chosen:
    images: Any
    indices: Array

    def __getitem__(self, block: slice) -> Array:
        chosen: Array = self.images[self.indices[block]]
        return chosen
