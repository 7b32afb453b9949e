"""Evaluation: a network's figures on held-out images after each epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.process import calculation
from skcnn._estimator.images import Images
from skcnn._estimator.prediction import predict
from skcnn.losses import Loss
from skcnn.network import Network

__all__ = ["HeldOut", "split_rows"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images that are not trained on, with their class indices `y` (n,) and weights (n,) or None.

    `score`, if given, is called with the network, the pixels (n, h * w * c), `y` and the weights; it returns a number.
    """

    images: Images
    y: Array
    weight: Array | None
    loss: Loss
    n_threads: int
    score: Callable[[Network, Array, Array, Array | None], float] | None = None

    def __call__(self, network: Network) -> dict[str, float]:
        """Return the mean loss, accuracy, macro F1 and score of the network; without `score`, accuracy is the score."""
        from sklearn.metrics import accuracy_score, f1_score  # takes a while, and most programs never come here

        with calculation():
            logits = predict(network, self.images, len(self.y), self.n_threads, lambda logits: logits)
            losses, _ = self.loss(logits, self.y, None)
            predicted = self.loss.decide(logits)
        macro_f1 = f1_score(self.y, predicted, average="macro", sample_weight=self.weight, zero_division=0.0)
        accuracy = float(accuracy_score(self.y, predicted, sample_weight=self.weight))
        score = self.score(network, self.images.X, self.y, self.weight) if self.score else accuracy
        return {
            "val_loss": float(np.average(losses.astype(np.float64), weights=self.weight)),
            "val_accuracy": accuracy,
            "val_f1": float(macro_f1),
            "val_score": score,
        }


def split_rows(rows: Array, y: Array, fraction: float, seed: int) -> tuple[Array, Array]:
    """Divide rows into those to train on and those to hold out, stratified by their class indices ``y[rows]``.

    Raises
    ------
    ValueError
        If either part would lack a class.
    """
    from sklearn.model_selection import train_test_split  # takes a while, and most programs never come here

    labels = y[rows]
    n_held = max(ceil(fraction * len(rows)), len(np.unique(labels)))
    if n_held >= len(rows):
        raise ValueError(
            f"early_stopping: the validation set is too small: validation_fraction={fraction} of {len(rows)} sample(s) "
            "and a row of every class would leave none to train on"
        )
    kept, held = train_test_split(rows, test_size=n_held, stratify=labels, random_state=seed)
    for part, name in ((held, "validation"), (kept, "training")):
        if len(np.unique(y[part])) < len(np.unique(labels)):
            raise ValueError(
                f"early_stopping: the {name} set is too small: validation_fraction={fraction} leaves it {len(part)} of "
                f"{len(rows)} rows, and none of some class; change the fraction, or pass X_val and y_val"
            )
    return kept, held
