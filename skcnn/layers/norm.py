"""Normalisation: numbers of mean 0 and variance 1 over the batch, so that what follows learns at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Rng, Shape
from skcnn.values import is_real

if TYPE_CHECKING:
    from skcnn.parallel import Shard

__all__ = ["BatchNorm"]


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
            return x * self._factor(params, state) + self._term(params, state), None
        weight = np.ones(len(x), x.dtype) if shard.weight is None else shard.weight
        positions = prod(x.shape[1:-1])
        total = shard.sum(weight.sum() * x.dtype.type(positions))
        mean = shard.sum(_channel_sums(weight, x)) / total
        centred = x - mean
        variance = shard.sum(_channel_sums(weight, centred * centred)) / total
        deviation = np.sqrt(variance + x.dtype.type(self.epsilon))
        normal = centred
        normal /= deviation
        # a batch whose channels are single numbers says nothing about the variance
        unknown = shard.n_rows * positions == 1
        new_state = {
            "mean": self._running(state["mean"], mean),
            "variance": state["variance"] if unknown else self._running(state["variance"], variance),
        }
        return params["scale"] * normal + params["shift"], (new_state, (normal, deviation, weight / total))

    def backward(  # type: ignore[override]
        self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True, shard: Shard
    ) -> Backward:
        """Every number of the batch takes part in mean and variance, so it has a share in the gradients of all.

        With g = d_out, z the normalised numbers and p their shares (weights over their sum):
        ``d_x = scale / deviation * (g - p * (sum(g) + z * sum(g * z)))``, summed over the batch.
        """
        normal, deviation, share = cache
        every = np.ones(len(d_out), d_out.dtype)
        d_shift, d_scale = _channel_sums(every, d_out), _channel_sums(every, d_out * normal)
        grads = {"scale": d_scale, "shift": d_shift}
        all_shift, all_scale = shard.sum(np.stack([d_shift, d_scale]))
        d_x = normal * all_scale
        d_x += all_shift
        d_x *= share.reshape(-1, *[1] * (d_out.ndim - 1))
        np.subtract(d_out, d_x, out=d_x)
        d_x *= params["scale"] / deviation
        return d_x, grads

    def _factor(self, params: Params, state: Params) -> Array:
        """In prediction, the layer is a multiplication"""
        factor: Array = params["scale"] / np.sqrt(state["variance"] + state["variance"].dtype.type(self.epsilon))
        return factor

    def _term(self, params: Params, state: Params) -> Array:
        """and an addition."""
        term: Array = params["shift"] - state["mean"] * self._factor(params, state)
        return term

    def _running(self, old: Array, of_batch: Array) -> Array:
        momentum = float(self.momentum)
        return momentum * old + (1 - momentum) * of_batch


def _channel_sums(weight: Array, x: Array) -> Array:
    """Sum of the rows, each times its weight, for each channel. As a product, which is faster than `sum`."""
    sums: Array = (weight @ x.reshape(len(x), -1)).reshape(-1, x.shape[-1]).sum(axis=0)
    return sums
