"""Architecture: from the classifier's parameters to a chain of layers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import Any

import numpy as np

from skcnn import layers as layer_types
from skcnn._estimator.automatic import is_automatic, resolved
from skcnn._estimator.warning import warn
from skcnn._memory import require_memory
from skcnn._trees import leaves
from skcnn._values import is_count, is_number, is_size, pair, plain
from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Layer,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from skcnn.layers.base import Shape
from skcnn.network import Network

__all__ = [
    "ACTIVATIONS",
    "ARCHITECTURE",
    "POOLS",
    "build_network",
    "convolutional_stack",
    "layers_from",
    "warn_if_one_layer_dominates",
]

ACTIVATIONS: dict[str, Layer | None] = {
    "identity": None,
    "relu": ReLU(),
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": SiLU(),
    "tanh": Tanh(),
    "logistic": Sigmoid(),
}
POOLS = {"max": MaxPool2D, "min": MinPool2D, "avg": AvgPool2D}
# the classifier's parameters that `layers` replaces, with their default values
ARCHITECTURE = {
    "n_kernels": "auto",
    "kernel_size": 3,
    "pool_size": 2,
    "hidden_layer_sizes": "auto",
    "activation": "relu",
    "stride": 1,
    "padding": "same",
    "pool": "max",
    "batch_norm": "auto",
    "dropout": "auto",
}
LARGE_NETWORK, NEARLY_ALL = 1_000_000, 0.95  # parameters, and the share of a layer that dominates
_RECTIFIERS = (ReLU, LeakyReLU, ELU, GELU, SiLU)


def layers_from(parameters: dict[str, Any], in_shape: Shape, *, shrink: bool) -> tuple[Layer, ...]:
    """Return all layers but the output layer.

    Parameters
    ----------
    parameters : dict
        The parameters in `ARCHITECTURE`, and optionally ``layers``. With ``layers``, all others must have their default
        values.
    in_shape : (h, w, c)
    shrink : bool
        Whether kernels and pooling windows that are larger than their feature map shrink to its size. If the number of
        layers is automatic, pooling windows always shrink, and kernels do for images with one row or column.

    Raises
    ------
    ValueError
        If `layers` is given together with other parameters, or if a parameter is invalid.
    """
    layers = parameters.get("layers")
    if layers is None:
        given = {name: parameters[name] for name in ARCHITECTURE}
        chosen = is_automatic(parameters["n_kernels"])  # by us, so it must fit
        return convolutional_stack(
            in_shape,
            **resolved(given, in_shape),
            shrink_kernels=shrink or (chosen and 1 in in_shape[:2]),
            shrink_pools=shrink or chosen,
        )
    changed = [name for name in ARCHITECTURE if parameters[name] != ARCHITECTURE[name]]
    if changed:
        raise ValueError(f"layers replaces {changed}: set either these parameters or layers, not both")
    return _checked_layers(layers)


def convolutional_stack(
    in_shape: Shape,
    *,
    n_kernels: int | Sequence[int],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    pool: Any,
    pool_size: Any,
    hidden_layer_sizes: int | Sequence[int],
    activation: Any,
    batch_norm: bool,
    dropout: Any,
    head: Layer,
    shrink_kernels: bool,
    shrink_pools: bool,
) -> tuple[Layer, ...]:
    """Return the layers of a network without its output layer: blocks of a convolution, then blocks of a dense layer.

    Each block continues with batch normalisation, activation, pool (only after convolutions) and dropout, in this
    order.

    Parameters
    ----------
    in_shape : (h, w, c)
    n_kernels, kernel_size, stride, padding, pool, pool_size, hidden_layer_sizes, activation, batch_norm, dropout
        The parameters of `NumpyCNNClassifier`, but not "auto": one value, or one value per layer.
    head : Layer
        The layer between the convolutions and the dense layers. It turns feature maps into rows.
    shrink_kernels, shrink_pools : bool
        Whether to shrink kernels and pooling windows that are larger than their feature map to its size.

    Raises
    ------
    ValueError
        If the length of a sequence is not the number of layers, or an item is out of range.
    """
    kernels = _counts("n_kernels", n_kernels)
    hidden = _counts("hidden_layer_sizes", hidden_layer_sizes)
    if not kernels:
        raise ValueError(
            "n_kernels must contain at least one number, got (); for a network without convolutions, pass "
            "layers=[Flatten(), ...]"
        )
    per_convolution = zip(
        kernels,
        _per_layer("kernel_size", kernel_size, len(kernels), is_size),
        _per_layer("stride", stride, len(kernels), is_size),
        _per_layer("padding", padding, len(kernels), _is_padding),
        _per_layer("pool", pool, len(kernels), _is_pool),
        _per_layer("pool_size", pool_size, len(kernels), is_size),
        strict=True,
    )
    n_layers = len(kernels) + len(hidden)
    activations = [_layer(active) for active in _per_layer("activation", activation, n_layers, _is_activation)]
    rates = _per_layer("dropout", dropout, n_layers, _is_rate)
    # batch norm subtracts the mean, and with it any bias, and then adds a bias of its own
    norm, bias = ([BatchNorm()], False) if batch_norm else ([], True)
    stack: list[Layer] = []
    shape = in_shape
    of_convolutions = zip(per_convolution, activations, rates, strict=False)
    for (count, size, step, pad, pool_name, window), active, rate in of_convolutions:
        if shrink_kernels:
            size = _shrunk_kernel(size, pad, shape)
        stack += [Conv2D(count, size, step, pad, bias=bias, initializer=_initializer(active)), *norm, *_given(active)]
        if shrink_pools:
            window = _shrunk_window(window, Sequential(stack).out_shape(in_shape))
        stack += [POOLS[pool_name](window)] if pair(window) != (1, 1) else []
        shape = Sequential(stack).out_shape(in_shape) if shrink_kernels else shape
        stack += _dropout(rate)
    stack.append(head)
    for units, active, rate in zip(hidden, activations[len(kernels) :], rates[len(kernels) :], strict=True):
        stack += [Dense(units, bias=bias, initializer=_initializer(active)), *norm, *_given(active), *_dropout(rate)]
    return tuple(stack)


def build_network(
    layers: Sequence[Layer], n_outputs: int, in_shape: Shape, rng: np.random.Generator, dtype: Any
) -> Network:
    """Build a network from these layers and an output layer, which returns logits.

    Raises
    ------
    ValueError
        If a layer does not fit, or the last one returns feature maps.
    MemoryError
        If the network is far too large for this computer.
    """
    *_, shape = shapes = Sequential(layers).shapes(in_shape)
    if len(shape) != 1:
        raise ValueError(
            f"the last layer returns feature maps of shape {shape}, but it must return rows; append Flatten() or "
            "GlobalAvgPool2D()"
        )
    output_layer = Dense(n_outputs, initializer="glorot_uniform")
    try:
        # training needs all feature maps and their gradients
        largest = max(range(len(layers)), key=lambda index: prod(shapes[index + 1]))
        what = f"the feature maps of one image, of which layers[{largest}] {layers[largest]!r} returns the largest,"
        require_memory(2 * sum(map(prod, shapes)) * np.dtype(dtype).itemsize, what)
        return Network.build([*layers, output_layer], in_shape, rng, dtype)
    except MemoryError as error:
        where = "; ".join([str(error), *getattr(error, "__notes__", ())])  # a note may name the layer
        sizes = "n_kernels, kernel_size, padding, hidden_layer_sizes or layers"
        raise MemoryError(f"the network is too large, so {sizes} must be smaller: {where}") from error


def warn_if_one_layer_dominates(network: Network) -> None:
    """Warn if a dense layer has nearly all parameters of a large network.

    This happens if large feature maps are flattened. Such a network learns slowly, and generalises badly from few
    images.
    """
    counts = [sum(array.size for _, array in leaves(params)) for params in network.params]
    index = int(np.argmax(counts))
    layer, n_inputs = network.layers[index], prod(network.shapes[index])
    if isinstance(layer, Dense) and sum(counts) > LARGE_NETWORK and counts[index] > NEARLY_ALL * sum(counts):
        warn(
            f"layers[{index}] {layer!r} has {counts[index]:,} of the network's {sum(counts):,} parameters, because it "
            f"has {n_inputs:,} inputs. Such networks learn slowly and need many images. More convolutions with pooling "
            "make the feature maps smaller, as the defaults of n_kernels and pool_size do, and GlobalAvgPool2D() has "
            "far fewer outputs than Flatten()"
        )


def _checked_layers(layers: Any) -> tuple[Layer, ...]:
    """Return the user's layers as a tuple.

    Raises
    ------
    ValueError
        If there are no layers, if an item is not a layer, or if the last layer is a softmax or sigmoid.
    """
    if not layers:
        raise ValueError("layers must contain at least one layer, got none")
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            known = ", ".join(name for name in layer_types.__all__ if hasattr(getattr(layer_types, name), "out_shape"))
            hint = f"; write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise ValueError(
                f"layers[{index}] must be a layer ({known}, or your own subclass of skcnn.layers.Layer), "
                f"got {layer!r}{hint}"
            )
    last = layers[-1]
    while type(last) is Sequential:
        last = last.layers[-1]
    if isinstance(last, Softmax | Sigmoid):
        raise ValueError(
            f"layers[{len(layers) - 1}] {last!r}: the output layer and its softmax or sigmoid are appended "
            "automatically; leave out this layer"
        )
    return tuple(layers)


def _shrunk_kernel(size: Any, pad: Any, shape: Shape) -> Any:
    """Shrink a kernel to the padded feature map. With "same", any kernel fits, but its rest would see only padding."""
    rows, columns = pair(pad) if not isinstance(pad, str) else (0, 0)
    return _at_most(size, (shape[0] + 2 * rows, shape[1] + 2 * columns))


def _shrunk_window(window: Any, shape: Shape) -> Any:
    """Shrink a pooling window to the feature map. In a single row or column, no window may leave only one element."""
    rows, columns = pair(window := _at_most(window, shape[:2]))
    leaves_one = shape[0] // rows == shape[1] // columns == 1
    return 1 if leaves_one and 1 in shape[:2] else window


def _at_most(size: Any, limit: Shape) -> Any:
    rows, columns = pair(size)
    return size if rows <= limit[0] and columns <= limit[1] else (min(rows, limit[0]), min(columns, limit[1]))


def _given(active: Layer | None) -> list[Layer]:
    return [active] if active else []


def _dropout(rate: float) -> list[Layer]:
    return [Dropout(rate)] if rate else []


def _initializer(active: Layer | None) -> str:
    return "he_uniform" if isinstance(active, _RECTIFIERS) else "glorot_uniform"


def _layer(active: str | Layer) -> Layer | None:
    return ACTIVATIONS[active] if isinstance(active, str) else active


def _is_activation(value: object) -> bool:
    return isinstance(value, Layer) or (isinstance(value, str) and value in ACTIVATIONS)


def _is_rate(value: object) -> bool:
    return is_number(value, 0, 1)


def _is_pool(value: object) -> bool:
    return isinstance(value, str) and value in POOLS


def _is_padding(value: object) -> bool:
    return value in ("same", "valid") if isinstance(value, str) else is_size(value, 0)


def _counts(name: str, value: Any) -> list[int]:
    counts = [value] if isinstance(value, Integral) else value
    if not isinstance(counts, tuple | list) or not all(is_count(count) for count in counts):
        raise ValueError(f"{name} must be an int of at least 1 or a sequence of such ints, got {value!r}")
    return [int(count) for count in counts]


def _per_layer(name: str, value: Any, n_layers: int, fits: Any) -> list[Any]:
    """Return one value for each layer: the items of a sequence, or the same value for all."""
    one_each = isinstance(value, tuple | list)
    values = list(value) if one_each else [value] * n_layers
    if len(values) != n_layers:
        example = ((3, 5),) * n_layers
        hint = f"; put pairs (rows, columns) inside a sequence, as in {example}" if name in _SIZES else ""
        raise ValueError(
            f"{name} must be one value, or a sequence with one value for each of the {n_layers} layers, got "
            f"{len(values)}: {value!r}{hint}"
        )
    for index, item in enumerate(values):
        if not fits(item):
            raise ValueError(f"{name}{f'[{index}]' if one_each else ''} is out of range: {item!r}; {_EXPECTED[name]}")
    return [plain(item) for item in values]


_SIZES = ("kernel_size", "stride", "pool_size", "padding")
_SIZE = "it must be an int of at least 1 or a tuple (rows, columns) of such ints"
_EXPECTED = {
    "kernel_size": _SIZE,
    "stride": _SIZE,
    "pool_size": _SIZE,
    "padding": "it must be 'same', 'valid', an int of at least 0 or a pair of such ints",
    "pool": f"it must be one of {sorted(POOLS)}",
    "dropout": "it must be a number in [0, 1)",
    "activation": f"it must be one of {sorted(ACTIVATIONS)} or a layer",
}
