"""Lowering: a chain of layers is translated into one that computes the same result faster.

One private layer with the same contract replaces two neighbouring layers:

- ReLU and a max or min pool after it. Both preserve the order of the pixels, so the pool can come first. ReLU then has
  fewer pixels to process: a quarter for windows of 2x2. The gradients are the same too: if the pixel that the pool
  keeps is positive, it is the same pixel in either order; otherwise, the gradients are 0.
- In prediction, a convolution or dense layer and the batch normalisation after it, see `skcnn._engine.folding`.

The layers themselves do not change, and parameters keep their positions. The types must match exactly, because a
subclass may compute something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from skcnn._caching import cached_property
from skcnn._engine.folding import fold
from skcnn.layers.activations import ReLU
from skcnn.layers.base import PREDICT, TRAIN, Array, Context, Layer, Shape
from skcnn.layers.pool import MaxPool2D, MinPool2D
from skcnn.layers.residual import Residual
from skcnn.layers.sequential import Operation, Sequential

__all__ = ["lower"]

# the first layers of a chain, and whether for training -> the layer that does the work of some of them, and how many
Join = Callable[[Sequence[Layer], bool], tuple[Layer, int] | None]


@dataclass(frozen=True, repr=False)
class LoweredChain(Sequential):
    """A chain that computes other operations instead of its layers, for inputs of one shape."""

    operations: tuple[Operation, ...] = ()
    known_shapes: tuple[Shape, ...] = ()

    @cached_property
    def depends_on_batch(self) -> bool:  # every pass reads it
        return any(operation.layer.depends_on_batch for operation in self.operations)

    def shapes(self, in_shape: Shape) -> Sequence[Shape]:
        return self.known_shapes


@dataclass(frozen=True, repr=False)
class LoweredResidual(LoweredChain, Residual):
    """A residual block whose chain is lowered."""


def lower(chain: Sequential, in_shape: Shape, *, train: bool, backend: str = "numpy") -> LoweredChain:
    """Translate a chain for training or for prediction, with samples of `in_shape`.

    Parameters
    ----------
    chain : Sequential
    in_shape : tuple of int
    train : bool
    backend : {"numpy", "numba"}
        "numba": layers for which there are compiled kernels use them.
    """
    operations, shapes = [], [in_shape]
    join = _joiner(backend)
    for operation in _operations(chain.layers, train, join):
        layer = operation.layer
        if isinstance(layer, Sequential) and type(layer) in (Sequential, Residual):
            layer = lower(layer, shapes[-1], train=train, backend=backend)
        operations.append(Operation(layer, operation.sources))
        shapes.append(tuple(layer.out_shape(shapes[-1])))
    lowered = LoweredResidual if type(chain) is Residual else LoweredChain
    return lowered(chain.layers, tuple(operations), tuple(shapes))


def _joiner(backend: str) -> Join:
    """Return the function that joins neighbouring layers."""
    if backend == "numpy":
        return _join
    from skcnn._engine import compiled_layers  # imported here, because it imports numba

    return lambda layers, train: compiled_layers.join(layers, train) or _join(layers, train)


def _operations(layers: Sequence[Layer], train: bool, join: Join) -> Iterator[Operation]:
    index = 0
    while index < len(layers):
        layer, n_layers = join(layers[index:], train) or (layers[index], 1)
        yield Operation(layer, tuple(str(i) for i in range(index, index + n_layers)))
        index += n_layers


def _join(layers: Sequence[Layer], train: bool) -> tuple[Layer, int] | None:
    """Return one layer that does the work of the first two, and 2, or None if there is no such layer."""
    if len(layers) == 1:
        return None
    first, second, *_ = layers
    if type(first) is ReLU and type(second) in (MaxPool2D, MinPool2D):
        return RectifiedPool(second), 2
    folded = None if train else fold(first, second)
    return (folded, 2) if folded else None


_RELU: Layer = ReLU()


@dataclass(frozen=True, repr=False)
class RectifiedPool(Layer):
    """A max or min pool, followed by ReLU."""

    pool: Layer

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.pool.out_shape(in_shape)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Any:
        pooled, of_pool = self.pool.forward({}, x, context)
        out, of_relu = _RELU.forward({}, pooled, context)
        return out, (of_pool, of_relu) if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Any:
        of_pool, of_relu = cache
        d_pooled, _ = _RELU.backward({}, of_relu, d_out, context)
        return self.pool.backward({}, of_pool, d_pooled, context)
