"""Folding: a normalisation is a multiplication and an addition in prediction, which the layer before it can do as well.

``(x * W + b) * factor + term`` is ``x * (W * factor) + (b * factor + term)``: other weights, and one pass less over the
maps. The results differ in the last bits, as those of any other order of the same sums.

The layers keep their places: a normalisation that was folded leaves the identity behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skcnn.layers.base import Layer, Params
from skcnn.layers.conv import Conv2D
from skcnn.layers.dense import Dense
from skcnn.layers.norm import BatchNorm
from skcnn.layers.residual import Residual

__all__ = ["fold_layers", "fold_params"]


def fold_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers that predict as these do, with the parameters that `fold_params` makes."""
    folded = list(layers)
    for index, layer in enumerate(layers):
        if type(layer) is Residual:
            folded[index] = replace(layer, layers=fold_layers(layer.layers))
        elif _takes_the_next(layers, index):
            folded[index : index + 2] = [_with_bias(layer), Layer()]
    return tuple(folded)


def fold_params(
    layers: Sequence[Layer], params: Sequence[Params], states: Sequence[Params]
) -> tuple[list[Params], list[Params]]:
    """Return the parameters and states of the folded layers, given those of the layers themselves."""
    new_params, new_states = list(params), list(states)
    for index, layer in enumerate(layers):
        if type(layer) is Residual:
            new_params[index], new_states[index] = _fold_inside(layer, params[index], states[index])
        elif _takes_the_next(layers, index):
            norm = layers[index + 1]
            assert isinstance(norm, BatchNorm)
            factor, term = norm.in_prediction(params[index + 1], states[index + 1])
            W, b = params[index]["W"], params[index].get("b", np.zeros_like(term))
            new_params[index : index + 2] = [{"W": W * factor, "b": b * factor + term}, {}]
            new_states[index + 1] = {}
    return new_params, new_states


def _fold_inside(block: Residual, params: Params, states: Params) -> tuple[Params, Params]:
    names = [str(index) for index in range(len(block.layers))]
    folded = fold_params(block.layers, *([tree.get(name, {}) for name in names] for tree in (params, states)))
    inner_params, inner_states = (dict(zip(names, trees, strict=True)) for trees in folded)
    return {**params, **inner_params}, inner_states


def _takes_the_next(layers: Sequence[Layer], index: int) -> bool:
    """Whether a layer can do the work of the one behind it; these very types: a subclass may compute anything."""
    return type(layers[index]) in (Conv2D, Dense) and [type(layer) for layer in layers[index + 1 : index + 2]] == [
        BatchNorm
    ]


def _with_bias(layer: Layer) -> Layer:
    if isinstance(layer, Conv2D):
        return replace(layer, bias=layer.bias or "kernel")
    assert isinstance(layer, Dense)
    return replace(layer, use_bias=True)
