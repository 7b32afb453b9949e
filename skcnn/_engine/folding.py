"""Folding: in prediction, a normalisation multiplies and adds, which the layer before it can do as well.

``(x * W + b) * factor + term`` is ``x * (W * factor) + (b * factor + term)``: other weights, and one pass less over the
feature maps. The results differ in the last bits, as those of any other order of the same sums.
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
    """Return the layer that does the work of two neighbours, or None if there is none."""
    # these very types: a subclass may compute anything
    if isinstance(first, Conv2D | Dense) and type(first) in (Conv2D, Dense) and type(second) is BatchNorm:
        return Folded(first if first.bias else replace(first, bias=True), second)
    return None


@dataclass(frozen=True, repr=False)
class Folded(Layer):
    """A convolution or dense layer that does the work of the normalisation behind it. It cannot be trained."""

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
        raise NotImplementedError("a folded normalisation cannot be trained")
