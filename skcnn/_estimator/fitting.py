"""Fitting: what surrounds a training, from the images that are held out to the warning of how it ended."""

from __future__ import annotations

import os
import warnings
from copy import copy, deepcopy
from dataclasses import replace
from inspect import signature
from math import isfinite
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _check_sample_weight

from skcnn._estimator.checkpoint import Checkpoint, digest
from skcnn._estimator.images import Images, warn_if_scale_is_off
from skcnn._estimator.targets import check_labels, encode, scaled_weight
from skcnn._estimator.validation import HeldOut, split_rows
from skcnn._training.config import Recipe
from skcnn._training.loop import Run, train
from skcnn._training.stopping import EarlyStopping
from skcnn._values import is_real
from skcnn.augmentation import augmentations_from
from skcnn.losses import loss_for
from skcnn.optimizers import decouples_decay, optimizer_from

__all__ = ["USUAL_DECAY", "FittingMixin"]

RISE_THAT_WARNS = 0.1  # of the loss from the first epoch to the last: less may be chance, as with dropout
USUAL_DECAY, USUAL_PENALTY = 0.05, 0.0001  # of weights, apart from their gradients; or in the loss


def _takes_weights(scorer):
    """Whether a scorer can be given `sample_weight`: those that scikit-learn makes can if their metric can."""
    try:
        parameters = signature(getattr(scorer, "_score_func", scorer)).parameters
    except (TypeError, ValueError):  # not every function can tell
        return False
    return "sample_weight" in parameters


