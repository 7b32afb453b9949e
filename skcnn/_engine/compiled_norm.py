"""Batch normalisation in training, computed by compiled kernels. Importing this module imports numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numba import int64

from skcnn._engine.compiled_arguments import After, plain
from skcnn._kernels.compiled import batch_norm
from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Exchange, Forward, Layer, Params, Shape
from skcnn.layers.norm import BatchNorm, Moments

__all__ = ["CompiledNorm"]


class _NormCache(NamedTuple):
    x: Array
    out: Array
    winners: Array
    deviation: Array  # (c,)
    weight: Array  # (n,), or empty if all weights are 1
    total: Any  # the number of pixels that the moments depend on, or the sum of their weights
    mean: Array  # (c,)
    taken_in: Moments  # by the running moments


@dataclass(frozen=True, repr=False)
class CompiledNorm(Layer):
    """Batch normalisation in training, and what follows it: ReLU, and a max or min pool. See `BatchNorm`."""

    depends_on_batch: ClassVar[bool] = True

    norm: BatchNorm
    after: After

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.after.out_shape(in_shape)

    @property
    def _is_alone(self) -> bool:
        return not (self.after.relu or self.after.pool)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        return params if self._is_alone else params["0"]

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Exchange[Forward]:
        maps = _as_maps(plain(x, params["scale"].dtype))
        sums = np.empty((len(maps), 3, maps.shape[3]), maps.dtype)
        batch_norm.measure(maps, int64(0), int64(len(maps)), sums)
        state = context.state if self._is_alone else context.state.get("0", {})
        out, cache = yield from self.normalise(params, maps, sums, context, state)
        return out.reshape(len(x), *self.out_shape(x.shape[1:])), cache

    def normalise(self, params: Params, maps: Array, sums: Array, context: Context, state: Params) -> Exchange[Forward]:
        """Return the output for feature maps with known sums, see `skcnn._kernels.compiled.batch_norm.measure`."""
        assert context.n_samples is not None
        positions = maps.shape[1] * maps.shape[2]
        weight = np.ones(len(maps), maps.dtype) if context.weight is None else context.weight.astype(maps.dtype)
        means, rests, squares = sums.swapaxes(0, 1)
        both = yield np.append(weight @ (positions * means + rests), weight.sum())
        total = both[-1] * positions
        if context.weight is None:  # not a sum in float32, which is rounded if it is large
            weight, total = np.empty(0, maps.dtype), maps.dtype.type(context.n_samples * positions)
        mean = both[:-1] / total
        around = means - mean
        of_images = squares + around * (2 * rests + positions * around)
        variance = np.maximum((yield weight @ of_images if weight.size else of_images.sum(axis=0)) / total, 0)
        moments, taken_in, is_own = self.norm.moments(Moments(mean, variance), state, context.n_samples)
        if not is_own:
            total = maps.dtype.type(np.inf)
        deviation = np.sqrt(moments.variance + maps.dtype.type(self.norm.epsilon))
        factor = params["scale"] / deviation
        affine = np.stack([moments.mean, factor, params["shift"], np.sign(factor)], dtype=maps.dtype)
        out = np.empty((len(maps), *self.after.out_shape(maps.shape[1:])), maps.dtype)
        winners = self.after.winners(out)
        batch_norm.normalise(maps, affine, self.after.relu, self.after.window(), out, winners)
        return out, _NormCache(maps, out, winners, deviation, weight, total, moments.mean, taken_in)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Exchange[Backward]:
        d_maps = _as_maps(plain(d_out, cache.x.dtype))
        slopes, grads = yield from self.slopes(params, cache, d_maps)
        d_x = np.empty_like(cache.x)
        batch_norm.gradients(
            d_maps, cache.out, cache.winners, self.after.relu, self.after.window(), cache.x, slopes, cache.weight, d_x
        )
        return d_x.reshape(len(d_x), *([] if d_out.ndim == 2 else d_x.shape[1:3]), d_x.shape[3]), grads

    def slopes(self, params: Params, cache: Any, d_out: Array) -> Exchange[tuple[Array, Params]]:
        """Return the `slopes` of `skcnn._kernels.compiled.batch_norm.to_gradients`, and the gradients."""
        x, out, winners, deviation, _, total, mean, _ = cache
        sums = np.zeros((2, len(mean)), x.dtype)
        batch_norm.add_gradient_sums(d_out, out, winners, self.after.relu, self.after.window(), x, mean, sums)
        sums[1] /= deviation
        grads = {"scale": sums[1].copy(), "shift": sums[0].copy()}
        all_shift, all_scale = yield sums
        factor = params["scale"] / deviation
        slope, constant = factor * all_scale / (deviation * total), factor * all_shift / total
        return np.stack([mean, factor, slope, constant]), grads

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        return d_prepared if self._is_alone else {"0": d_prepared}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        state = self.norm.initial_state(in_shape, dtype)
        return state if self._is_alone else {"0": state}

    def next_state(self, state: Params, cache: Any) -> Params:
        new = self.norm.next_state(state if self._is_alone else state["0"], cache)
        return new if self._is_alone else {"0": new}


def _as_maps(x: Array) -> Array:
    """View rows (n, c) as feature maps of one pixel."""
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, x.shape[1])
