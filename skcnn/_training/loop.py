"""The training loop: epochs of steps, and what happens between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from math import inf, isfinite
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.backends import optimizer_on
from skcnn._engine.calculation import Calculation, calculate
from skcnn._engine.memory import keeping_memory
from skcnn._engine.surely import surely
from skcnn._functions import name_error
from skcnn._training.config import DataSet, TrainingConfig
from skcnn._training.decay import WeightDecay
from skcnn._training.diagnosis import find_divergence, find_weight, is_finite, is_finite_state
from skcnn._training.figures import EpochFigures, StepFigures
from skcnn._training.gradients import Batch, Gradients, OfBatch
from skcnn._training.interruption import Interruption, deferring_interrupt
from skcnn._training.outputs import Outputs
from skcnn._training.randomness import stream
from skcnn._training.state import Row, TrainingState
from skcnn._trees import leaves
from skcnn.network import Network
from skcnn.optimizers import State, flush_subnormals
from skcnn.schedules import factor

__all__ = ["Observer", "train"]

Array = NDArray[Any]
JUST_BEFORE = 1e-6  # epochs before the end, where schedules are still defined
FLUSH_EVERY = 100  # steps: so rarely that it takes almost no time


class Observer(Protocol):
    """An object that is notified of the progress of training."""

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Epoch `number` of `n_epochs`, counted from 1, starts. It has `n_steps` steps."""

    def end_step(self, loss: float, accuracy: float) -> None:
        """A step is complete. `loss` and `accuracy` are the means of the epoch so far."""

    def end_epoch(self, state: TrainingState) -> bool:
        """An epoch is complete, and has the last row in the history. Return whether to stop training."""

    def close(self) -> None:
        """Training has ended, possibly with an error."""


def train(
    state: TrainingState,
    data: DataSet,
    config: TrainingConfig,
    *,
    observers: Sequence[Observer] = (),
    validate: Callable[[Network], Row] | None = None,
    save: Callable[[TrainingState], None] | None = None,
) -> None:
    """Continue training from a training state, until it ends.

    Parameters
    ----------
    state : TrainingState
        It is changed in place.
    data : DataSet
    config : TrainingConfig
        If training was interrupted, it ends with the same weights only if the data set and the config are the same
        again.
    observers : sequence of Observer
    validate : callable
        Called with the network after each epoch. It returns columns of the history.
    save : callable
        Called with the training state after each complete epoch.
    """
    caller_settings = np.geterr()

    def run(interruption: Interruption) -> None:
        calculate(partial(run_loop, interruption), config.n_threads)

    def run_loop(interruption: Interruption, calculation: Calculation) -> None:
        _Loop(state, data, config, observers, calculation, interruption).run(validate, save, caller_settings)
        state.is_exact = calculation.is_exact

    def close() -> None:
        for observer in observers:
            observer.close()

    keeping_memory(partial(surely, partial(deferring_interrupt, run), close))


