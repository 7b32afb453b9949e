"""The forward and backward passes through a chain of layers, for as long as its weights do not change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from skcnn.layers.base import Array, Context, Exchange, Params, Rng, Shape, alone
from skcnn.layers.sequential import Sequential

__all__ = ["Passes", "by_layer"]


class Passes:
    """A chain with its parameters prepared once, for all shards of a training batch or all blocks of a prediction.

    It never changes, so any number of threads can use it. If the parameters have changed, create a new one.

    Parameters
    ----------
    chain : Sequential
    in_shape : tuple of int
        The shape of one sample.
    params, states : sequence of dict
        One for each layer of the chain.
    train : bool
        Whether backward passes follow.
    """

    def __init__(
        self, chain: Sequential, in_shape: Shape, params: Sequence[Params], states: Sequence[Params], *, train: bool
    ):
        self._chain, self._n_layers = chain, len(params)
        # the gradient with respect to the images is not needed
        self._context = Context(train=train, state=_by_index(states), need_d_x=not train)
        self._prepared = chain.prepare(_by_index(params), in_shape, self._context)

    def predict(self, x: Array) -> Array:
        """Return the output for x (n,) + in_shape, without changing anything."""
        out: Array = alone(self._chain.forward_pass(self._prepared, x, self._context))[0]
        return out

    def context(self, n_samples: int, weight: Array | None = None, rng: Rng | None = None) -> Context:
        """Return the context of a shard, for a batch of `n_samples` samples. `weight` and `rng` are as in `Context`."""
        train, _, state, need_d_x, _, _ = self._context
        return Context(train, rng, state, need_d_x, weight, n_samples)

    def forward(self, x: Array, context: Context) -> Exchange[tuple[Array, Any]]:
        """Return the output and the caches of a shard x, exchanging sums with the other shards."""
        return self._chain.forward_pass(self._prepared, x, context)

    def backward(self, caches: Any, d_out: Array, context: Context) -> Exchange[Any]:
        """Return a shard's gradients with respect to the prepared parameters, to be summed over the shards.

        The caches can be used only once.
        """
        _, d_prepared = yield from self._chain.backward_pass(self._prepared, caches, d_out, context)
        return d_prepared

    def add(self, d_prepared: Any, more: Any) -> Any:
        """Return the sum of what `backward` returned for two shards."""
        return self._chain.add_gradients(self._prepared, d_prepared, more)

    def gradients(self, d_prepared: Any) -> list[Params]:
        """Return the gradients with respect to each layer's parameters, given the sum of `backward` over the shards."""
        return by_layer(self._chain.gradients(self._prepared, d_prepared), self._n_layers)

    def next_states(self, caches: Any) -> list[Params]:
        """Return each layer's state after the forward pass that returned these caches."""
        return by_layer(self._chain.next_state(self._context.state, caches), self._n_layers)


def _by_index(trees: Sequence[Params]) -> Params:
    """Turn a list with one dict per layer into the dict of a chain."""
    return {str(index): tree for index, tree in enumerate(trees) if tree}


def by_layer(tree: Params, n_layers: int) -> list[Params]:
    """Turn the dict of a chain into a list with one dict per layer."""
    layers: list[Params] = [{} for _ in range(n_layers)]
    for index, of_layer in tree.items():
        layers[int(index)] = of_layer
    return layers
