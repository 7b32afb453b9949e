"""A chain of layers, which is a layer itself."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from skcnn._functions import name_error
from skcnn._trees import add
from skcnn._values import is_number
from skcnn.layers.base import (
    PREDICT,
    TRAIN,
    Array,
    Backward,
    Context,
    Exchange,
    Forward,
    Layer,
    Params,
    Result,
    Rng,
    Shape,
    Window,
    alone,
)

__all__ = ["Operation", "Sequential"]


class Operation(NamedTuple):
    """One computation in a chain.

    Attributes
    ----------
    layer : Layer
    sources : tuple of str
        The indices of the chain's layers that this operation computes, as in the chain's parameters. If there are
        several, the parameters of `layer` are those of a chain of these layers.
    """

    layer: Layer
    sources: tuple[str, ...]


class Prepared(NamedTuple):
    """A chain's parameters, prepared for inputs of one shape.

    Attributes
    ----------
    operations : tuple of Operation
    shapes : sequence of tuple of int
        The shapes of the input and of each operation's output.
    params : list
        The prepared parameters of each operation's layer.
    first : int
        The index of the first operation that `backward` reaches.
    """

    operations: tuple[Operation, ...]
    shapes: Sequence[Shape]
    params: list[Any]
    first: int


@dataclass(frozen=True, repr=False)
class Sequential(Layer):
    """A chain of layers: the output of each layer is the input of the next one.

    Parameters
    ----------
    layers : sequence of Layer
        At least one.

    Shape
    -----
    in: the input shape of the first layer; out: the output shape of the last layer. The parameters are one dict per
    layer, with the layer's index as its key: "0", "1", ... Layers without parameters have no entry.

    Raises
    ------
    ValueError
        On creation, if `layers` is not a sequence of layers. Errors from a layer start with its index and name:
        ``layers[3] Conv2D(...): ...``.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.layers import Conv2D, MaxPool2D, ReLU
    >>> block = Sequential([Conv2D(8), ReLU(), MaxPool2D()])
    >>> block.out_shape((14, 14, 3))
    (7, 7, 8)
    >>> params = block.init((14, 14, 3), np.random.default_rng(0), np.float32)
    >>> params["0"]["W"].shape
    (3, 3, 3, 8)
    >>> block.apply(params, np.zeros((2, 14, 14, 3), np.float32)).shape
    (2, 7, 7, 8)
    """

    always_shown = ("layers",)

    layers: Sequence[Layer]

    def __post_init__(self) -> None:
        fits = isinstance(self.layers, tuple | list) and len(self.layers) > 0
        fits = fits and all(isinstance(layer, Layer) for layer in self.layers)
        self._check("layers", fits, "a sequence of at least one layer")
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def draws(self) -> bool:  # type: ignore[override]  # a constant in most classes
        return any(layer.draws for layer in self.layers)

    @property
    def depends_on_batch(self) -> bool:  # type: ignore[override]
        return any(layer.depends_on_batch for layer in self.layers)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations in the order in which they are computed: one per layer."""
        return tuple(Operation(layer, (str(index),)) for index, layer in enumerate(self.layers))

    def shapes(self, in_shape: Shape) -> Sequence[Shape]:
        """Return the shape of the input and of each operation's output."""
        shapes = [in_shape]
        for operation in self.operations:
            shapes.append(self._call(operation, _out_shape, operation.layer, shapes[-1]))
        return shapes

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.shapes(in_shape)[-1]

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        params: Params = {}
        for operation, shape in zip(self.operations, self.shapes(in_shape), strict=False):
            of_layer = self._call(operation, operation.layer.init, shape, rng, dtype)
            self._call(operation, _put, params, operation, self._call(operation, _in_dtype, of_layer, dtype))
        return params

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        state: Params = {}
        for operation, shape in zip(self.operations, self.shapes(in_shape), strict=False):
            of_layer = self._call(operation, operation.layer.initial_state, shape, dtype)
            self._call(operation, _put, state, operation, of_layer)
        return state

    def next_state(self, state: Params, cache: Any) -> Params:
        new: Params = {}
        for operation, of_operation in zip(self.operations, cache, strict=True) if state else ():
            of_layer = self._call(operation, operation.layer.next_state, _gather(operation, state), of_operation)
            self._call(operation, _put, new, operation, of_layer)
        return new

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        operations, shapes = self.operations, self.shapes(in_shape)
        own_params = [_gather(operation, params) for operation in operations]
        first = 0
        if not context.need_d_x:
            first = next((i for i, own in enumerate(own_params) if own), len(operations))
        contexts, prepared, i = _contexts(operations, context, first), [], 0
        try:
            for i, operation in enumerate(operations):
                prepared.append(operation.layer.prepare(own_params[i], shapes[i], contexts[i]))
        except Exception as error:
            self._name(operations[i], error)
            raise
        return Prepared(operations, shapes, prepared, first)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Any:
        passing = self.forward_pass(params, x, context)
        return passing if self.depends_on_batch else alone(passing)

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Any:
        passing = self.backward_pass(params, cache, d_out, context)
        return passing if self.depends_on_batch else alone(passing)

    def forward_pass(self, prepared: Any, x: Array, context: Context) -> Exchange[Forward]:
        """Return what `forward` returns, as a generator, even if no layer depends on the batch."""
        operations, shapes, params, first = prepared
        n_samples, dtype, caches = len(x), x.dtype, []
        if x.shape[1:] != shapes[0]:
            raise ValueError(f"the input has the shape {x.shape}, needed {(n_samples, *shapes[0])}")
        contexts = _contexts(operations, context, first)
        try:
            for (layer, _), own_params, own_context, shape in zip(
                operations, params, contexts, shapes[1:], strict=True
            ):
                passing = layer.forward(own_params, x, own_context)
                result = (yield from _generator(passing)) if layer.depends_on_batch else passing
                if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], np.ndarray):
                    raise TypeError(f"forward must return (output, cache), got {reprlib.repr(result)}")
                x, cache = result
                if x.shape != (n_samples, *shape):
                    raise _wrong_shape("forward returned", x, (n_samples, *shape))
                if x.dtype is not dtype and x.dtype.kind != dtype.kind:
                    raise _wrong_dtype("forward returned", x, dtype)
                caches.append(cache)
                del passing, result  # they hold x, and the memory of x is needed again
        except Exception as error:
            self._name(operations[min(len(caches), len(operations) - 1)], error)
            raise
        return x, caches if context.train else None

    def backward_pass(self, prepared: Any, caches: Any, d_out: Array, context: Context) -> Exchange[Backward]:
        """Return what `backward` returns, as a generator, even if no layer depends on the batch."""
        operations, shapes, params, first = prepared
        n_samples, dtype, i = len(d_out), d_out.dtype, first
        d_x: Any = d_out
        d_prepared: list[Any] = [{}] * len(operations)
        contexts = _contexts(operations, context, first)
        try:
            for i in reversed(range(first, len(operations))):
                layer = operations[i].layer
                passing = layer.backward(params[i], caches.pop(), d_x, contexts[i])
                result = (yield from _generator(passing)) if layer.depends_on_batch else passing
                is_pair = isinstance(result, tuple) and len(result) == 2
                if not is_pair or (contexts[i].need_d_x and not isinstance(result[0], np.ndarray)):
                    raise TypeError(f"backward must return (d_x, gradients), got {reprlib.repr(result)}")
                d_x, d_prepared[i] = result
                if contexts[i].need_d_x and d_x.shape != (n_samples, *shapes[i]):
                    raise _wrong_shape("backward returned as d_x", d_x, (n_samples, *shapes[i]))
                if contexts[i].need_d_x and d_x.dtype is not dtype and d_x.dtype.kind != dtype.kind:
                    raise _wrong_dtype("backward returned as d_x", d_x, dtype)
                del passing, result
        except Exception as error:
            self._name(operations[i], error)
            raise
        return d_x if context.need_d_x else None, d_prepared

    def add_gradients(self, params: Any, d_prepared: Any, more: Any) -> Any:
        """Return the sum of what `backward` returned for two shards."""
        both = zip(params.operations, d_prepared, more, strict=True)
        return [self._call(operation, add, one, other) for operation, one, other in both]

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        operations, _, own_params, first = params
        grads: Params = {}
        i = first
        try:
            for i in range(first, len(operations)):
                _put(grads, operations[i], operations[i].layer.gradients(own_params[i], d_prepared[i]))
        except Exception as error:
            self._name(operations[i], error)
            raise
        return grads

    def windows(self, in_shape: Shape) -> Iterator[Window | None]:
        """Yield the window of the chain's input that one output of each operation sees, as in `Layer.window`."""
        size, stride = (1, 1), (1, 1)
        sees_all = False
        for operation, shape in zip(self.operations, self.shapes(in_shape), strict=False):
            window = self._call(operation, operation.layer.window, shape)
            sees_all = sees_all or window is None
            if window is not None:
                (rows, columns), (row_stride, column_stride) = window
                size = size[0] + (rows - 1) * stride[0], size[1] + (columns - 1) * stride[1]
                stride = stride[0] * row_stride, stride[1] * column_stride
            yield None if sees_all else (size, stride)

    def window(self, in_shape: Shape) -> Window | None:
        *_, last = self.windows(in_shape)
        return last

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        total = 0
        for operation, both in zip(self.operations, pairwise(self.shapes(in_shape)), strict=True):
            total += self._call(operation, _multiply_adds, operation.layer, *both)
        return total

    def _call(self, operation: Operation, method: Callable[..., Result], *args: Any) -> Result:
        """Call a method of an operation's layer. An error that it raises names the layer."""
        try:
            return method(*args)
        except Exception as error:
            self._name(operation, error)
            raise

    def _name(self, operation: Operation, error: Exception) -> None:
        """Put the index and name of an operation's layers before the message of an error."""
        name = " and ".join(f"layers[{source}] {self.layers[int(source)]!r}" for source in operation.sources)
        name_error(error, name)