class _Loop:
    """One call of `train`.

    Order of calls
    --------------
    ::

        run
            train_epoch         once through the data set; undone if it diverged
                take_step           on one batch: gradients, weight decay, optimizer
                find_divergence     what is no longer finite, if anything
            validate            figures on the validation set
            check_stopping      whether this was the last epoch, and why
            save                a checkpoint
    """

    def __init__(
        self,
        state: TrainingState,
        data: DataSet,
        config: TrainingConfig,
        observers: Sequence[Observer],
        calculation: Calculation,
        interruption: Interruption,
    ):
        self.state, self.data, self.config = state, data, config
        self.observers, self.calculation, self.interruption = observers, calculation, interruption
        self.network = state.network
        self.weights = [array for _, array in leaves(state.network.params)]
        self.gradients = Gradients(state.network, data, config)
        self.outputs = Outputs(state.network, data, calculation.workers, config.backend)
        self.decay = WeightDecay(state.network, config.optimizer, config.alpha)
        self.optimizer = optimizer_on(config.backend, config.optimizer, calculation.workers)
        if state.optimizer_state is None:
            state.optimizer_state = self.initial_optimizer_state()
        self.end = inf if config.max_time is None else perf_counter() + config.max_time

    def run(
        self,
        validate: Callable[[Network], Row] | None,
        save: Callable[[TrainingState], None] | None,
        caller_settings: Any,
    ) -> None:
        """Train epoch by epoch, until there is a reason to stop."""
        state = self.state
        while state.stop_reason is None and self.schedule_time() < self.config.n_epochs:
            start, rate = perf_counter(), self.learning_rate()
            figures = self.train_epoch()
            row: Row = {"epoch": state.epoch + 1, "loss": figures.loss, "accuracy": figures.accuracy}
            is_whole = state.stop_reason is None
            with np.errstate(**caller_settings):  # scorers and callbacks are the caller's code
                row |= validate(self.network) if validate else {}
                row |= {"learning_rate": rate, "seconds": perf_counter() - start}
                state.history.append(row)
                self.check_stopping()
            if save and is_whole:
                save(state)
            if self.schedule_time() < self.config.n_epochs:
                self.check_interruption()
        if state.early_stopping:
            state.early_stopping.restore_best(self.network)
            if state.early_stopping.stopped_at is not None:
                state.stop_reason = state.stop_reason or "early_stopping"
        state.stop_reason = state.stop_reason or "max_iter"

    def train_epoch(self) -> EpochFigures:
        """Train once on all samples, or until there is a reason to stop. Return the means over the steps.

        If the loss, a weight or the prediction of a training image is no longer finite, the epoch is undone.
        """
        state, epoch, before = self.state, self.state.epoch, self.network.copy()
        indices, size = self.shuffled_indices(epoch), self.config.batch_size
        n_steps, figures = -(-len(indices) // size), EpochFigures()
        for observer in self.observers:
            observer.start_epoch(len(state.history) + 1, self.config.n_epochs, n_steps)
        for step in range(n_steps):
            if step and self.check_interruption():
                break
            if (epoch * n_steps + step) % FLUSH_EVERY == FLUSH_EVERY - 1:
                flush_subnormals(state.optimizer_state or {})
            batch = Batch(indices[step * size : (step + 1) * size], epoch, step)
            figures.add(self.take_step(batch, self.learning_rate(step / n_steps)))
            if not step:
                self.require_own_weights()
            if not isfinite(figures.loss):
                break
            for observer in self.observers:
                observer.end_step(figures.loss, figures.accuracy)
        state.n_seen += figures.n_seen
        state.penalty = figures.penalty
        if what := self.find_divergence(figures.loss, batch):
            self.undo_epoch(before, what)
        return figures

    def take_step(self, batch: Batch, learning_rate: float) -> StepFigures:
        """Take one step on a batch, unless its loss is not finite. Return the figures from before the step."""
        of_batch, penalty = self.calculation.exact(partial(self.gradients_of, batch))
        loss = of_batch.loss + penalty
        if isfinite(loss):
            self.decay.shrink_weights(learning_rate)
            assert self.state.optimizer_state is not None
            try:
                step: Callable[..., Any] = self.optimizer.step
                if step(self.weights, of_batch.grads, self.state.optimizer_state, learning_rate) is not None:
                    raise TypeError("step must change the arrays in place, as in w -= ..., and return nothing")
            except Exception as error:
                name_error(error, f"solver={self.config.optimizer!r}")
                raise
            self.network.states[:] = of_batch.states
        return StepFigures(len(batch.indices), loss, penalty, of_batch.correct)

    def require_own_weights(self) -> None:
        """Raise TypeError if the optimizer has replaced the arrays in the list of weights by others."""
        of_network = (array for _, array in leaves(self.network.params))
        if not all(ours is weight for ours, weight in zip_longest(self.weights, of_network)):
            raise TypeError(
                f"solver={self.config.optimizer!r}: step must change the arrays in place, as in w -= ..., but it "
                "changed the list of weights"
            )

    def initial_optimizer_state(self) -> State:
        """Return the state of the optimizer before its first step."""
        try:
            state = self.config.optimizer.init(self.weights)
        except Exception as error:
            name_error(error, f"solver={self.config.optimizer!r}")
            raise
        if not isinstance(state, Mapping):
            raise TypeError(
                f"solver={self.config.optimizer!r}: init must return a state, such as an empty dict, got {state!r}"
            )
        return state

    def gradients_of(self, batch: Batch) -> tuple[OfBatch, float]:
        """Return what a step needs to know of a batch, and the L2 penalty, whose gradient is added to the others."""
        of_batch = self.gradients.of_batch(batch, self.calculation.workers)
        return of_batch, self.decay.add_penalty(of_batch.grads)

    def find_divergence(self, loss: float, last_batch: Batch) -> str:
        """Name what is no longer finite, or return ""."""
        if not (isfinite(loss) and is_finite(self.network)):
            image = "an image from augment" if self.config.augment else "an image"
            return find_divergence(self.network, self.gradients.images(last_batch), image)
        if not is_finite_state(self.state.optimizer_state or {}):
            return f"the state of {self.config.optimizer!r}"
        return self.outputs.find_overflow(last_batch.indices)

    def undo_epoch(self, before: Network, what: str) -> None:
        """Restore the weights from before an epoch in which training diverged.

        Raises
        ------
        ValueError
            If the training images cannot be predicted with these weights either.
        """
        self.state.divergence = f"at a learning rate of {self.learning_rate():.3g}, {what} was no longer finite"
        self.state.stop_reason = "diverged"
        self.network.restore(before)
        self.state.optimizer_state = self.initial_optimizer_state()
        if found := find_weight(self.network):
            raise ValueError(f"{found} was NaN or infinite before training; initializers must return finite numbers")
        if found := self.outputs.find_overflow_in_all():
            raise ValueError(
                f"X contains values too large for this network: {found} was NaN or infinite even before epoch "
                f"{self.state.epoch + 1}. Scale X to smaller values, or use initializers that return smaller weights"
            )

    def check_stopping(self) -> None:
        """Check whether to stop after this epoch, because of its score or because an observer asks for it."""
        state = self.state
        is_stale = state.early_stopping is not None and state.early_stopping.update(state.history[-1], self.network)
        if is_stale and state.stop_reason is None:  # the score of an incomplete epoch does not count
            self.stop_early()
        wishes = [observer.end_epoch(state) for observer in self.observers]  # notify all observers
        if any(wishes) and state.stop_reason is None:
            state.stop_reason = "callback"

    def stop_early(self) -> None:
        """End training because the score is stale: now or, if the learning rate is still to fall, after this fall.

        Without it, the weights would be worse. The rest of the schedule takes at most as many epochs as the patience.
        """
        early_stopping, schedule, n_epochs = self.state.early_stopping, self.config.schedule, self.config.n_epochs
        assert early_stopping is not None
        if early_stopping.stopped_at is not None or n_epochs - len(self.state.history) <= early_stopping.patience:
            return  # the end is near
        early_stopping.stopped_at = len(self.state.history)
        depends_on_history = getattr(schedule, "needs_history", False)
        if depends_on_history or self.factor_at(n_epochs - JUST_BEFORE) >= self.factor_at(self.schedule_time()):
            self.state.stop_reason = "early_stopping"

    def check_interruption(self) -> bool:
        """Return whether to stop before the next step: after Ctrl-C, or because the time is up."""
        if self.state.stop_reason is None and self.interruption.requested:
            self.state.stop_reason = "interrupted"
        elif self.state.stop_reason is None and perf_counter() > self.end:
            self.state.stop_reason = "max_time"
        return self.state.stop_reason is not None

    def learning_rate(self, part: float = 0) -> float:
        """Return the learning rate when a part of the current epoch, from 0 to 1, is over."""
        return self.config.learning_rate * self.factor_at(self.schedule_time(part))

    def factor_at(self, time: float) -> float:
        """Return the factor of the schedule at a time, in epochs."""
        return factor(self.config.schedule, time, self.config.n_epochs, self.state.history)

    def schedule_time(self, part: float = 0) -> float:
        """Return the time of the schedule, in epochs, when a part of the current epoch is over.

        After early stopping, time passes so fast that the schedule ends after as many epochs as the patience.
        """
        epochs, stopping = len(self.state.history) + part, self.state.early_stopping
        if stopping is None or stopping.stopped_at is None:
            return epochs
        rest = self.config.n_epochs - stopping.stopped_at
        return stopping.stopped_at + (epochs - stopping.stopped_at) * rest / stopping.patience

    def shuffled_indices(self, epoch: int) -> Array:
        """Return the indices of the samples in the order of an epoch."""
        if not self.config.shuffle:
            return self.data.indices
        return stream(self.config.seed, "shuffle", epoch).permutation(self.data.indices)
