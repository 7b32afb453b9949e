"""Gradients of a batch's loss, summed over its shards."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.backends import loss_on
from skcnn._engine.passes import Passes
from skcnn._engine.workers import Workers
from skcnn._training.config import DataSet, TrainingConfig
from skcnn._training.diagnosis import check_gradients, check_states
from skcnn._training.figures import Correct
from skcnn._training.randomness import stream
from skcnn._trees import keys, pick
from skcnn.augmentation import augment
from skcnn.layers.base import Exchange, Params, alone
from skcnn.network import Network

__all__ = ["Batch", "Gradients", "OfBatch"]

Array = NDArray[Any]


class Batch(NamedTuple):
    """The samples of one step, with the epoch and step from which their random streams are made."""

    indices: Array
    epoch: int
    step: int


class OfBatch(NamedTuple):
    """What one step needs to know of a batch."""

    loss: float  # the mean
    correct: Correct
    grads: list[Array]  # in the order of `leaves`
    states: list[Params]  # the new ones of the layers


class _OfShard(NamedTuple):
    loss: float  # the shard's part of the batch's mean loss
    correct: Correct
    d_prepared: Any
    states: list[Params]


class Gradients:
    """Computes the gradients of a network's loss on batches of a data set."""

    def __init__(self, network: Network, data: DataSet, config: TrainingConfig):
        self._network, self._data, self._config = network, data, config
        self._together, self._draws = network.chain.depends_on_batch, network.chain.draws
        self._keys = keys(network.params)
        self._loss = loss_on(config.backend, config.loss)
        self._shards = cache(lambda n_samples: network.shards(n_samples, train=True))
        self._checked, self._is_first_batch = False, True

    def of_batch(self, batch: Batch, workers: Workers) -> OfBatch:
        """Return the loss of a batch, its gradients and the layers' new states, without changing anything.

        The results of the shards are added in the order of the shards.
        """
        passes = self._network.passes(train=True, backend=self._config.backend)
        of_shards = [self._of_shard(passes, batch, index, part) for index, part in enumerate(self._cut(batch))]
        results = iter(workers.run_together(of_shards)) if self._together else workers.map(alone, of_shards)
        loss, correct, d_prepared, states = next(results)
        for other in results:
            loss += other.loss
            correct = correct.plus(other.correct)
            d_prepared = passes.add(d_prepared, other.d_prepared)
        if self._is_first_batch:
            check_states(self._network, states)
            self._is_first_batch = False
        return OfBatch(loss, correct, pick(passes.gradients(d_prepared), self._keys), states)

    def images(self, batch: Batch) -> Iterator[Array]:
        """Yield the images of a batch, shard by shard, as the network receives them."""
        return (self._images(batch, index, part) for index, part in enumerate(self._cut(batch)))

    def _cut(self, batch: Batch) -> list[slice]:
        return self._shards(len(batch.indices))

    def _of_shard(self, passes: Passes, batch: Batch, index: int, part: slice) -> Exchange[_OfShard]:
        data, indices, n_samples = self._data, batch.indices[part], len(batch.indices)
        rng = stream(self._config.seed, "layers", batch.epoch, batch.step, index) if self._draws else None
        context = passes.context(n_samples, None if data.weight is None else data.weight[indices], rng)
        logits, caches = yield from passes.forward(self._images(batch, index, part), context)
        y = data.y[indices]
        losses, d_logits = self._loss(logits, y, context.weight)
        correct = Correct.of(self._loss.decide(logits), y, context.weight)
        d_logits /= n_samples
        states = passes.next_states(caches) if index == 0 else []  # the same for all shards
        d_prepared = yield from passes.backward(caches, d_logits, context)
        if not self._checked:
            check_gradients(self._network, passes.gradients(d_prepared))
            self._checked = True
        return _OfShard(float(losses.sum(dtype=np.float64)) / n_samples, correct, d_prepared, states)

    def _images(self, batch: Batch, index: int, part: slice) -> Array:
        images: Array = self._data.images[batch.indices[part]]
        if self._config.augment:
            must_be_finite = self._is_first_batch and bool(np.isfinite(images).all())
            rng = stream(self._config.seed, "augment", batch.epoch, batch.step, index)
            images = augment(images, self._config.augment, rng)
            if must_be_finite and not np.isfinite(images).all():
                raise ValueError("augment must return finite numbers, but some of the augmented pixels are not finite")
        return images
