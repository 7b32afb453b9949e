"""Lowering: the user's layers as the steps that are computed, which give the same results faster.

The largest of some rectified pixels is the largest of the pixels, rectified: ReLU and pools that keep one pixel may
change places. After the pool there is less to rectify, a quarter for windows of 2x2. The gradients are the same too:
where the pixel that is kept is positive, it is the same one, and anywhere else they are 0.

Layers know nothing of this exchange, and parameters keep their places: a stack asks for its steps once, and runs these.
In them a layer may be replaced by what its `place` returns, which computes the same faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skcnn.layers.activations import ReLU
from skcnn.layers.base import Layer, Placed, Shape
from skcnn.layers.pool import MaxPool2D, MinPool2D

__all__ = ["Step", "lower"]


@dataclass(frozen=True)
class Step:
    """One computation of a stack: a layer, what is computed for it, and where in the stack its parameters are."""

    layer: Layer
    placed: Placed
    source: int


def lower(layers: Sequence[Layer], shapes: Sequence[Shape]) -> tuple[Step, ...]:
    """Translate layers into steps, given the shape of the input and of each layer's output."""
    order = list(range(len(layers)))
    for i in range(len(layers) - 1):
        # these very types: a subclass may compute anything
        if type(layers[order[i]]) is ReLU and type(layers[i + 1]) in (MaxPool2D, MinPool2D):
            order[i], order[i + 1] = order[i + 1], order[i]
    # pools and ReLU know no shape of their input, so theirs may be that of the stack
    return tuple(Step(layers[source], layers[source].place(shapes[source]), source) for source in order)