def _out_shape(layer: Layer, in_shape: Shape) -> Shape:
    """Return the shape of a layer's output. Raise TypeError if the layer does not return a shape."""
    shape: Any = layer.out_shape(in_shape)
    if not isinstance(shape, tuple | list) or not all(isinstance(size, Integral) and int(size) > 0 for size in shape):
        raise TypeError(f"out_shape must return a tuple of ints of at least 1, got {shape!r}")
    return tuple(shape)


def _multiply_adds(layer: Layer, in_shape: Shape, out_shape: Shape) -> int:
    count = layer.multiply_adds(in_shape, out_shape)
    if not is_number(count, 0):
        raise TypeError(f"multiply_adds must return a number of at least 0, got {count!r}")
    return count


def _in_dtype(params: Any, dtype: Any) -> Any:
    """Return what `init` returned with all arrays in a dtype. Raise TypeError if they are not real numbers."""
    if not isinstance(params, dict):
        return params
    for name, value in params.items():
        if not isinstance(name, str):
            raise TypeError(f"init must return a dict with strings as keys, got {name!r}")
        if not isinstance(value, dict) and np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(f"init must return arrays of real numbers, but {name!r} is {value!r}")
    return {
        name: _in_dtype(value, dtype) if isinstance(value, dict) else np.asarray(value, dtype)
        for name, value in params.items()
    }