class FittingMixin:
    """The parts of `NumpyCNNClassifier.fit`."""

    history_: list[dict[str, Any]]

    def _given_held_out(self, X_val, y_val, sample_weight_val, score):
        """Return the held-out images that were given to `fit`, or None."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val go together, and sample_weight_val goes with them: pass both or neither")
        try:
            check_labels(y_val)
            X_val, y_val = self._rows(X_val, y_val, reset=False)
        except ValueError as error:
            raise ValueError(f"X_val, y_val: {error}") from error
        if self.scaling is not None:
            warn_if_scale_is_off(X_val, self._format_, "X_val", stacklevel=6)
        if sample_weight_val is not None:
            try:
                sample_weight_val = _check_sample_weight(sample_weight_val, X_val, ensure_non_negative=True)
            except ValueError as error:
                raise ValueError(f"sample_weight_val: {error}") from error
            if not sample_weight_val.any():
                raise ValueError("sample_weight_val leaves no row: all weights are zero")
        return self._held_out(X_val, encode("y_val", y_val, self.classes_), sample_weight_val, score)

    def _hold_out(self, samples, sample_weight, given, score):
        """Return the samples to train on and the HeldOut to measure by: those given, a part of the samples, or None."""
        if given is not None or not self.early_stopping:
            return samples, given
        kept, held = split_rows(samples.rows, samples.y, self.validation_fraction, self._seed_)
        weight = None if sample_weight is None else sample_weight[held]
        return replace(samples, rows=kept), self._held_out(samples.images.X[held], samples.y[held], weight, score)

    def _held_out(self, X, y_index, weight, score):
        return HeldOut(Images(X, self._format_), y_index, weight, self._loss, self._n_threads(), score)

    def _score(self):
        """Return a function that scores, by `scoring`, this estimator as it would be with another network; or None."""
        if self.scoring is None:
            return None
        from sklearn.metrics import check_scoring  # takes a while, and most programs never come here

        scorer = check_scoring(self, self.scoring)
        takes_weights = _takes_weights(scorer)

        def score(network, X, y_index, weight):
            fitted = copy(self)
            fitted.network_ = network
            # these rows have been read before: they lost their names, and their scale was looked at
            vars(fitted).pop("feature_names_in_", None)
            fitted.scaling = None
            weights = {"sample_weight": weight} if takes_weights and weight is not None else {}
            score = scorer(fitted, X, self.classes_[y_index], **weights)
            if not (is_real(score) and isfinite(score)):
                raise ValueError(f"scoring={self.scoring!r} must give a finite number for held-out images, got {score}")
            return float(score)

        return score

    def _origin(self):
        """Return what a fit depends on besides its arguments, before it has changed anything."""
        changes_nothing = ("n_jobs", "verbose", "max_time")
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in changes_nothing}
        if isinstance(self.random_state, np.random.RandomState):
            del parameters["random_state"]  # has gone on since; what was drawn from it is in the checkpoint
        goes_on = self.warm_start and self._is_fitted()
        return digest(parameters, (self.network_.params, self.network_.states, self.n_iter_) if goes_on else None)

    def _checkpoint(self, path, origin, samples, given):
        """Return the Checkpoint at a path, and what it holds: of that fit, the seed is taken over."""
        if path is None:
            return None, None
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path, got {path!r}")
        held_out = given and (given.images.X, given.y, given.weight)
        read = vars(self._format_), samples.images.X, samples.y, samples.weight, self.classes_
        kept = Checkpoint(path, digest(origin, read, held_out))
        saved = kept.load()
        kept.check_place()
        if saved:
            self._seed_ = saved["seed"]
        return kept, saved

    def _new_run(self, early_stopping):
        """Return a run that trains a copy of the network, so that a failure leaves the old one alone."""
        optimizer, state = getattr(self, "_optimizer_state_", (None, None))
        goes_on = optimizer is not None and optimizer == optimizer_from(self.solver)
        return Run(
            self.network_.copy(),
            EarlyStopping(self.n_iter_no_change, self.tol) if early_stopping else None,
            deepcopy(state) if goes_on else None,
            first_epoch=self.n_iter_,
        )

    def _train(self, run, samples, recipe, **watching):
        """Train, and take over what came of it."""
        weight = scaled_weight(samples.weight, self._mean_weight_, run.network.dtype)
        if weight is not None:  # one that is next to nothing beside the others may be 0 in this precision
            samples = replace(samples, weight=weight, rows=samples.rows[weight[samples.rows] > 0])
            if not len(samples.rows):
                raise ValueError(
                    f"sample_weight leaves no row: in {weight.dtype}, all weights are 0 beside a mean of "
                    f"{self._mean_weight_:.3g}, that of the first call"
                )
        else:
            samples = replace(samples, weight=None)
        train(run, samples, recipe, **watching)
        self.network_ = run.network
        self.history_ = self.history_ + run.history
        self.t_ += run.n_seen
        self.stop_reason_ = run.stop_reason
        self._optimizer_state_ = (recipe.optimizer, run.optimizer_state)

    def _recipe(self, schedule, n_epochs):
        optimizer = optimizer_from(self.solver)
        return Recipe(
            loss=loss_for(len(self.classes_), float(self.label_smoothing)),
            optimizer=optimizer,
            schedule=schedule,
            # plain numbers: a NumPy float would have float32 computed in double precision
            learning_rate=float(self.learning_rate_init),
            alpha=self._decay(optimizer),
            batch_size=self._batch_size_,
            n_epochs=n_epochs,
            shuffle=self.shuffle,
            seed=self._seed_,
            n_threads=self._n_threads(),
            max_time=self.max_time,
            augment=augmentations_from(self.augment),
        )

    def _batch_rule(self, n_rows):
        return min(max(n_rows // 100, 8), 64, n_rows) if self.batch_size == "auto" else self.batch_size

    def _decay(self, optimizer):
        if self.alpha == "auto":
            return USUAL_DECAY if decouples_decay(optimizer) else USUAL_PENALTY
        return float(self.alpha)

    def _warn_how_it_ended(self, run, stacklevel):
        text, category = None, ConvergenceWarning
        if run.stop_reason == "interrupted":
            text = f"Training was interrupted in epoch {self.n_iter_}; the classifier is as its last step left it"
            category = UserWarning
        elif run.stop_reason == "diverged":
            text = (
                f"Training diverged in epoch {self.n_iter_}: {run.not_finite}, so that epoch was undone. "
                f"A rate smaller than learning_rate_init={self.learning_rate_init} may converge."
            )
        elif (rise := run.history[-1]["loss"] - run.history[0]["loss"]) > RISE_THAT_WARNS:
            text = (
                f"The loss rose by {rise:.3g}, to {self.loss_:.3g} in epoch {self.n_iter_}. A rate smaller than "
                f"learning_rate_init={self.learning_rate_init} may converge."
            )
        if text:
            warnings.warn(
                text, category, stacklevel=stacklevel
            )  # past this method, the one that was called, and its wrappers
