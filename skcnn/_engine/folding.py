"""Folding: in prediction, batch normalisation only multiplies and adds, so the layer before it can do this too.

``(x * W + b) * factor + term`` equals ``x * (W * factor) + (b * factor + term)``. So the weights are adjusted, and one
pass over the feature maps is saved. The results differ in the last bits, as they do for any change in the order of
sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skcnn.layers.base import PREDICT, TRAIN, Array, Context, Layer, Params, Shape
from skcnn.layers.conv import Conv2D
from skcnn.layers.dense import Dense
from skcnn.layers.norm import BatchNorm

__all__ = ["Folded", "fold"]


def fold(first: Layer, second: Layer) -> Folded | None:
    """Return one layer that does the work of two neighbours, or None if there is no such layer."""
    # the types must be exactly these, because a subclass may compute anything
    if isinstance(first, Conv2D | Dense) and type(first) in (Conv2D, Dense) and type(second) is BatchNorm:
        return Folded(first if first.bias else replace(first, bias=True), second)
    return None


@dataclass(frozen=True, repr=False)
class Folded(Layer):
    """A convolution or dense layer that also does the work of the `BatchNorm` after it. It cannot be trained."""

    layer: Conv2D | Dense
    norm: BatchNorm

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.layer.out_shape(in_shape)

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        factor, term = self.norm.in_prediction(params["1"], context.state["1"])
        W, b = params["0"]["W"], params["0"].get("b", np.zeros_like(term))
        return self.layer.prepare({"W": W * factor, "b": b * factor + term}, in_shape, context)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Any:
        return self.layer.forward(params, x, context)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Any:
        raise NotImplementedError("a folded batch normalisation cannot be trained")