def _gather(operation: Operation, tree: Params) -> Params:
    """Return an operation's part of a chain's parameters, or of its state."""
    sources = operation.sources
    if len(sources) == 1:
        part: Params = tree.get(sources[0], {})
        return part
    return {str(i): tree[source] for i, source in enumerate(sources) if source in tree}


def _put(tree: Params, operation: Operation, part: Params) -> None:
    """Put an operation's part into a chain's parameters, or into its state: the reverse of `_gather`."""
    if part is not None and not isinstance(part, dict):
        raise TypeError(f"parameters, states and gradients must be dicts, got {type(part).__name__}")
    if len(operation.sources) > 1:
        tree.update((operation.sources[int(name)], of_layer) for name, of_layer in part.items())
    elif part:
        tree[operation.sources[0]] = part


def _contexts(operations: Sequence[Operation], context: Context, first: int) -> list[Context]:
    """Return the context of each operation: that of the chain, but with the operation's state and need of `d_x`."""
    shared = context._replace(state={}) if context.state else context
    behind_first = shared if shared.need_d_x else shared._replace(need_d_x=True)
    contexts = ([shared] * (first + 1) + [behind_first] * len(operations))[: len(operations)]
    for i, operation in enumerate(operations) if context.state else ():
        if own_state := _gather(operation, context.state):
            contexts[i] = contexts[i]._replace(state=own_state)
    return contexts


def _generator(passing: Any) -> Exchange[Any]:
    """Return a pass. Raise TypeError if it is not a generator."""
    if not isinstance(passing, Generator):
        raise TypeError(
            "a layer with depends_on_batch=True must yield in forward, at least in training, and in backward: "
            f"total = yield part; got {type(passing).__name__} instead of a generator"
        )
    return passing


def _wrong_shape(what: str, x: Array, expected: Shape) -> ValueError:
    return ValueError(f"{what} an array of shape {x.shape}, but by out_shape it must be {expected}")


def _wrong_dtype(what: str, x: Array, expected: Any) -> TypeError:
    return TypeError(f"{what} an array of {x.dtype}, but it must be {expected}")
