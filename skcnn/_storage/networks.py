"""Networks and the states of optimizers as JSON and arrays, and the checks when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._storage.encoding import KNOWN, Decoder, Encoder, Json
from skcnn._values import pair
from skcnn.layers import BatchNorm, Conv2D, Dense, Layer, Residual, Sequential
from skcnn.layers.base import Params, Shape
from skcnn.network import Network
from skcnn.optimizers import ClipNorm, Optimizer

__all__ = [
    "decode_arrays",
    "decode_network",
    "encode_arrays",
    "encode_network",
    "require_arrays_of",
    "require_state_of",
]

Array = NDArray[Any]
Shapes = dict[str, Shape]


def encode_network(encoder: Encoder, network: Network) -> Json:
    """Return a network as JSON."""
    return {
        "layers": [encoder.encode(layer, f"layers[{i}]") for i, layer in enumerate(network.layers)],
        "in_shape": list(network.shapes[0]),
        "dtype": network.dtype.name,
        **encode_arrays(encoder, network),
    }


def encode_arrays(encoder: Encoder, network: Network, prefix: str = "") -> Json:
    """Return the parameters and states of a network as JSON."""
    trees = {name: getattr(network, name) for name in ("params", "states")}
    for name, tree in trees.items():
        encoder.require_exact(tree, f"{prefix}{name}")
    return {name: encoder.encode(tree, f"{prefix}{name}") for name, tree in trees.items()}


def decode_network(decoder: Decoder, node: Json) -> Network:
    """Return the network of some JSON. Its arrays are checked against its layers.

    Raises
    ------
    Exception
        Any, if the JSON was not made by `encode_network`, or if arrays do not fit the layers.
    """
    layers = tuple(decoder.decode(node["layers"], "layers"))
    in_shape, dtype = tuple(node["in_shape"]), np.dtype({"float32": "float32", "float64": "float64"}[node["dtype"]])
    if len(in_shape) != 3 or not all(type(size) is int and size > 0 for size in in_shape):
        raise ValueError(f"the shape of the images is invalid: {in_shape}")
    return decode_arrays(decoder, node, layers, tuple(Sequential(layers).shapes(in_shape)), dtype)


def decode_arrays(
    decoder: Decoder, node: Json, layers: tuple[Layer, ...], shapes: tuple[Shape, ...], dtype: np.dtype[Any]
) -> Network:
    """Return a network of these layers with the parameters and states of some JSON, which are checked."""
    trees = [decoder.decode(node[name], name) for name in ("params", "states")]
    if any(not isinstance(tree, list) or len(tree) != len(layers) for tree in trees):
        raise ValueError("params and states must have one dict of arrays for each layer")
    params, states = ([_native(of_layer) for of_layer in tree] for tree in trees)
    for i, layer in enumerate(layers):
        require_arrays_of(layer, shapes[i], shapes[i + 1], params[i], states[i], dtype)
    return Network(layers, shapes, params, states, dtype)


def _native(tree: Any) -> Any:
    """Return a tree with floats in the byte order of this machine."""
    if isinstance(tree, dict):
        return {key: _native(branch) for key, branch in tree.items()}
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        return tree.astype(tree.dtype.newbyteorder("="), copy=False)
    return tree


def require_arrays_of(
    layer: Layer, in_shape: Shape, out_shape: Shape, params: Any, state: Any, dtype: np.dtype[Any]
) -> None:
    """Raise ValueError unless these parameters and this state fit a layer. The user's own layers may have any arrays.

    No parameters are drawn for comparison, because those of a huge image or layer would take all memory.
    """
    if type(layer) in (Sequential, Residual):
        assert isinstance(layer, Sequential)
        _require_arrays_of_chain(layer, in_shape, out_shape, params, state, dtype)
    elif type(layer) not in KNOWN.values():
        _require_tree(layer, params)
        if not isinstance(state, dict):
            raise ValueError(f"{layer!r} has a state that is not a dict")
    else:
        for arrays, shapes in zip((params, state), _shapes_of(layer, in_shape, out_shape), strict=True):
            _require_shapes(layer, arrays, shapes, dtype)


def _require_arrays_of_chain(
    chain: Sequential, in_shape: Shape, out_shape: Shape, params: Any, state: Any, dtype: np.dtype[Any]
) -> None:
    if not (isinstance(params, dict) and isinstance(state, dict)):
        raise ValueError(f"{chain!r} must have dicts of arrays")
    shapes, params, state = chain.shapes(in_shape), dict(params), dict(state)
    for i, layer in enumerate(chain.layers):
        of_layer = params.pop(str(i), {}), state.pop(str(i), {})
        require_arrays_of(layer, shapes[i], shapes[i + 1], *of_layer, dtype)
    projection: Shapes = {}
    if isinstance(chain, Residual) and in_shape != out_shape:
        projection = {"W": (1, 1, in_shape[2], out_shape[2])}
    _require_shapes(chain, params.pop("projection", {}), projection, dtype)
    if params or state:
        raise ValueError(f"{chain!r} must not have the arrays {[*params, *state]}")


def _shapes_of(layer: Layer, in_shape: Shape, out_shape: Shape) -> tuple[Shapes, Shapes]:
    """Return the shapes of a layer's parameters and of its state, by name."""
    if isinstance(layer, BatchNorm):
        channels = in_shape[-1:]
        return dict.fromkeys(("scale", "shift"), channels), dict.fromkeys(("mean", "variance"), channels)
    if not isinstance(layer, Conv2D | Dense):
        return {}, {}
    window = pair(layer.kernel_size) if isinstance(layer, Conv2D) else ()
    of_bias = out_shape if isinstance(layer.bias, str) else out_shape[-1:]
    return {"W": (*window, in_shape[-1], out_shape[-1])} | ({"b": of_bias} if layer.bias else {}), {}


