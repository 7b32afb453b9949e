"""Normalisation: numbers of mean 0 and variance 1 over the batch, so that what follows learns at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcnn._values import is_real
from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Rng, Shape

if TYPE_CHECKING:
    from skcnn._engine.workers import Shard

__all__ = ["BatchNorm"]


class _Cache(NamedTuple):
    centred: Array  # by rows
    deviation: Array  # (c,)
    weight: Array | None  # of each row
    total: Any  # the batch's numbers in a channel, each as often as its weight says


@dataclass(frozen=True, repr=False)
class BatchNorm(Layer):
    """Normalise each channel by the batch's mean and variance, and in prediction by running ones; then scale and shift.

    ``out = scale * (x - mean) / sqrt(variance + epsilon) + shift``

    Mean and variance are those of all rows of the batch, each as often as its weight says, and of all positions of the
    map. The variance is divided by their number, also in the running one.

    Parameters
    ----------
    momentum : float in [0, 1), default=0.9
        What the running statistics keep of themselves at every step: ``running = momentum * running + (1 - momentum) *
        batch``.
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
    >>> params, _ = layer.build((2,), np.random.default_rng(0), np.float64)
    >>> state = {"mean": np.array([1.0, 0.0]), "variance": np.array([4.0, 1.0])}
    >>> out, _ = layer.forward(params, np.array([[5.0, 3.0]]), state=state, shard=None)
    >>> out.round(3)
    array([[2., 3.]])
    """

    couples_rows = True

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        self._check_number("momentum", 0, 1)
        self._check("epsilon", is_real(self.epsilon) and 0 < self.epsilon < np.inf, "a finite number above 0")

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        if np.dtype(dtype).type(self.epsilon) == 0:
            raise ValueError(f"epsilon={self.epsilon!r} is 0 in {np.dtype(dtype)}: it must be larger")
        return {"scale": np.ones(in_shape[-1], dtype), "shift": np.zeros(in_shape[-1], dtype)}, in_shape

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        return {"mean": np.zeros(in_shape[-1], dtype), "variance": np.ones(in_shape[-1], dtype)}

    def forward(  # type: ignore[override]  # the two arguments that layers take whose rows depend on each other
        self,
        params: Params,
        x: Array,
        *,
        train: bool = False,
        rng: Rng | None = None,
        state: Params,
        shard: Shard | None,
    ) -> Forward:
        if shard is None:
            factor, term = self.in_prediction(params, state)
            rows = _rows(x)
            out = rows * _along(factor, rows)
            out += _along(term, rows)
            return out.reshape(x.shape), None
        rows, positions = _rows(x), prod(x.shape[1:-1])
        # a weight for each row of a map: that of its image
        weight = None if shard.weight is None else np.repeat(shard.weight, len(rows) // len(x))[:, np.newaxis]
        sums = _channel_sums(rows if weight is None else rows * weight, x)
        if shard.weight is None:
            total, sums = x.dtype.type(shard.n_rows * positions), shard.sum(sums)
        else:  # every meeting takes its time, so both go to one
            both = shard.sum(np.append(sums, shard.weight.sum()))
            total, sums = both[-1] * positions, both[:-1]
        mean = sums / total
        centred = rows - _along(mean, rows)
        squares = np.einsum("ij,ij->j", centred if weight is None else centred * weight, centred)
        variance = shard.sum(_channels(squares, x)) / total
        deviation = np.sqrt(variance + x.dtype.type(self.epsilon))
        # a batch whose channels are single numbers says nothing about the variance
        unknown = shard.n_rows * positions == 1
        new_state = {
            "mean": self._running(state["mean"], mean),
            "variance": state["variance"] if unknown else self._running(state["variance"], variance),
        }
        out = centred * _along(params["scale"] / deviation, rows)
        out += _along(params["shift"], rows)
        return out.reshape(x.shape), (new_state, _Cache(centred, deviation, weight, total))

    def backward(  # type: ignore[override]
        self, params: Params, cache: _Cache, d_out: Array, *, need_d_x: bool = True, shard: Shard
    ) -> Backward:
        """Every number of the batch takes part in mean and variance, so it has a share in the gradients of all.

        With g = d_out, z the normalised numbers and p their shares (weights over their sum):
        ``d_x = scale / deviation * (g - p * (sum(g) + z * sum(g * z)))``, summed over the batch.
        """
        centred, deviation, weight, total = cache
        d_rows = _rows(d_out)
        d_shift = _channel_sums(d_rows, d_out)
        d_scale = _channels(np.einsum("ij,ij->j", d_rows, centred), d_out) / deviation
        grads = {"scale": d_scale, "shift": d_shift}
        all_shift, all_scale = shard.sum(np.stack([d_shift, d_scale]))
        factor = params["scale"] / deviation
        d_x = centred * _along(-factor * all_scale / (deviation * total), d_rows)
        d_x -= _along(factor * all_shift / total, d_rows)
        if weight is not None:
            d_x *= weight
        d_x += d_rows * _along(factor, d_rows)
        return d_x.reshape(d_out.shape), grads

    def in_prediction(self, params: Params, state: Params) -> tuple[Array, Array]:
        """Return the factor and the term (c,) that the layer is in prediction: ``out = x * factor + term``."""
        factor = params["scale"] / np.sqrt(state["variance"] + state["variance"].dtype.type(self.epsilon))
        return factor, params["shift"] - state["mean"] * factor

    def _running(self, old: Array, of_batch: Array) -> Array:
        momentum = float(self.momentum)
        return momentum * old + (1 - momentum) * of_batch


def _rows(x: Array) -> Array:
    """The rows of all maps (n * h, w * c), or x (n, c) itself: NumPy is slow at many short runs of c numbers."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[2] * x.shape[3])


def _along(of_channels: Array, rows: Array) -> Array:
    """Numbers (c,) of the channels, repeated along a row."""
    return np.tile(of_channels, rows.shape[1] // len(of_channels))


def _channels(along: Array, x: Array) -> Array:
    """Sums along a row, added up to sums (c,) of the channels of x."""
    sums: Array = along.reshape(-1, x.shape[-1]).sum(axis=0)
    return sums


def _channel_sums(rows: Array, x: Array) -> Array:
    """Sums of the channels over all rows. As a product, which is faster than `sum`."""
    return _channels(np.ones(len(rows), rows.dtype) @ rows, x)
