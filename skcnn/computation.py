"""Computation: the passes through a network, forward and backward, for weights that stay as they are meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn.layers.base import Params
from skcnn.lowering import Step
from skcnn.parallel import Shard

__all__ = ["Computation"]

Array = NDArray[Any]


class Computation:
    """A network's steps, with its parameters in the form in which they need them: see `Network.computation`.

    It is made anew when the parameters have changed, and serves all shards of a batch, or all blocks of a prediction.
    Nothing in it changes, so they may run at the same time.

    Parameters
    ----------
    steps : sequence of Step
    params, states : list of dict
        As the network holds them.
    train : bool
        Whether `backward` may follow.
    """

    def __init__(self, steps: Sequence[Step], params: list[Params], states: list[Params], train: bool):
        self.steps = steps
        self._states = states
        # before the first step that has parameters no gradient is needed
        self._first = next((i for i, step in enumerate(steps) if params[step.source]), len(steps))
        self._prepared = [
            step.placed.prepare(params[step.source], train and i > self._first) for i, step in enumerate(steps)
        ]

    def predict(self, x: Array) -> Array:
        """Return the output of x (n, h, w, c), writing nothing anywhere."""
        for step, prepared in zip(self.steps, self._prepared, strict=True):
            x, _ = step.placed.forward(prepared, x, **self._meets(step, None))
        return x

    def forward(self, x: Array, shard: Shard, rng: np.random.Generator | None = None) -> tuple[Array, list[Any]]:
        """Return the output of a training batch's shard x (n, h, w, c), and every step's cache."""
        caches = []
        for step, prepared in zip(self.steps, self._prepared, strict=True):
            x, cache = step.placed.forward(prepared, x, train=True, rng=rng, **self._meets(step, shard))
            caches.append(cache)
        return x, caches

    def backward(self, caches: list[Any], d_out: Array, shard: Shard) -> list[Any]:
        """Return the gradients by each step's prepared parameters; `caches` are used up.

        They may be summed over shards. `gradients` turns them into those by the network's parameters.
        """
        d_prepared: list[Any] = [{} for _ in self.steps]
        for i in reversed(range(self._first, len(self.steps))):
            step, cache = self.steps[i], caches.pop()
            meets: dict[str, Any] = {}
            if step.layer.couples_rows:
                (_, cache), meets = cache, {"shard": shard}
            d_x, d_prepared[i] = step.placed.backward(
                self._prepared[i], cache, d_out, need_d_x=i > self._first, **meets
            )
            if i > self._first:
                assert d_x is not None
                d_out = d_x
        return d_prepared

    def gradients(self, d_prepared: list[Any]) -> list[Params]:
        """Return the gradients by the network's parameters: a tree like `network.params`."""
        grads: list[Params] = [{} for _ in self.steps]
        for step, d in list(zip(self.steps, d_prepared, strict=True))[self._first :]:
            grads[step.source] = step.placed.gradients(d)
        return grads

    def new_states(self, caches: list[Any]) -> list[Params]:
        """Return what the layers remember after the forward pass that left these caches."""
        states = list(self._states)
        for step, cache in zip(self.steps, caches, strict=True):
            if step.layer.couples_rows:
                states[step.source] = cache[0]
        return states

    def _meets(self, step: Step, shard: Shard | None) -> dict[str, Any]:
        """Return the arguments that only layers take that couple rows."""
        if not step.layer.couples_rows:
            return {}
        return {"state": self._states[step.source], "shard": shard}
