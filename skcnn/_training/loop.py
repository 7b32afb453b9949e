"""Training: epochs of steps, and when they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import inf, isfinite
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.process import calculation
from skcnn._engine.workers import Workers
from skcnn._training.config import Recipe, Samples
from skcnn._training.gradients import Gradients
from skcnn._training.interruption import deferred_interrupt
from skcnn._training.randomness import stream
from skcnn._training.stopping import EarlyStopping
from skcnn._trees import is_weight, leaves
from skcnn.layers.base import Context
from skcnn.network import Network
from skcnn.optimizers import State, decouples_decay, flush_subnormals
from skcnn.schedules import factor

__all__ = ["HELD_OUT_COLUMNS", "Observer", "Run", "train"]

Array = NDArray[Any]
Row = dict[str, Any]  # one epoch of the history
Evaluate = Callable[[Network], Row]
STEPS_TO_CLEAR = 100  # between two calls of `flush_subnormals`: seldom enough to cost nothing
HELD_OUT_COLUMNS = ("val_loss", "val_accuracy", "val_f1", "val_score")  # what `evaluate` measures


class Observer(Protocol):
    """Who is told how training goes."""

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Epoch `number` of `n_epochs` begins, of `n_steps` steps."""

    def step(self, loss: float) -> None:
        """One step was taken; `loss` is the epoch's mean so far."""

    def end_epoch(self, run: Run) -> bool:
        """An epoch ended, the last row of the run's history; return whether training is to end."""

    def close(self) -> None:
        """Training ended, perhaps by an error."""


@dataclass
class Run:
    """A training run, as far as it has come: all that training changes.

    Between two epochs it may be pickled, and another process goes on with it as if nothing had happened.

    Attributes
    ----------
    network : Network
        Its weights are altered in place.
    stopping : EarlyStopping or None
        May end training early; its best weights are put back.
    optimizer_state : dict or None
        Of an earlier run that this one continues; None: from the start.
    first_epoch : int
        How many epochs the network had behind it before: the random streams go on from there.
    history : list of dict
        An epoch each: epoch, loss, what was measured on held-out images, learning_rate (of its first step), seconds.
    stop_reason : {"max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged"}
        "max_time", "interrupted": after a whole step, but perhaps in the middle of an epoch, which counts all the same.
        "callback": an observer asked for it. "diverged": the loss or a weight was not finite, and the weights of the
        last whole epoch were put back.
    n_seen : int
        How many samples were trained on, each as often as it came.
    not_finite : str
        If training diverged: at which rate, and what was not finite.
    """

    network: Network
    stopping: EarlyStopping | None = None
    optimizer_state: State | None = None
    first_epoch: int = 0
    history: list[Row] = field(default_factory=list)
    stop_reason: str = "max_iter"
    n_seen: int = 0
    not_finite: str = ""


def train(
    run: Run,
    samples: Samples,
    recipe: Recipe,
    *,
    observers: Sequence[Observer] = (),
    evaluate: Evaluate | None = None,
    save: Callable[[Run], None] | None = None,
) -> None:
    """Go on with a run, to its end.

    Parameters
    ----------
    run : Run
        Is altered.
    samples, recipe
        See these classes. A run that was interrupted ends in the same weights only if they are the same again.
    observers : sequence of Observer
    evaluate : callable
        Called with the network after every epoch; what it returns joins the history.
    save : callable
        Called with the run after every whole epoch.
    """
    trainer = _Trainer(run, samples, recipe)
    settings = np.geterr()  # of the caller, whose functions `evaluate` and the observers may call
    try:
        with deferred_interrupt() as interrupted, calculation(), Workers(recipe.n_threads) as workers:
            trainer.go_on(workers, observers, evaluate, save, interrupted, lambda: np.errstate(**settings))
    finally:
        for observer in observers:
            observer.close()


