"""Residual blocks: layers that compute a correction to their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skcnn._engine.computation import Computation
from skcnn._engine.lowering import Step, lower
from skcnn._values import times
from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Placed, Rng, Shape, Window, require_map
from skcnn.layers.conv import Conv2D

if TYPE_CHECKING:
    from skcnn._engine.workers import Shard

__all__ = ["Residual"]


@dataclass(frozen=True, repr=False)
class Residual(Layer):
    """The output of some layers, plus their input: ``out = layers(x) + shortcut(x)``.

    The shortcut is x itself where the layers keep its shape. Where they change it, it is a convolution of 1x1 with a
    stride, without a bias, that leads to the layers' shape: a projection.

    Parameters
    ----------
    layers : sequence of Layer
        At least one. An activation after the sum is a layer of its own, behind this one.

    Shape
    -----
    in (h, w, c), out that of the last of the layers. Parameters are dicts: "0", "1", ... of the layers, "projection".

    Raises
    ------
    ValueError
        In `build`, if no stride leads from the map to that of the layers.

    References
    ----------
    He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.layers import ReLU
    >>> block = Residual([Conv2D(8), ReLU(), Conv2D(8)])
    >>> params, out_shape = block.build((14, 14, 4), np.random.default_rng(0), np.float32)
    >>> out_shape, sorted(params), params["projection"]["W"].shape
    ((14, 14, 8), ['0', '2', 'projection'], (1, 1, 4, 8))
    """

    always_shown = ("layers",)

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        fits = isinstance(self.layers, tuple | list) and len(self.layers) > 0
        fits = fits and all(isinstance(layer, Layer) for layer in self.layers)
        self._check("layers", fits, "a sequence of at least one layer")
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def is_random(self) -> bool:  # type: ignore[override]
        return any(layer.is_random for layer in self.layers)

    @property
    def couples_rows(self) -> bool:  # type: ignore[override]
        return any(layer.couples_rows for layer in self.layers)

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        params: Params = {}
        shape = in_shape
        for index, layer in enumerate(self.layers):
            try:
                of_layer, shape = layer.build(shape, rng, dtype)
            except ValueError as error:
                raise ValueError(f"layers[{index}] {layer!r}: {error}") from error
            params |= {str(index): of_layer} if of_layer else {}
        projection = self._projection(in_shape, shape)
        if projection:
            params["projection"], _ = projection.build(in_shape, rng, dtype)
        return params, shape

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        shapes = self._shapes(in_shape)
        states = (layer.initial_state(shape, dtype) for layer, shape in zip(self.layers, shapes, strict=False))
        return {str(index): state for index, state in enumerate(states) if state}

    def place(self, in_shape: Shape) -> PlacedResidual:
        shapes = self._shapes(in_shape)
        projection = self._projection(in_shape, shapes[-1])
        return PlacedResidual(self, lower(self.layers, shapes), projection.place(in_shape) if projection else None)

    def forward(
        self,
        params: Params,
        x: Array,
        *,
        train: bool = False,
        rng: Rng | None = None,
        state: Params | None = None,
        shard: Shard | None = None,
    ) -> Forward:
        placed = self.place(x.shape[1:])
        return placed.forward(placed.prepare(params), x, train=train, rng=rng, state=state, shard=shard)

    def backward(
        self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True, shard: Shard | None = None
    ) -> Backward:
        placed = self.place(cache.in_shape)
        d_x, d_prepared = placed.backward(
            placed.prepare(params, need_d_x), cache, d_out, need_d_x=need_d_x, shard=shard
        )
        return d_x, placed.gradients(d_prepared)

    def window(self, in_shape: Shape) -> Window | None:
        """Of the layers together; the shortcut sees no more."""
        size, stride = [1, 1], [1, 1]
        for layer, shape in zip(self.layers, self._shapes(in_shape), strict=False):
            window = layer.window(shape)
            if window is None:
                return None
            for axis in (0, 1):
                size[axis] += (window[0][axis] - 1) * stride[axis]
                stride[axis] *= window[1][axis]
        return (size[0], size[1]), (stride[0], stride[1])

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        shapes = self._shapes(in_shape)
        layers = [*zip(self.layers, shapes, shapes[1:], strict=False)]
        projection = self._projection(in_shape, out_shape)
        layers += [(projection, in_shape, out_shape)] if projection else []
        return sum(layer.multiply_adds(before, after) for layer, before, after in layers)

    def _shapes(self, in_shape: Shape) -> list[Shape]:
        """The input's shape, and each layer's output."""
        shapes = [in_shape]
        for layer in self.layers:
            # what is drawn is forgotten: only building tells a layer's shape
            shapes.append(layer.build(shapes[-1], np.random.default_rng(0), np.float32)[1])
        return shapes

    def _projection(self, in_shape: Shape, out_shape: Shape) -> Conv2D | None:
        """The shortcut where the shapes differ."""
        if in_shape == out_shape:
            return None
        require_map(in_shape)
        if len(out_shape) == 3:
            rows, columns = (-(-size // out) for size, out in zip(in_shape[:2], out_shape[:2], strict=True))
            if (-(-in_shape[0] // rows), -(-in_shape[1] // columns)) == out_shape[:2]:
                return Conv2D(out_shape[2], 1, (rows, columns), bias=None)
        raise ValueError(f"no stride leads from {times(in_shape)} to {times(out_shape)}, where the layers end")


class _Prepared(NamedTuple):
    computation: Computation
    projection: Any


class _Cache(NamedTuple):
    of_layers: list[Any]
    of_projection: Any
    in_shape: Shape


@dataclass(frozen=True)
class PlacedResidual:
    """A residual block whose layers are computed as a network's would be."""

    layer: Residual
    steps: tuple[Step, ...]
    projection: Placed | None

    def prepare(self, params: Params, need_d_x: bool = False) -> _Prepared:
        of_layers = [params.get(str(index), {}) for index in range(len(self.steps))]
        computation = Computation(self.steps, of_layers, [], train=True, need_d_x=need_d_x)
        projection = self.projection.prepare(params["projection"], need_d_x) if self.projection else None
        return _Prepared(computation, projection)

    def forward(
        self,
        params: _Prepared,
        x: Array,
        *,
        train: bool = False,
        rng: Rng | None = None,
        state: Params | None = None,
        shard: Shard | None = None,
    ) -> Forward:
        states = [(state or {}).get(str(index), {}) for index in range(len(self.steps))]
        computation = params.computation.remembering(states)
        shortcut, of_projection = x, None
        if self.projection:
            shortcut, of_projection = self.projection.forward(params.projection, x, train=train)
        if not train:
            return computation.predict(x) + shortcut, None
        out, caches = computation.forward(x, shard, rng)
        cache = _Cache(caches, of_projection, x.shape[1:])
        if not self.layer.couples_rows:
            return out + shortcut, cache
        new = {str(index): s for index, s in enumerate(computation.new_states(caches)) if s}
        return out + shortcut, (new, cache)

    def backward(
        self,
        params: _Prepared,
        cache: _Cache,
        d_out: Array,
        *,
        need_d_x: bool = True,
        shard: Shard | None = None,
    ) -> tuple[Array | None, dict[str, Any]]:
        d_x, d_layers = params.computation.backward(list(cache.of_layers), d_out, shard)
        d_prepared = {"layers": d_layers}
        d_shortcut: Array | None = d_out
        if self.projection:
            d_shortcut, d_prepared["projection"] = self.projection.backward(
                params.projection, cache.of_projection, d_out, need_d_x=need_d_x
            )
        if not need_d_x:
            return None, d_prepared
        assert d_x is not None
        assert d_shortcut is not None
        return d_x + d_shortcut, d_prepared

    def gradients(self, d_prepared: dict[str, Any]) -> Params:
        of_layers = zip(self.steps, d_prepared["layers"], strict=True)
        grads = {str(step.source): step.placed.gradients(d) for step, d in of_layers if d}
        if self.projection:
            grads["projection"] = self.projection.gradients(d_prepared["projection"])
        return grads
