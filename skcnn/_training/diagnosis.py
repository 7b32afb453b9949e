"""Diagnosis: which layer diverged, if numbers are no longer finite, and which layer returned wrong gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._trees import leaves
from skcnn.layers.base import Context, Params
from skcnn.network import Network
from skcnn.optimizers import State

__all__ = ["check_gradients", "check_states", "find_divergence", "find_weight", "is_finite", "is_finite_state"]

Array = NDArray[Any]


def is_finite(network: Network) -> bool:
    """Return whether all weights and states of a network are finite."""
    return all(np.isfinite(array).all() for _, array in leaves([network.params, network.states]))


def is_finite_state(state: State) -> bool:
    """Return whether all numbers in an optimizer's state are finite. Only its lists of arrays are checked."""
    arrays = (array for value in state.values() if isinstance(value, list) for array in value)
    floats = (a for a in arrays if isinstance(a, np.ndarray) and np.issubdtype(a.dtype, np.floating))
    return all(np.isfinite(array).all() for array in floats)


def find_weight(network: Network) -> str:
    """Name the first layer with a parameter or state that is not finite, or return ""."""
    for index, trees in enumerate(zip(network.params, network.states, strict=True)):
        if not all(np.isfinite(array).all() for _, array in leaves(list(trees))):
            return f"a weight of {_name(network, index)}"
    return ""


def find_divergence(network: Network, batch: Iterable[Array], image: str = "an image") -> str:
    """Name the first layer whose parameters, or whose output for some shard of a batch, are not finite."""
    return next((found for x in batch if (found := _find_in_shard(network, x, image))), "the loss")


def _find_in_shard(network: Network, x: Array, image: str) -> str:
    if not np.isfinite(x).all():
        return image
    of_layers = zip(network.layers, network.params, network.states, strict=True)
    for index, (layer, params, state) in enumerate(of_layers):
        if not all(np.isfinite(array).all() for _, array in leaves([params, state])):
            return f"a weight of {_name(network, index)}"
        x = layer.apply(params, x, Context(state=state))
        if not np.isfinite(x).all():
            return f"the output of {_name(network, index)}"
    return ""


def _name(network: Network, index: int) -> str:
    is_output = index == len(network.layers) - 1
    return "the output layer" if is_output else f"layers[{index}] {network.layers[index]!r}"


def check_gradients(network: Network, grads: list[Params]) -> None:
    """Raise ValueError unless each layer's `backward` returned a new array of the right shape for each parameter."""
    known = [array for _, array in leaves(network.params)]
    for index, (layer, of_layer, params) in enumerate(zip(network.layers, grads, network.params, strict=True)):
        name = f"layers[{index}] {layer!r}: backward must return"
        found, needed = ({path: np.shape(array) for path, array in leaves(tree)} for tree in (of_layer, params))
        for path in sorted(found.keys() | needed.keys()):
            if found.get(path) != needed.get(path):
                raise ValueError(
                    f"{name} a gradient for each parameter, with the same shape, but for {path!r} the shape is "
                    f"{found.get(path)}, needed {needed.get(path)}"
                )
        for path, array in leaves(of_layer):
            own = isinstance(array, np.ndarray) and array.flags.writeable
            if not own or any(np.shares_memory(array, other) for other in known):
                raise ValueError(
                    f"{name} a new array for each parameter, because training writes to it, but the gradient for "
                    f"{path!r} ({type(array).__name__}) is not an array, is read-only or shares memory with another "
                    "array; return a copy"
                )
            if array.dtype.kind != "f":
                raise TypeError(f"{name} floats, but the gradient for {path!r} is an array of {array.dtype}")
            known.append(array)


def check_states(network: Network, states: list[Params]) -> None:
    """Raise ValueError unless each layer's `next_state` returned arrays of the same names and shapes as before."""
    for index, (layer, new, old) in enumerate(zip(network.layers, states, network.states, strict=True)):
        found, needed = ({path: np.shape(array) for path, array in leaves(tree)} for tree in (new, old))
        if found != needed:
            raise ValueError(
                f"layers[{index}] {layer!r}: next_state must return arrays of the same names and shapes as "
                f"initial_state, {needed}, got {found}"
            )
