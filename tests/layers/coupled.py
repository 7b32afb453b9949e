"""Two layers for tests only: one whose rows depend on each other, one that draws random numbers."""

from dataclasses import dataclass

import numpy as np

from skcnn.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU


@dataclass(frozen=True, repr=False)
class BatchCenter(Layer):
    """Subtract the batch's weighted mean from every number; at prediction, a running mean of those.

    The least that needs what batch normalisation needs: statistics of the whole batch in both directions, the rows'
    weights, and a memory.
    """

    couples_rows = True

    def initial_state(self, in_shape, dtype):
        return {"mean": np.zeros(in_shape, dtype)}

    def forward(self, params, x, *, train=False, rng=None, state, shard):
        if not train:
            return x - state["mean"], None
        w = np.ones(len(x), x.dtype) if shard.weight is None else shard.weight
        rows = w.reshape(-1, *[1] * (x.ndim - 1))
        total = shard.sum(w.sum())
        mean = shard.sum((rows * x).sum(axis=0)) / total
        return x - mean, ({"mean": (state["mean"] + mean) / 2}, (rows, total))

    def backward(self, params, cache, d_out, *, need_d_x=True, shard):
        rows, total = cache
        return d_out - rows * shard.sum(d_out.sum(axis=0)) / total, {}


@dataclass(frozen=True, repr=False)
class Noise(Layer):
    """Multiply by random numbers around 1 in training."""

    is_random = True

    def forward(self, params, x, *, train=False, rng=None):
        if not train:
            return x, None
        factors = rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
        return x * factors, factors

    def backward(self, params, cache, d_out, *, need_d_x=True):
        return d_out * cache, {}


COUPLED = [Conv2D(3), BatchCenter(), ReLU(), MaxPool2D(), Flatten(), Dense(8), BatchCenter(), Noise()]
