"""Paths: the position of a layer in a chain, possibly inside other chains."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from skcnn.layers.base import Layer
from skcnn.layers.residual import Residual
from skcnn.layers.sequential import Sequential

__all__ = ["LayerIndex", "describe", "inner_layers", "path_to", "require_index"]

LayerIndex = int | tuple[int, ...]


def inner_layers(layer: Layer) -> Sequence[Layer]:
    """Return the layers inside a layer, or () if there are none."""
    # the types must be exactly these, because a subclass may compute anything
    return layer.layers if isinstance(layer, Sequential) and type(layer) in (Sequential, Residual) else ()


def require_index(layer: Any) -> tuple[int, ...]:
    """Return an int or a tuple of ints as a tuple. Raise TypeError for any other type."""
    indices = layer if isinstance(layer, tuple) else (layer,)
    if not indices or any(isinstance(index, bool) or not isinstance(index, Integral) for index in indices):
        raise TypeError(f"layer={layer!r} must be an int or, inside Sequential or Residual, a tuple of ints")
    return tuple(map(int, indices))


def path_to(layers: Sequence[Layer], layer: Any) -> tuple[int, ...]:
    """Return the position of a layer: its index in `layers` or, inside a chain, the chain's path and its index there.

    Parameters
    ----------
    layers : sequence of Layer
    layer : int or tuple of int
        Negative indices count from the end.

    Raises
    ------
    TypeError
        If `layer` has another type.
    IndexError
        If there is no such layer.

    Examples
    --------
    >>> from skcnn.layers import Conv2D, Flatten, ReLU
    >>> layers = [Conv2D(8), Residual([Conv2D(8), ReLU()]), Flatten()]
    >>> path_to(layers, -1), path_to(layers, (1, -2))
    ((2,), (1, 0))
    """
    path: tuple[int, ...] = ()
    for index in require_index(layer):
        n_layers, where = len(layers), f"layer {path}" if path else "the network"
        if not -n_layers <= index < n_layers:
            allowed = f"{-n_layers} to {n_layers - 1}" if n_layers else "none"
            raise IndexError(f"layer={layer!r}: {where} has {n_layers} layers, with the indices {allowed}, got {index}")
        path = (*path, index % n_layers)
        layers = inner_layers(layers[index])
    return path


def describe(layers: Sequence[Layer], path: tuple[int, ...]) -> str:
    """Return the position and the repr of a layer.

    Examples
    --------
    >>> from skcnn.layers import Conv2D, Flatten, ReLU
    >>> layers = [Conv2D(8), Residual([Conv2D(8), ReLU()]), Flatten()]
    >>> describe(layers, (2,)), describe(layers, (1, 1))
    ('layer 2, Flatten()', 'layer (1, 1), ReLU()')
    """
    *chains, last = path
    for index in chains:
        layers = inner_layers(layers[index])
    return f"layer {path if chains else last}, {layers[last]!r}"
