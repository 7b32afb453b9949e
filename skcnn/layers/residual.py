"""Residual blocks: layers that compute a correction to their input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from skcnn._trees import add
from skcnn._values import times
from skcnn.layers.base import Array, Backward, Context, Exchange, Forward, Params, Rng, Shape, require_map
from skcnn.layers.conv import Conv2D
from skcnn.layers.sequential import Prepared, Sequential

__all__ = ["Residual"]


class _Prepared(NamedTuple):
    chain: Prepared
    projection: Conv2D | None
    of_projection: Any  # the prepared parameters of the projection


@dataclass(frozen=True, repr=False)
class Residual(Sequential):
    """The output of some layers, plus their input: ``out = layers(x) + shortcut(x)``.

    The shortcut is x itself if the layers keep its shape. Otherwise, the shortcut is a projection: a 1x1 convolution
    without bias, with the stride that gives the shape of the layers' output.

    Parameters
    ----------
    layers : sequence of Layer
        At least one. If you want an activation after the sum, add it as a separate layer after the block.

    Shape
    -----
    in (h, w, c); out: the output shape of the last layer. The parameters are one dict per layer, with the layer's index
    as its key, and one for the projection: "0", "1", ..., "projection". Layers without parameters have no entry.

    Raises
    ------
    ValueError
        In `out_shape`, if no stride of the projection gives the shape of the layers' output.

    References
    ----------
    He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.layers import ReLU
    >>> block = Residual([Conv2D(8), ReLU(), Conv2D(8)])
    >>> block.out_shape((14, 14, 4))
    (14, 14, 8)
    >>> params = block.init((14, 14, 4), np.random.default_rng(0), np.float32)
    >>> sorted(params), params["projection"]["W"].shape
    (['0', '2', 'projection'], (1, 1, 4, 8))
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        out_shape = super().out_shape(in_shape)
        projection_for(in_shape, out_shape)
        return out_shape

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        params = super().init(in_shape, rng, dtype)
        projection = projection_for(in_shape, super().out_shape(in_shape))
        return params | ({"projection": projection.init(in_shape, rng, dtype)} if projection else {})

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        chain = super().prepare(params, in_shape, context)
        projection = projection_for(in_shape, chain.shapes[-1])
        of_projection = projection.prepare(params["projection"], in_shape, context) if projection else None
        return _Prepared(chain, projection, of_projection)

    def forward_pass(self, prepared: Any, x: Array, context: Context) -> Exchange[Forward]:
        chain, projection, of_projection = prepared
        shortcut, of_shortcut = projection.forward(of_projection, x, context) if projection else (x, None)
        out, of_chain = yield from super().forward_pass(chain, x, context)
        return out + shortcut, (of_chain, of_shortcut) if context.train else None

    def backward_pass(self, prepared: Any, caches: Any, d_out: Array, context: Context) -> Exchange[Backward]:
        (chain, projection, of_projection), (of_chain, of_shortcut) = prepared, caches
        d_x, d_chain = yield from super().backward_pass(chain, of_chain, d_out, context)
        d_shortcut, d_projection = d_out, {}
        if projection:
            d_shortcut, d_projection = projection.backward(of_projection, of_shortcut, d_out, context)
        return d_x + d_shortcut if context.need_d_x else None, (d_chain, d_projection)

    def add_gradients(self, params: Any, d_prepared: Any, more: Any) -> Any:
        return super().add_gradients(params.chain, d_prepared[0], more[0]), add(d_prepared[1], more[1])

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        chain, projection, of_projection = params
        grads = super().gradients(chain, d_prepared[0])
        return grads | ({"projection": projection.gradients(of_projection, d_prepared[1])} if projection else {})

    def next_state(self, state: Params, cache: Any) -> Params:
        return super().next_state(state, cache[0])

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        projection = projection_for(in_shape, out_shape)
        of_projection = projection.multiply_adds(in_shape, out_shape) if projection else 0
        return super().multiply_adds(in_shape, out_shape) + of_projection


@lru_cache  # every training step asks
def projection_for(in_shape: Shape, out_shape: Shape) -> Conv2D | None:
    """Return the convolution that leads from one shape to another, or None if both are the same."""
    if in_shape == out_shape:
        return None
    require_map(in_shape)
    if len(out_shape) == 3:
        rows, columns = (-(-size // out) for size, out in zip(in_shape[:2], out_shape[:2], strict=True))
        if (-(-in_shape[0] // rows), -(-in_shape[1] // columns)) == out_shape[:2]:
            return Conv2D(out_shape[2], 1, (rows, columns), bias=False)
    raise ValueError(
        f"no stride of the shortcut leads from {times(in_shape)} to {times(out_shape)}, the shape of the layers' output"
    )