def _require_shapes(layer: Layer, arrays: Any, shapes: Shapes, dtype: np.dtype[Any]) -> None:
    is_one = isinstance(arrays, dict) and arrays.keys() == shapes.keys()
    if not (is_one and all(isinstance(array, np.ndarray) for array in arrays.values())):
        raise ValueError(f"{layer!r} must have the arrays {list(shapes)}")
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype != dtype:
            found = f"{arrays[name].dtype} {arrays[name].shape}"
            raise ValueError(f"{name} of {layer!r} must be {dtype} of shape {shape}, but is {found}")
        if not np.isfinite(arrays[name]).all():  # training undoes an epoch after which they are not
            raise ValueError(f"{name} of {layer!r} must be finite")


def _require_tree(layer: Layer, params: Params) -> None:
    for branch in params.values():
        if isinstance(branch, dict):
            _require_tree(layer, branch)
        elif not isinstance(branch, np.ndarray):
            raise ValueError(f"{layer!r} has parameters that are not arrays")


def require_state_of(optimizer: Optimizer, state: Any, weights: Sequence[Array]) -> None:
    """Raise ValueError unless a state fits an optimizer. The user's own optimizers may have any state."""
    if _is_known(optimizer) and not _has_form(state, optimizer.init(list(weights))):
        raise ValueError(f"the state does not fit {optimizer!r}")


def _is_known(optimizer: Any) -> bool:
    """Return whether an optimizer, and the one that it wraps, if any, belong to this package."""
    if type(optimizer) is ClipNorm:
        return _is_known(optimizer.optimizer)
    return type(optimizer) in KNOWN.values()


def _has_form(value: Any, example: Any) -> bool:
    """Return whether a value has the types, keys, shapes and dtypes of an example."""
    if type(value) is not type(example):
        return False
    if isinstance(example, dict):
        return value.keys() == example.keys() and all(_has_form(value[key], example[key]) for key in example)
    if isinstance(example, list):
        return len(value) == len(example) and all(map(_has_form, value, example))
    if isinstance(example, np.ndarray):
        return (value.shape, value.dtype) == (example.shape, example.dtype)
    return bool(value >= 0)  # a count of steps
