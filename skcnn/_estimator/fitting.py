"""Fitting: from parameters to a training config, and from the result of training to a model and warnings."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skcnn._estimator.automatic import alpha_for, batch_size_for, learning_rate_for, n_epochs_for
from skcnn._estimator.images import ImageFormat, extremes
from skcnn._estimator.learning import cost_of_guessing, learnt_nothing
from skcnn._estimator.model import FittedModel
from skcnn._estimator.targets import scaled_weight
from skcnn._estimator.validation import ValidationSet
from skcnn._estimator.warning import warn, warn_if_inexact
from skcnn._storage.identity import describe, digest
from skcnn._training.config import DataSet, TrainingConfig
from skcnn._training.state import TrainingState
from skcnn._training.stopping import EarlyStopping
from skcnn.augmentation import augmentations_from
from skcnn.losses import loss_for
from skcnn.optimizers import optimizer_from
from skcnn.schedules import Constant, Schedule, schedule_from

__all__ = [
    "early_stopping_for",
    "new_state",
    "trained",
    "training_config",
    "warn_how_it_ended",
    "what_fit_depends_on",
    "with_scaled_weights",
]

Array = NDArray[Any]
_RECOGNISED = (
    "checkpoint needs parameters that another process can recognise; instead of lambda functions, use functions that "
    "are defined in a module"
)
STEPS_OF_A_STREAM = 10_000  # `partial_fit` does not know how many steps will follow
RISE_THAT_WARNS = 0.1  # of the loss, from the first epoch to the last. A smaller rise may be chance, as with dropout


def training_config(
    estimator: Any, model: FittedModel, n_samples: int, n_threads: int, *, single_pass: bool = False
) -> TrainingConfig:
    """Return the training config for a model, from an estimator's parameters.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
    model : FittedModel
    n_samples : int
        The number of samples to train on.
    n_threads : int
    single_pass : bool
        Whether to train for one epoch at a constant rate, as `partial_fit` does.
    """
    optimizer, batch_size = optimizer_from(estimator.solver), batch_size_for(estimator, n_samples)
    schedule: Schedule = Constant()
    n_epochs, n_steps = 1, STEPS_OF_A_STREAM
    if not single_pass:
        if batch_size > n_samples:
            warn(f"batch_size={batch_size} is larger than the number of samples; it is clipped to {n_samples}")
        schedule, n_epochs = schedule_from(estimator.learning_rate), n_epochs_for(estimator, n_samples, batch_size)
        n_steps = n_epochs * -(-n_samples // batch_size)
    return TrainingConfig(
        loss=loss_for(len(model.classes), float(estimator.label_smoothing)),
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=learning_rate_for(estimator, optimizer, schedule),
        alpha=alpha_for(estimator, optimizer, n_steps),
        batch_size=batch_size,
        n_epochs=n_epochs,
        shuffle=bool(estimator.shuffle),
        seed=model.seed,
        n_threads=n_threads,
        max_time=None if estimator.max_time is None else float(estimator.max_time),
        augment=augmentations_from(estimator.augment),
        backend=estimator.backend,
    )


def with_scaled_weights(data: DataSet, model: FittedModel) -> DataSet:
    """Return the data set with weights of mean 1, and without the samples whose weight is rounded to 0."""
    dtype = model.network.dtype
    weight = scaled_weight(data.weight, model.mean_weight, dtype)
    indices = data.indices if weight is None else data.indices[weight[data.indices] > 0]
    if not len(indices):
        raise ValueError(
            f"sample_weight leaves no samples: in {dtype}, all weights round to 0 when divided by the mean weight "
            f"of the first call, {model.mean_weight:.3g}"
        )
    return replace(data, weight=weight, indices=indices, extremes=extremes(data.images.X, indices))


def new_state(estimator: Any, model: FittedModel, early_stopping: EarlyStopping | None = None) -> TrainingState:
    """Return a training state with a copy of a model's network. The state of an equal optimizer is copied too."""
    optimizer, optimizer_state = model.optimizer or (None, None)
    continues = optimizer is not None and optimizer == optimizer_from(estimator.solver)
    return TrainingState(
        network=model.network.copy(),
        early_stopping=early_stopping,
        optimizer_state=deepcopy(optimizer_state) if continues else None,
        first_epoch=len(model.history),
    )


def early_stopping_for(estimator: Any, validation_set: ValidationSet | None) -> EarlyStopping | None:
    """Return the early stopping of an estimator, if there is a validation set and it asks for it."""
    if validation_set is None or not estimator.early_stopping:
        return None
    n_samples = validation_set.n_effective if estimator.scoring is None else None
    return EarlyStopping(int(estimator.n_iter_no_change), float(estimator.tol), n_samples)


