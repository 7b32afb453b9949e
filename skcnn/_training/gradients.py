"""Gradients: a batch's loss and what of it each parameter is to blame for, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.computation import Computation
from skcnn._engine.workers import MOST_MEETING_SHARDS, Shard, Workers, cut
from skcnn._training.config import Recipe, Samples
from skcnn._training.randomness import stream
from skcnn._trees import add, arrays, leaves
from skcnn.augmentation import augment
from skcnn.network import Network

__all__ = ["Gradients"]

Array = NDArray[Any]


class Gradients:
    """The gradients of a network's loss on batches of some samples, by a recipe."""

    def __init__(self, network: Network, samples: Samples, recipe: Recipe):
        self.network, self.samples, self.recipe = network, samples, recipe
        self._checked = False

    def of_batch(self, workers: Workers, rows: Array, place: tuple[int, int]) -> tuple[float, list[Array], list[Any]]:
        """Return the mean loss of a batch, its gradients in the order of `leaves`, and the layers' new states.

        `place` (epoch, step) is where the random streams of the batch begin. The shards' parts are summed in their
        order.
        """
        cuts = self._cut(len(rows))
        weight = self.samples.weight
        shards = [Shard(len(rows), None if weight is None else weight[rows[c]], i) for i, c in enumerate(cuts)]
        computation = self.network.computation(train=True)

        def work(part: Array, shard: Shard) -> tuple[float, list[Any], list[Any]]:
            return self._of_shard(computation, part, shard, place)

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

    def _of_shard(
        self, computation: Computation, rows: Array, shard: Shard, place: tuple[int, int]
    ) -> tuple[float, list[Any], list[Any]]:
        """Return a shard's part of the batch's mean loss and of its gradients, and the layers' new states."""
        recipe = self.recipe
        rng = stream(recipe.seed, "layers", *place, shard.index) if self.network.is_random else None
        logits, caches = computation.forward(self._images(rows, shard.index, place), shard, rng)
        losses, d_logits = recipe.loss(logits, self.samples.y[rows], shard.weight)
        d_logits /= shard.n_rows
        states = computation.new_states(caches)
        _, d_prepared = computation.backward(caches, d_logits, shard)
        if not self._checked:
            self._check(computation.gradients(d_prepared))
        return float(losses.sum(dtype=np.float64)) / shard.n_rows, d_prepared, states

    def inputs(self, rows: Array, place: tuple[int, int]) -> Iterator[Array]:
        """Yield the images of a batch, shard by shard, as the network is given them."""
        return (self._images(rows[c], index, place) for index, c in enumerate(self._cut(len(rows))))

    def _images(self, rows: Array, index: int, place: tuple[int, int]) -> Array:
        images: Array = self.samples.images[rows]
        if self.recipe.augment:
            images = augment(images, self.recipe.augment, stream(self.recipe.seed, "augment", *place, index))
        return images

    def _check(self, grads: list[Any]) -> None:
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
            others = [*arrays(self.network.params), *(other for _, other in found_arrays[:i])]
            own = isinstance(array, np.ndarray) and array.flags.writeable
            if not own or any(np.shares_memory(array, other) for other in others):
                raise ValueError(
                    f"backward must return an array of its own for each parameter, since training writes to it, but "
                    f"{path} is {type(array).__name__}, is read-only or shares the memory of another; return a copy"
                )
        self._checked = True