class _Trainer:
    """One call of `train`: the loop, an epoch, a step, from the outside in."""

    def __init__(self, run: Run, samples: Samples, recipe: Recipe):
        self.run, self.samples, self.recipe = run, samples, recipe
        self.network = run.network
        self.gradients = Gradients(run.network, samples, recipe)
        self.paths = [path for path, _ in leaves(run.network.params)]
        self.weights = [array for _, array in leaves(run.network.params)]
        if run.optimizer_state is None:
            run.optimizer_state = recipe.optimizer.init(self.weights)
        self.end = inf if recipe.max_time is None else perf_counter() + recipe.max_time
        self.last_batch = samples.rows[:1], (0, 0)

    def go_on(
        self,
        workers: Workers,
        observers: Sequence[Observer],
        evaluate: Evaluate | None,
        save: Callable[[Run], None] | None,
        interrupted: Callable[[], bool],
        as_called: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        run = self.run

        def stop() -> bool:
            """Whether to stop before the next step; the first reason for it stands."""
            if run.stop_reason == "max_iter" and interrupted():
                run.stop_reason = "interrupted"
            elif run.stop_reason == "max_iter" and perf_counter() > self.end:
                run.stop_reason = "max_time"
            return run.stop_reason != "max_iter"

        while len(run.history) < self.recipe.n_epochs and run.stop_reason == "max_iter":
            start, number = perf_counter(), len(run.history)
            rate = self._learning_rate(number)
            loss, diverged = self._epoch_or_nothing(workers, observers, number, stop)
            whole = run.stop_reason == "max_iter"
            row: Row = {"epoch": run.first_epoch + number + 1, "loss": loss}
            with as_called():
                row |= evaluate(self.network) if evaluate else dict.fromkeys(HELD_OUT_COLUMNS)
                row |= {"learning_rate": rate, "seconds": perf_counter() - start}
                run.history.append(row)
                self._judge(row, diverged, observers)
            if save and whole:
                save(run)
            if len(run.history) < self.recipe.n_epochs:
                stop()
        if run.stopping:
            run.stopping.restore(self.network)

    def _judge(self, row: Row, diverged: bool, observers: Sequence[Observer]) -> None:
        """Tell whether the epoch that ended is the last, be it for what it brought or at somebody's wish."""
        run = self.run
        stale = run.stopping is not None and run.stopping.update(row, self.network)
        if diverged:
            run.stop_reason = "diverged"
        elif stale and run.stop_reason == "max_iter":  # an epoch that was cut off says nothing about the whole one
            run.stop_reason = "early_stopping"
        wishes = [observer.end_epoch(run) for observer in observers]  # all are told
        if any(wishes) and run.stop_reason == "max_iter":
            run.stop_reason = "callback"

    def _epoch_or_nothing(
        self, workers: Workers, observers: Sequence[Observer], number: int, stop: Callable[[], bool]
    ) -> tuple[float, bool]:
        """Train one epoch; if it leaves a loss or weight that is not finite, undo it. Return the loss and whether."""
        before = self.network.copy()
        loss = self._epoch(workers, observers, number, stop)
        states = [array for _, array in leaves(self.network.states)]
        diverged = not (isfinite(loss) and all(np.isfinite(array).all() for array in (*self.weights, *states)))
        if diverged:
            rate, what = self._learning_rate(number), self._first_not_finite()
            self.run.not_finite = f"at the learning rate {rate:.3g}, {what} was no longer finite"
            self.network.restore(before)
            self.run.optimizer_state = self.recipe.optimizer.init(self.weights)
        return loss, diverged

    def _first_not_finite(self) -> str:
        """Name the first layer whose parameters are not finite, or whose output for the last batch is not."""
        inputs = self.gradients.inputs(*self.last_batch)
        return next((what for x in inputs if (what := self._not_finite_of(x))), "the loss")

    def _not_finite_of(self, x: Array) -> str:
        """Name what is not finite on the way of some images through the network, or nothing."""
        if not np.isfinite(x).all():
            return "an image, as augmented,"
        network = self.network
        of_layers = zip(network.layers, network.params, network.states, strict=True)
        for index, (layer, params, state) in enumerate(of_layers):
            name = f"layers[{index}] {layer!r}" if index < len(network.layers) - 1 else "the output layer"
            if not all(np.isfinite(array).all() for _, array in leaves([params, state])):
                return f"a weight of {name}"
            x = layer.apply(params, x, Context(state=state))
            if not np.isfinite(x).all():
                return f"the output of {name}"
        return ""

    def _learning_rate(self, epoch: float) -> float:
        recipe = self.recipe
        return recipe.learning_rate * factor(recipe.schedule, epoch, recipe.n_epochs, self.run.history)

    def _epoch(self, workers: Workers, observers: Sequence[Observer], number: int, stop: Callable[[], bool]) -> float:
        """Go once through the samples, or as far as `stop` allows; return their mean loss, as it was at their step."""
        epoch, size = self.run.first_epoch + number, self.recipe.batch_size
        order = self._order(epoch)
        n_steps, total, seen = -(-len(order) // size), 0.0, 0
        for observer in observers:
            observer.start_epoch(number + 1, self.recipe.n_epochs, n_steps)
        for step in range(n_steps):
            if step and stop():
                break
            if (epoch * n_steps + step) % STEPS_TO_CLEAR == STEPS_TO_CLEAR - 1:
                assert self.run.optimizer_state is not None
                flush_subnormals(self.run.optimizer_state)
            rows = order[step * size : (step + 1) * size]
            self.last_batch = rows, (epoch, step)
            total += len(rows) * self._step(workers, rows, (epoch, step), self._learning_rate(number + step / n_steps))
            seen += len(rows)
            if not isfinite(total):
                break
            for observer in observers:
                observer.step(total / seen)
        self.run.n_seen += seen
        return total / seen

    def _order(self, epoch: int) -> Array:
        rows = self.samples.rows
        return stream(self.recipe.seed, "shuffle", epoch).permutation(rows) if self.recipe.shuffle else rows

    def _step(self, workers: Workers, rows: Array, place: tuple[int, int], learning_rate: float) -> float:
        """Take one step on a batch; return its mean loss, penalty included."""
        loss, grads, states = self.gradients.of_batch(workers, rows, place)
        decoupled = decouples_decay(self.recipe.optimizer)
        loss += 0.0 if decoupled else self._penalise(grads)
        if isfinite(loss):
            if decoupled:
                self._decay(learning_rate)
            assert self.run.optimizer_state is not None
            self.recipe.optimizer.step(self.weights, grads, self.run.optimizer_state, learning_rate)
            self.network.states[:] = states
        return loss

    def _decay(self, learning_rate: float) -> None:
        """Shrink the weights by the penalty, apart from their gradients."""
        for path, w in zip(self.paths, self.weights, strict=True):
            if self.recipe.alpha and is_weight(path):
                w *= 1 - learning_rate * self.recipe.alpha

    def _penalise(self, grads: list[Array]) -> float:
        """Add the L2 penalty's gradients; return the penalty."""
        if not self.recipe.alpha:
            return 0.0
        penalty = 0.0
        for path, w, g in zip(self.paths, self.weights, grads, strict=True):
            if is_weight(path):
                g += self.recipe.alpha * w
                penalty += float(np.vdot(w, w))
        return 0.5 * self.recipe.alpha * penalty
