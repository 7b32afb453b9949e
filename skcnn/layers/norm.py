"""Batch normalisation: channels with mean 0 and variance 1, so that the next layer always sees the same scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Exchange, Forward, Layer, Params, Rng, Shape

__all__ = ["BatchNorm"]


class Moments(NamedTuple):
    """Mean and variance of each channel, (c,)."""

    mean: Array
    variance: Array


class _Cache(NamedTuple):
    centred: Array  # in rows, see `_rows`
    deviation: Array  # (c,)
    weight: Array | None  # one per row
    total: Any  # the number of elements per channel that the moments depend on, or the sum of their weights
    taken_in: Moments  # by the running moments


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Normalise each channel by the mean and variance of the batch (in prediction, by running values).

    A batch of a single sample is normalised by the running values in training too, because its own say little about
    other samples.

    Each channel is then scaled and shifted:
    ``out = scale * (x - mean) / sqrt(variance + epsilon) + shift``

    Mean and variance are taken over all samples of the batch and all positions of the feature map, and are weighted by
    the sample weights. The sum of squares is divided by the sum of the weights (not by one less), for the running
    variance too. From single samples, the running variance also takes in the variance between them.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        The fraction of the running statistics that is kept at each training step:
        ``running = momentum * running + (1 - momentum) * batch``.
    epsilon : float, default=1e-5
        Added to the variance. Above 0.

    Shape
    -----
    in and out (h, w, c) or (c,); `scale`, `shift` (c,).

    References
    ----------
    Ioffe, Szegedy (2015), Batch normalization: Accelerating deep network training by reducing internal covariate shift,
    algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNorm()
    >>> params = layer.init((2,), np.random.default_rng(0), np.float64)
    >>> state = {"mean": np.array([1.0, 0.0]), "variance": np.array([4.0, 1.0])}
    >>> layer.apply(params, np.array([[5.0, 3.0]]), Context(state=state)).round(3)
    array([[2., 3.]])
    """

    depends_on_batch = True

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self._check_number("momentum", 0, 1)
        self._check_number("epsilon", 0, closed="neither")

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        self._check_in(dtype, "epsilon", may_be_zero=False)
        return {"scale": np.ones(in_shape[-1], dtype), "shift": np.zeros(in_shape[-1], dtype)}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        return {"mean": np.zeros(in_shape[-1], dtype), "variance": np.ones(in_shape[-1], dtype)}

    def next_state(self, state: Params, cache: Any) -> Params:
        taken_in: Moments = cache.taken_in
        return {name: self._running(state[name], taken_in._asdict()[name]) for name in state}

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Exchange[Forward]:
        rows = _rows(x)
        if not context.train:
            factor, term = self.in_prediction(params, context.state)
            out = rows * _along(factor, rows)
            out += _along(term, rows)
            return out.reshape(x.shape), None
        assert context.n_samples is not None
        positions = prod(x.shape[1:-1])
        # each row of a feature map has the weight of its sample
        weight = None if context.weight is None else np.repeat(context.weight, len(rows) // len(x))[:, np.newaxis]
        sums = _channel_sums(rows if weight is None else rows * weight, x)
        if context.weight is None:
            total, sums = x.dtype.type(context.n_samples * positions), (yield sums)
        else:  # every exchange takes time, so both sums share one
            both = yield np.append(sums, context.weight.sum())
            total, sums = both[-1] * positions, both[:-1]
        mean = sums / total
        centred = rows - _along(mean, rows)
        squares = np.einsum("ij,ij->j", centred if weight is None else centred * weight, centred)
        variance = (yield _channels(squares, x)) / total
        moments, taken_in, is_own = self.moments(Moments(mean, variance), context.state, context.n_samples)
        if not is_own:
            centred, total = rows - _along(moments.mean, rows), x.dtype.type(np.inf)
        deviation = np.sqrt(moments.variance + x.dtype.type(self.epsilon))
        out = centred * _along(params["scale"] / deviation, rows)
        out += _along(params["shift"], rows)
        return out.reshape(x.shape), _Cache(centred, deviation, weight, total, taken_in)

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Exchange[Backward]:
        # Every element affects the mean and variance of the batch, and so the gradients of all other elements. With
        # g = d_out, z the normalised elements and p their weights, divided by the sum of the weights:
        # d_x = scale / deviation * (g - p * (sum(g) + z * sum(g * z))). The sums are over the batch.
        centred, deviation, weight, total, _ = cache
        d_rows = _rows(d_out)
        d_shift = _channel_sums(d_rows, d_out)
        d_scale = _channels(np.einsum("ij,ij->j", d_rows, centred), d_out) / deviation
        grads = {"scale": d_scale, "shift": d_shift}
        all_shift, all_scale = yield np.stack([d_shift, d_scale])
        factor = params["scale"] / deviation
        d_x = centred * _along(-factor * all_scale / (deviation * total), d_rows)
        d_x -= _along(factor * all_shift / total, d_rows)
        if weight is not None:
            d_x *= weight
        d_x += d_rows * _along(factor, d_rows)
        return d_x.reshape(d_out.shape), grads

    def moments(self, of_batch: Moments, state: Params, n_samples: int) -> tuple[Moments, Moments, bool]:
        """Return the moments to normalise by, those for the running ones, and whether the first are the batch's own."""
        if n_samples > 1 or not state:
            return of_batch, of_batch, True
        running = Moments(state["mean"], state["variance"])
        # the exponentially weighted variance of all pixels seen so far, that of the means included
        between = self.momentum * (of_batch.mean - running.mean) ** 2
        return running, Moments(of_batch.mean, of_batch.variance + between), False

    def in_prediction(self, params: Params, state: Params) -> tuple[Array, Array]:
        """Return the factor and the term (c,) for prediction, in which ``out = x * factor + term``."""
        factor = params["scale"] / np.sqrt(state["variance"] + state["variance"].dtype.type(self.epsilon))
        return factor, params["shift"] - state["mean"] * factor

    def _running(self, old: Array, of_batch: Array) -> Array:
        return self.momentum * old + (1 - self.momentum) * of_batch


def _rows(x: Array) -> Array:
    """Return the rows of all feature maps (n * h, w * c), or x (n, c) itself. NumPy is slow for runs of c elements."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[2] * x.shape[3])


def _along(of_channels: Array, rows: Array) -> Array:
    """Repeat one value per channel (c,) along a row."""
    return np.tile(of_channels, rows.shape[1] // len(of_channels))


def _channels(along: Array, x: Array) -> Array:
    """Sum the columns of each channel of x: from (w * c,) to (c,)."""
    sums: Array = along.reshape(-1, x.shape[-1]).sum(axis=0)
    return sums


def _channel_sums(rows: Array, x: Array) -> Array:
    """Return the sum (c,) of each channel over all rows. It is a matrix product, which is faster than `sum`."""
    return _channels(np.ones(len(rows), rows.dtype) @ rows, x)
