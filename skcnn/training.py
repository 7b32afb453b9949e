"""Training: epochs of steps, and a step of shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.augmentation import Augmentation, augment
from skcnn.interruption import deferred_interrupt
from skcnn.layers.computation import Computation
from skcnn.losses import Loss
from skcnn.network import Network
from skcnn.optimizers import Optimizer, State, decouples_decay
from skcnn.parallel import MOST_MEETING_SHARDS, Shard, Workers, cut
from skcnn.process import calculation
from skcnn.progress import Progress
from skcnn.randomness import stream
from skcnn.schedules import Schedule, factor
from skcnn.stopping import EarlyStopping
from skcnn.trees import add, arrays, is_weight, leaves

__all__ = ["Outcome", "Recipe", "Samples", "train"]

Array = NDArray[Any]
Row = dict[str, Any]  # one epoch of the history
Evaluate = Callable[[Network], Row]
HELD_OUT_COLUMNS = ("val_loss", "val_accuracy", "val_f1")  # what `evaluate` measures


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes
    ----------
    loss, optimizer, schedule
        See the modules of these names.
    learning_rate : float
        Multiplied by the schedule's factor at every step.
    alpha : float
        L2 penalty: ``0.5 * alpha * sum(W ** 2)`` of all weights but biases is added to the mean loss; or, if the
        optimizer decouples it, the weights shrink by ``learning_rate * alpha`` of themselves at every step.
    batch_size, n_epochs : int
    shuffle : bool
        Whether every epoch goes through the samples in a new order.
    seed : int
        Every epoch shuffles by a stream of its own, and layers that draw have one for every epoch, step and shard. So
        the numbers depend neither on the threads nor on whether training was interrupted between epochs.
    n_threads : int
        Changes no bit of the result.
    max_time : float or None
        Seconds after which no further step begins.
    augment : sequence of augmentations
        What is done to the images of every step, with a random stream of its own for every epoch, step and shard.
    """

    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    learning_rate: float
    alpha: float
    batch_size: int
    n_epochs: int
    shuffle: bool
    seed: int
    n_threads: int
    max_time: float | None = None
    augment: Sequence[Augmentation] = ()


@dataclass(frozen=True)
class Samples:
    """What to train on.

    Attributes
    ----------
    images : object
        ``images[rows]`` of an index array gives a batch (n, h, w, c) of the network's dtype: an array will do.
    y : ndarray of int (n_samples,)
        Class indices.
    weight : ndarray (n_samples,) or None
        A batch's loss is sum(weight * loss) / rows. None: all 1.
    rows : ndarray of int
        Which of the samples take part, all of positive weight.
    """

    images: Any
    y: Array
    weight: Array | None
    rows: Array


@dataclass
class Outcome:
    """What training reports.

    Attributes
    ----------
    history : list of dict
        An epoch each: epoch, loss, what `evaluate` returned, learning_rate (of its first step), seconds.
    stop_reason : {"max_iter", "early_stopping", "max_time", "interrupted", "diverged"}
        "max_time", "interrupted": after a whole step, but perhaps in the middle of an epoch, which counts all the same.
        "diverged": the loss or a weight was not finite, and the weights of the last whole epoch were put back.
    n_seen : int
        How many samples were trained on, each as often as it came.
    not_finite : str
        If training diverged: at which rate, and what was not finite.
    optimizer_state : dict
        For going on.
    """

    optimizer_state: State
    history: list[Row] = field(default_factory=list)
    stop_reason: str = "max_iter"
    n_seen: int = 0
    not_finite: str = ""


def train(
    network: Network,
    samples: Samples,
    recipe: Recipe,
    *,
    progress: Progress,
    evaluate: Evaluate | None = None,
    stopping: EarlyStopping | None = None,
    optimizer_state: State | None = None,
    first_epoch: int = 0,
) -> Outcome:
    """Adjust the network's weights, in place.

    Parameters
    ----------
    network, samples, recipe
        See these classes.
    progress : Progress
    evaluate : callable
        Called with the network after every epoch; what it returns joins the history.
    stopping : EarlyStopping or None
        May end training early; its best weights are put back.
    optimizer_state : dict or None
        Of an earlier call that this one continues.
    first_epoch : int
        How many epochs the network has behind it: the random streams go on from there.
    """
    trainer = _Trainer(network, samples, recipe, optimizer_state)
    try:
        with deferred_interrupt() as interrupted, calculation(), Workers(recipe.n_threads) as workers:
            return trainer.run(workers, progress, evaluate, stopping, first_epoch, interrupted)
    finally:
        progress.close()


