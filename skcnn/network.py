"""Network: a chain of layers with its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._caching import cached_property
from skcnn._engine.lowering import LoweredChain, lower
from skcnn._engine.passes import Passes, by_layer
from skcnn._engine.sharding import cut, samples_per_shard
from skcnn._html import html_table
from skcnn._trees import leaves
from skcnn._values import times
from skcnn.layers.base import Layer, Params, Shape
from skcnn.layers.path import LayerIndex, inner_layers, path_to
from skcnn.layers.sequential import Sequential

__all__ = ["Network"]

Array = NDArray[Any]

MULTIPLY_ADDS_PER_ELEMENT = 16  # they take as long as all other work on one element of a feature map


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A chain of layers with its parameters, made by `build`.

    Attributes
    ----------
    layers : tuple of Layer
    shapes : tuple of tuple of int
        The shape of the input and of each layer's output, without the batch axis. There is one more shape than layers.
    params : list of dict
        The parameters of each layer, {} for layers without parameters. Training changes the arrays in place.
    states : list of dict
        The state of each layer between batches, {} for most layers. Training replaces the items.
    dtype : numpy.dtype
        The precision of all calculations.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
    >>> layers = [Conv2D(4), ReLU(), MaxPool2D(), Flatten(), Dense(10)]
    >>> network = Network.build(layers, (8, 8, 1), np.random.default_rng(0), np.float32)
    >>> network.predict(np.zeros((3, 8, 8, 1), np.float32)).shape
    (3, 10)
    >>> print(network.summary())
    layer                               output  parameters  receptive field  multiply-adds
    input                               8x8x1            0              1x1              0
    Conv2D(n_kernels=4, kernel_size=3)  8x8x4           40              3x3          2,304
    ReLU()                              8x8x4            0              3x3              0
    MaxPool2D(pool_size=2)              4x4x4            0              4x4              0
    Flatten()                           64               0              4x4              0
    Dense(n_units=10)                   10             650              all            640
    total                                              690                           2,944
    """

    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]
    params: list[Params]
    states: list[Params]
    dtype: np.dtype[Any]

    @classmethod
    def build(cls, layers: Iterable[Layer], in_shape: Shape, rng: np.random.Generator, dtype: Any) -> Network:
        """Draw the parameters of a chain of layers for inputs of `in_shape` (h, w, c).

        Raises
        ------
        ValueError
            If a layer does not fit its input. The message starts with the layer: ``layers[3] Conv2D(...): ...``.
        """
        chain = Sequential(tuple(layers))
        shapes = tuple(chain.shapes(in_shape))
        n_layers = len(chain.layers)
        params = by_layer(chain.init(in_shape, rng, dtype), n_layers)
        states = by_layer(chain.initial_state(in_shape, dtype), n_layers)
        return cls(tuple(chain.layers), shapes, params, states, np.dtype(dtype))

    def __repr__(self) -> str:
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        return (
            f"<Network of {layers}, {times(self.shapes[0])} to {times(self.shapes[-1])}, {self.n_params:,} parameters>"
        )

    def __getstate__(self) -> dict[str, Any]:
        # cached properties are not pickled, but computed again when they are needed
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def copy(self) -> Network:
        """Return a network with a copy of the weights. The copy is writable, even if the weights are a memory map."""
        return Network(self.layers, self.shapes, _own(self.params), _own(self.states), self.dtype)

    def restore(self, saved: Network) -> None:
        """Restore the weights and states from an earlier copy of this network."""
        for (_, array), (_, old) in zip(leaves(self.params), leaves(saved.params), strict=True):
            np.copyto(array, old)
        self.states[:] = saved.states

    @cached_property
    def chain(self) -> Sequential:
        """The layers of the network, as one layer."""
        return Sequential(self.layers)

    @cached_property
    def _lowered(self) -> dict[tuple[bool, str], LoweredChain]:
        """The lowered chains that were needed so far: for training or for prediction, with a backend."""
        return {}

    def _lower(self, train: bool, backend: str) -> LoweredChain:
        if (train, backend) not in self._lowered:
            self._lowered[train, backend] = lower(self.chain, self.shapes[0], train=train, backend=backend)
        return self._lowered[train, backend]

    @property
    def n_params(self) -> int:
        """The number of parameters that training adjusts."""
        return sum(array.size for _, array in leaves(self.params))

    def shards(self, n_samples: int, *, train: bool = False, backend: str = "numpy") -> list[slice]:
        """Cut `n_samples` samples into the shards of a training batch, or into the blocks of a prediction."""
        together, by_image = train and self.chain.depends_on_batch, not train and backend == "numba"
        return cut(n_samples, samples_per_shard(n_samples, *self._size, together=together, by_image=by_image))

    @cached_property
    def _size(self) -> tuple[int, int]:
        """The number of elements in the largest feature map, and the work for one sample, in multiply-adds."""
        elements = [prod(shape) for shape in _shapes_within(self.chain, self.shapes[0])]
        products = self.chain.multiply_adds(self.shapes[0], self.shapes[-1])
        return max(elements), products + MULTIPLY_ADDS_PER_ELEMENT * sum(elements)

    def up_to(self, layer: LayerIndex) -> Network:
        """Return the network that ends with a layer. It has the same arrays.

        Parameters
        ----------
        layer : int or tuple of int
            The index of the layer in `layers`. Negative indices count from the end. A tuple is the position of a layer
            inside `Sequential` or `Residual`: ``(2, 0)`` is the first layer in ``layers[2]``.

        Raises
        ------
        TypeError
            If `layer` has another type.
        IndexError
            If the network has no such layer.

        Examples
        --------
        >>> import numpy as np
        >>> from skcnn.layers import Conv2D, Flatten, ReLU
        >>> network = Network.build([Conv2D(4), ReLU(), Flatten()], (8, 8, 1), np.random.default_rng(0), np.float32)
        >>> network.up_to(0).predict(np.zeros((3, 8, 8, 1), np.float32)).shape
        (3, 8, 8, 4)
        """
        first, *inside = path_to(self.layers, layer)
        end = first + 1
        layers, params, states = list(self.layers[:end]), self.params[:end], self.states[:end]
        if inside:
            layers[-1] = _first_part(layers[-1], inside)
            params[-1], states[-1] = _tree_of_first_part(params[-1], inside), _tree_of_first_part(states[-1], inside)
        shapes = tuple(Sequential(layers).shapes(self.shapes[0]))
        return Network(tuple(layers), shapes, params, states, self.dtype)

    def predict(self, x: Array, *, backend: str = "numpy") -> Array:
        """Return the output for x (n, h, w, c), without changing the network."""
        return self.passes(backend=backend).predict(x)

    def passes(self, *, train: bool = False, backend: str = "numpy") -> Passes:
        """Return the passes through the network. They are valid until the weights change."""
        return Passes(self._lower(train, backend), self.shapes[0], self.params, self.states, train=train)

    def summary(self) -> str:
        """Return a table: each layer's output shape, parameters, receptive field and multiply-adds for one sample.

        The receptive field is the part of the input that one element of the output sees, in rows and columns of pixels.
        """
        table = self._summary_table()
        widths = [max(len(row[column]) for row in table) for column in range(5)]
        aligned = (
            [f"{cell:<{w}}" if i < 2 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
            for row in table
        )
        return "\n".join("  ".join(cells).rstrip() for cells in aligned)

    def _repr_html_(self) -> str:
        """Return the summary as a table in HTML, for notebooks."""
        header, *rows = self._summary_table()
        return html_table(header, rows, n_left=2)

    def _summary_table(self) -> list[tuple[str, ...]]:
        """Return the header and the rows of the summary."""
        rows = [("input", times(self.shapes[0]), 0, "1x1", 0), *self._summary_rows()]
        total = ("total", "", self.n_params, "", sum(row[4] for row in rows))
        cells = [(name, shape, f"{n:,}", field, f"{work:,}") for name, shape, n, field, work in [*rows, total]]
        return [("layer", "output", "parameters", "receptive field", "multiply-adds"), *cells]

    def _summary_rows(self) -> Iterator[tuple[str, str, int, str, int]]:
        windows = self.chain.windows(self.shapes[0])
        of_layers = zip(self.layers, self.params, pairwise(self.shapes), windows, strict=True)
        for layer, params, (in_shape, out_shape), window in of_layers:
            n_params = sum(array.size for _, array in leaves(params))
            work = layer.multiply_adds(in_shape, out_shape)
            yield repr(layer), times(out_shape), n_params, times(window[0]) if window else "all", work


def _shapes_within(chain: Sequential, in_shape: Shape) -> list[Shape]:
    """Return the shapes between all layers, those of nested chains too. Residual blocks count as one layer."""
    shapes = [in_shape]
    for layer in chain.layers:
        if isinstance(layer, Sequential) and type(layer) is Sequential:
            shapes += _shapes_within(layer, shapes[-1])[1:]
        else:
            shapes.append(tuple(layer.out_shape(shapes[-1])))
    return shapes


def _first_part(chain: Layer, inside: Sequence[int]) -> Sequential:
    """Return the layers of a chain up to the one at a position inside it. A residual block's sum is after them."""
    last, *further = inside
    layers = list(inner_layers(chain)[: last + 1])
    if further:
        layers[-1] = _first_part(layers[-1], further)
    return Sequential(layers)


def _tree_of_first_part(tree: Params, inside: Sequence[int]) -> Params:
    """Return the entries of a chain's parameters, or of its state, that `_first_part` needs."""
    last, *further = inside
    part = {key: of_layer for key, of_layer in tree.items() if key.isdigit() and int(key) <= last}
    if further and str(last) in part:
        part[str(last)] = _tree_of_first_part(part[str(last)], further)
    return part


def _own(trees: list[Params]) -> list[Params]:
    """Copy a tree. Memory-mapped arrays become plain arrays."""
    return [{key: _own([v])[0] if isinstance(v, dict) else np.array(v) for key, v in tree.items()} for tree in trees]
