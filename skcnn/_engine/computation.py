"""Computation: the passes through a stack of layers, forward and backward, while their weights stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from skcnn._engine.lowering import Step
from skcnn.layers.base import Array, Params, Rng

if TYPE_CHECKING:
    from skcnn._engine.workers import Shard

__all__ = ["Computation"]


class Computation:
    """A stack's steps, with its parameters in the form in which they need them: see `Network.computation`.

    It is made anew when the parameters have changed, and serves all shards of a batch, or all blocks of a prediction.
    Nothing in it changes, so they may run at the same time.

    Parameters
    ----------
    steps : sequence of Step
    params, states : sequence of dict
        Of the layers: parameters, and what they remember between batches.
    train : bool
        Whether `backward` may follow.
    need_d_x : bool
        Whether the gradient by the input is needed. If not, none is computed before the first step with parameters.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        params: Sequence[Params],
        states: Sequence[Params],
        train: bool,
        need_d_x: bool = False,
    ):
        self.steps, self._states = steps, states
        first = next((i for i, step in enumerate(steps) if params[step.source]), len(steps))
        self._first = 0 if need_d_x else first
        self._need_d_x = [train and (need_d_x or i > first) for i in range(len(steps))]
        self._prepared = [
            step.placed.prepare(params[step.source], needed) for step, needed in zip(steps, self._need_d_x, strict=True)
        ]

    def remembering(self, states: Sequence[Params]) -> Computation:
        """Return the same with other states."""
        other = copy(self)
        other._states = states
        return other

    def predict(self, x: Array) -> Array:
        """Return the output of x (n, ...), writing nothing anywhere."""
        for step, prepared in zip(self.steps, self._prepared, strict=True):
            x, _ = step.placed.forward(prepared, x, **self._meets(step, None))
        return x

    def forward(self, x: Array, shard: Shard | None, rng: Rng | None = None) -> tuple[Array, list[Any]]:
        """Return the output of a training batch's shard x (n, ...), and every step's cache."""
        caches = []
        for step, prepared in zip(self.steps, self._prepared, strict=True):
            x, cache = step.placed.forward(prepared, x, train=True, rng=rng, **self._meets(step, shard))
            caches.append(cache)
        return x, caches

    def backward(self, caches: list[Any], d_out: Array, shard: Shard | None) -> tuple[Array | None, list[Any]]:
        """Return the gradients by the input, if needed, and by each step's prepared parameters; `caches` are used up.

        The latter may be summed over shards. `gradients` turns them into those by the layers' parameters.
        """
        d_x: Array | None = d_out
        d_prepared: list[Any] = [{} for _ in self.steps]
        for i in reversed(range(self._first, len(self.steps))):
            step, cache = self.steps[i], caches.pop()
            meets: dict[str, Any] = {}
            if step.layer.couples_rows:
                (_, cache), meets = cache, {"shard": shard}
            assert d_x is not None
            d_x, d_prepared[i] = step.placed.backward(
                self._prepared[i], cache, d_x, need_d_x=self._need_d_x[i], **meets
            )
        return d_x, d_prepared

    def gradients(self, d_prepared: list[Any]) -> list[Params]:
        """Return the gradients by the layers' parameters: a list like that of `params`."""
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