class _Trainer:
    """One call of `train`: the loop, an epoch, a step, a shard, from the outside in."""

    def __init__(self, network: Network, samples: Samples, recipe: Recipe, optimizer_state: State | None):
        self.network, self.samples, self.recipe = network, samples, recipe
        self.paths = [path for path, _ in leaves(network.params)]
        self.weights = [array for _, array in leaves(network.params)]
        self.state = recipe.optimizer.start(self.weights) if optimizer_state is None else optimizer_state
        self.outcome = Outcome(self.state)
        self.end = inf if recipe.max_time is None else perf_counter() + recipe.max_time
        self.gradients_checked = False
        self.last_rows = samples.rows[:1]

    def run(
        self,
        workers: Workers,
        progress: Progress,
        evaluate: Evaluate | None,
        stopping: EarlyStopping | None,
        first_epoch: int,
        interrupted: Callable[[], bool],
    ) -> Outcome:
        outcome = self.outcome

        def stop() -> bool:
            """Whether to stop after this step; the first reason for it stands."""
            if outcome.stop_reason == "max_iter" and interrupted():
                outcome.stop_reason = "interrupted"
            elif outcome.stop_reason == "max_iter" and perf_counter() > self.end:
                outcome.stop_reason = "max_time"
            return outcome.stop_reason != "max_iter"

        for number in range(self.recipe.n_epochs):
            start = perf_counter()
            loss, diverged = self._epoch_or_nothing(workers, progress, first_epoch + number, number, stop)
            row: Row = {"epoch": first_epoch + number + 1, "loss": loss}
            row |= evaluate(self.network) if evaluate else dict.fromkeys(HELD_OUT_COLUMNS)
            row |= {"learning_rate": self._learning_rate(number), "seconds": perf_counter() - start}
            outcome.history.append(row)
            progress.end_epoch(row)
            stale = stopping is not None and stopping.update(row, self.network)
            if diverged or stale:
                outcome.stop_reason = "diverged" if diverged else "early_stopping"
            if stop():
                break
        if stopping:
            stopping.restore(self.network)
        if outcome.stop_reason == "diverged":
            outcome.optimizer_state = self.recipe.optimizer.start(self.weights)
        return outcome

    def _epoch_or_nothing(
        self, workers: Workers, progress: Progress, epoch: int, number: int, stop: Callable[[], bool]
    ) -> tuple[float, bool]:
        """Train one epoch; if it leaves a loss or weight that is not finite, undo it. Return the loss and whether."""
        before = self.network.copy()
        loss = self._epoch(workers, progress, epoch, number, stop)
        states = [array for _, array in leaves(self.network.states)]
        diverged = not (isfinite(loss) and all(np.isfinite(array).all() for array in (*self.weights, *states)))
        if diverged:
            rate, what = self._learning_rate(number), self._first_not_finite()
            self.outcome.not_finite = f"at the learning rate {rate:.3g}, {what} was no longer finite"
            self.network.put_back(before)
        return loss, diverged

    def _first_not_finite(self) -> str:
        """Name the first layer whose parameters are not finite, or whose output for the last batch is not."""
        network, x = self.network, self.samples.images[self.last_rows]
        of_layers = zip(network.layers, network.params, network.states, strict=True)
        for index, (layer, params, state) in enumerate(of_layers):
            name = f"layers[{index}] {layer!r}" if index < len(network.layers) - 1 else "the output layer"
            if not all(np.isfinite(array).all() for _, array in leaves([params, state])):
                return f"a weight of {name}"
            meets: dict[str, Any] = {"state": state, "shard": None} if layer.couples_rows else {}
            x, _ = layer.forward(params, x, **meets)
            if not np.isfinite(x).all():
                return f"the output of {name}"
        return "the loss"

    def _learning_rate(self, epoch: float) -> float:
        recipe = self.recipe
        return recipe.learning_rate * factor(recipe.schedule, epoch, recipe.n_epochs, self.outcome.history)

    def _epoch(self, workers: Workers, progress: Progress, epoch: int, number: int, stop: Callable[[], bool]) -> float:
        """Go once through the samples, or as far as `stop` allows; return their mean loss, as it was at their step."""
        order, size = self._order(epoch), self.recipe.batch_size
        n_steps, total, seen = -(-len(order) // size), 0.0, 0
        progress.start_epoch(number + 1, self.recipe.n_epochs, n_steps)
        for step in range(n_steps):
            rows = order[step * size : (step + 1) * size]
            self.last_rows = rows
            total += len(rows) * self._step(workers, rows, (epoch, step), self._learning_rate(number + step / n_steps))
            seen += len(rows)
            if not isfinite(total):
                break
            progress.step(total / seen)
            if stop():
                break
        self.outcome.n_seen += seen
        return total / seen

    def _order(self, epoch: int) -> Array:
        rows = self.samples.rows
        return stream(self.recipe.seed, "shuffle", epoch).permutation(rows) if self.recipe.shuffle else rows

    def _step(self, workers: Workers, rows: Array, place: tuple[int, int], learning_rate: float) -> float:
        """Take one step on a batch; return its mean loss, penalty included."""
        loss, grads, states = self._gradients(workers, rows, place)
        decoupled = decouples_decay(self.recipe.optimizer)
        loss += 0.0 if decoupled else self._penalise(grads)
        if isfinite(loss):
            if decoupled:
                self._decay(learning_rate)
            self.recipe.optimizer.step(self.weights, grads, self.state, learning_rate)
            self.network.states[:] = states
        return loss

    def _gradients(self, workers: Workers, rows: Array, place: tuple[int, int]) -> tuple[float, list[Array], list[Any]]:
        """Sum loss and gradients over the batch's shards, in their order."""
        cuts = self._cut(len(rows))
        weight = self.samples.weight
        shards = [Shard(len(rows), None if weight is None else weight[rows[c]], i) for i, c in enumerate(cuts)]
        computation = self.network.computation(train=True)

        def work(part: Array, shard: Shard) -> tuple[float, list[Any], list[Any]]:
            return self._shard(computation, part, shard, place)

        parts = [rows[c] for c in cuts]
        if self.network.couples_rows:
            results = iter(workers.meet(work, parts, shards))
        else:
            results = workers.map(lambda both: work(*both), list(zip(parts, shards, strict=True)))
        loss, d_prepared, states = next(results)
        for more_loss, more, _ in results:
            loss += more_loss
            add(d_prepared, more)
        return loss, arrays(computation.gradients(d_prepared)), states

    def _cut(self, n_rows: int) -> list[slice]:
        meeting = self.network.couples_rows
        least = -(-n_rows // MOST_MEETING_SHARDS) if meeting else 1
        return cut(n_rows, max(self.network.rows_per_shard(n_rows, meeting), least))

    def _shard(
        self, computation: Computation, rows: Array, shard: Shard, place: tuple[int, int]
    ) -> tuple[float, list[Any], list[Any]]:
        """Return a shard's part of the batch's mean loss and of its gradients, and the layers' new states."""
        recipe = self.recipe
        rng = stream(recipe.seed, "layers", *place, shard.index) if self.network.is_random else None
        images = self.samples.images[rows]
        if recipe.augment:
            images = augment(images, recipe.augment, stream(recipe.seed, "augment", *place, shard.index))
        logits, caches = computation.forward(images, shard, rng)
        losses, d_logits = recipe.loss(logits, self.samples.y[rows], shard.weight)
        d_logits /= shard.n_rows
        states = computation.new_states(caches)
        _, d_prepared = computation.backward(caches, d_logits, shard)
        if not self.gradients_checked:
            self._check_gradients(computation.gradients(d_prepared))
        return float(losses.sum(dtype=np.float64)) / shard.n_rows, d_prepared, states

    def _check_gradients(self, grads: list[Any]) -> None:
        """Raise ValueError if some layer's `backward` does not return a gradient of its own for each parameter."""
        found, needed = ({path: np.shape(array) for path, array in leaves(t)} for t in (grads, self.network.params))
        if found != needed:
            wrong = {
                path: found.get(path) for path in needed.keys() | found.keys() if found.get(path) != needed.get(path)
            }
            raise ValueError(
                f"backward must return a gradient for each parameter, in its shape, got {wrong}, "
                f"needed { ({path: needed.get(path) for path in wrong}) }"
            )
        found_arrays = list(leaves(grads))
        for i, (path, array) in enumerate(found_arrays):
            others = [*self.weights, *(other for _, other in found_arrays[:i])]
            own = isinstance(array, np.ndarray) and array.flags.writeable
            if not own or any(np.shares_memory(array, other) for other in others):
                raise ValueError(
                    f"backward must return an array of its own for each parameter, since training writes to it, but "
                    f"{path} is {type(array).__name__}, is read-only or shares the memory of another; return a copy"
                )
        self.gradients_checked = True

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
