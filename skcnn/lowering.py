"""Lowering: the user's layers as the steps that are computed, which give the same results faster.

The largest of some rectified pixels is the largest of the pixels, rectified: ReLU and pools that keep one pixel may
change places. After the pool there is less to rectify, a quarter for windows of 2x2. The gradients are the same too:
where the pixel that is kept is positive, it is the same one, and anywhere else they are 0.

Layers know nothing of this, and parameters keep their places: the network asks for its `steps` once, and runs these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skcnn.layers import Layer, MaxPool2D, MinPool2D, ReLU

__all__ = ["Step", "lower"]


@dataclass(frozen=True)
class Step:
    """One computation of a network: a layer, and its position in the stack, where its parameters are."""

    layer: Layer
    source: int


def lower(layers: Sequence[Layer]) -> tuple[Step, ...]:
    """Translate layers into steps."""
    steps = [Step(layer, index) for index, layer in enumerate(layers)]
    for i in range(len(steps) - 1):
        # these very types: a subclass may compute anything
        if type(steps[i].layer) is ReLU and type(steps[i + 1].layer) in (MaxPool2D, MinPool2D):
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return tuple(steps)
