"""Layers for tests only: one that depends on the batch, one that draws random numbers, one that holds a layer."""

from dataclasses import dataclass

import numpy as np

from skcnn.layers import PREDICT, TRAIN, Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU


@dataclass(frozen=True, repr=False)
class BatchCenter(Layer):
    """Subtract the batch's weighted mean from every element; in prediction, a running mean of those.

    The least that needs what batch normalisation needs: statistics of the whole batch in both directions, the samples'
    weights, and a memory.
    """

    depends_on_batch = True

    def initial_state(self, in_shape, dtype):
        return {"mean": np.zeros(in_shape, dtype)}

    def next_state(self, state, cache):
        return {"mean": (state["mean"] + cache["mean"]) / 2}

    def forward(self, params, x, context=PREDICT):
        if not context.train:
            return x - context.state["mean"], None
        w = np.ones(len(x), x.dtype) if context.weight is None else context.weight
        shares = w.reshape(-1, *[1] * (x.ndim - 1))
        total = yield w.sum()
        shares = shares / total
        mean = yield (shares * x).sum(axis=0)
        return x - mean, {"mean": mean, "shares": shares}

    def backward(self, params, cache, d_out, context=TRAIN):
        total = yield d_out.sum(axis=0)
        return d_out - cache["shares"] * total, {}


@dataclass(frozen=True, repr=False)
class Noise(Layer):
    """Multiply by random numbers around 1 in training."""

    draws = True

    def forward(self, params, x, context=PREDICT):
        if not context.train:
            return x, None
        factors = context.rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
        return x * factors, factors

    def backward(self, params, cache, d_out, context=TRAIN):
        return d_out * cache, {}


@dataclass(frozen=True, repr=False)
class Wrapped(Layer):
    """A layer that holds a dense layer. Its parameters are a dict in a dict, and its gradients come in any order."""

    def out_shape(self, in_shape):
        return Dense(5).out_shape(in_shape)

    def init(self, in_shape, rng, dtype):
        return {"inner": Dense(5).init(in_shape, rng, dtype)}

    def forward(self, params, x, context=PREDICT):
        return Dense(5).forward(params["inner"], x, context)

    def backward(self, params, cache, d_out, context=TRAIN):
        d_x, grads = Dense(5).backward(params["inner"], cache, d_out, context)
        return d_x, {"inner": {name: grads[name] for name in sorted(grads, reverse=len(d_out) % 2 == 0)}}


DEPENDENT = [Conv2D(3), BatchCenter(), ReLU(), MaxPool2D(), Flatten(), Dense(8), BatchCenter(), Noise()]