def trained(model: FittedModel, state: TrainingState, config: TrainingConfig, keep_optimizer: bool) -> FittedModel:
    """Return the model with the result of training."""
    early_stopping = state.early_stopping
    assert state.optimizer_state is not None
    return replace(
        model,
        network=state.network,
        history=(*model.history, *state.history),
        n_seen=model.n_seen + state.n_seen,
        optimizer=(config.optimizer, state.optimizer_state) if keep_optimizer else None,
        stop_reason=state.stop_reason,
        best_epoch=early_stopping.best_epoch if early_stopping else None,
        best_score=float(early_stopping.best_score) if early_stopping and early_stopping.best_epoch else None,
    )


def what_fit_depends_on(
    estimator: Any, before: FittedModel | None, model: FittedModel, data: DataSet, given: ValidationSet | None
) -> dict[str, Any]:
    """Describe everything that a fit depends on, for its checkpoint.

    Parameters
    ----------
    estimator : NumpyCNNClassifier
    before : FittedModel or None
        The model from which training continues.
    model, data
        The model to train, and the data set.
    given : ValidationSet or None
        The validation set that was passed to `fit`.

    Raises
    ------
    ValueError
        If another process could not recognise a parameter.
    """
    change_nothing = ["n_jobs", "verbose", "max_time"]
    if isinstance(estimator.random_state, np.random.RandomState):
        change_nothing.append("random_state")  # its state has changed; the seed that was drawn from it is saved
    parameters = {name: v for name, v in estimator.get_params(deep=False).items() if name not in change_nothing}
    image_format = {field.name: _or_name(getattr(model.image_format, field.name)) for field in fields(ImageFormat)}
    scale = image_format.pop("center"), image_format.pop("width")  # without a model before, X and the weights tell it
    weights = before and [before.network.params, before.network.states, len(before.history), *scale]
    pieces = {
        "X": [*image_format.values(), data.images.X],
        "y": [model.classes, data.y],
        "sample_weight or class_weight": data.weight,
        "X_val, y_val or sample_weight_val": given and [given.images.X, given.y, given.weight],
        "the model before the fit": weights,
    }
    return {
        "parameters": {name: describe(value, name, _RECOGNISED) for name, value in parameters.items()},
        **{name: digest(piece, name, _RECOGNISED) for name, piece in pieces.items()},
    }


def _or_name(value: Any) -> Any:
    return value.name if isinstance(value, np.dtype) else value


def warn_how_it_ended(
    estimator: Any, model: FittedModel, state: TrainingState, data: DataSet, config: TrainingConfig
) -> None:
    """Warn if training was interrupted, diverged or is inexact, if the loss rose, or if nothing was learnt."""
    warn_if_inexact(state.is_exact)
    last, remedy = state.history[-1], f"smaller than learning_rate_init={config.learning_rate}."
    cost = cost_of_guessing(data, len(model.classes), float(estimator.label_smoothing))
    if state.stop_reason == "interrupted":
        warn(f"Training was interrupted in epoch {last['epoch']}; the classifier has the weights of the last step")
    elif state.stop_reason == "diverged":
        warn(
            f"Training diverged in epoch {last['epoch']}: {state.divergence}, so this epoch was undone. "
            f"Training may converge with a learning rate {remedy}",
            ConvergenceWarning,
        )
    elif (rise := last["loss"] - state.history[0]["loss"]) > RISE_THAT_WARNS:
        warn(
            f"The loss rose by {rise:.3g}, to {last['loss']:.3g} in epoch {last['epoch']}. "
            f"Training may converge with a learning rate {remedy}",
            ConvergenceWarning,
        )
    elif learnt_nothing(state, data, config, cost):
        warn(
            f"The network has learnt nothing: the loss is {last['loss'] - state.penalty:.3g} in epoch {last['epoch']}, "
            f"but guessing by class frequencies would give {cost:.3g}. {_remedies(estimator, config)}",
            ConvergenceWarning,
        )


def _remedies(estimator: Any, config: TrainingConfig) -> str:
    """Name what may help a network that has learnt nothing."""
    scaling = "" if estimator.scaling is not None else "scaled images instead of scaling=None, "
    return (
        f"It may help to use a smaller or larger learning rate than learning_rate_init={config.learning_rate}, "
        f"{scaling}or more epochs than max_iter={config.n_epochs}"
    )
