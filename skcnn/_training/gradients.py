"""Gradients: a batch's loss and what of it each parameter is to blame for, shard by shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.passes import Passes
from skcnn._engine.workers import Workers
from skcnn._training.config import Recipe, Samples
from skcnn._training.randomness import stream
from skcnn._trees import add, arrays, leaves
from skcnn.augmentation import augment
from skcnn.layers.base import Exchange, alone
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
        passes = self.network.passes(train=True)
        shards = enumerate(self.network.shards(len(rows), train=True))
        of_shards = [self._of_shard(passes, rows[part], index, place, len(rows)) for index, part in shards]
        together = self.network.chain.depends_on_batch
        results = iter(workers.together(of_shards)) if together else workers.map(alone, of_shards)
        loss, d_prepared, states = next(results)
        for more_loss, more, _ in results:
            loss += more_loss
            add(d_prepared, more)
        return loss, arrays(passes.gradients(d_prepared)), states

    def _of_shard(
        self, passes: Passes, rows: Array, index: int, place: tuple[int, int], n_samples: int
    ) -> Exchange[tuple[float, Any, list[Any]]]:
        """Return a shard's part of the batch's mean loss and of its gradients, and the layers' new states."""
        recipe, weight = self.recipe, self.samples.weight
        rng = stream(recipe.seed, "layers", *place, index) if self.network.chain.draws else None
        context = passes.context(n_samples, None if weight is None else weight[rows], rng)
        logits, caches = yield from passes.forward(self._images(rows, index, place), context)
        losses, d_logits = recipe.loss(logits, self.samples.y[rows], context.weight)
        d_logits /= n_samples
        states = passes.next_states(caches)
        d_prepared = yield from passes.backward(caches, d_logits, context)
        if not self._checked:
            self._check(passes.gradients(d_prepared))
        return float(losses.sum(dtype=np.float64)) / n_samples, d_prepared, states

    def inputs(self, rows: Array, place: tuple[int, int]) -> Iterator[Array]:
        """Yield the images of a batch, shard by shard, as the network is given them."""
        shards = enumerate(self.network.shards(len(rows), train=True))
        return (self._images(rows[part], index, place) for index, part in shards)

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
