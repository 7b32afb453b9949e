"""Network: a stack of layers with their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.computation import Computation
from skcnn._engine.folding import fold_layers, fold_params
from skcnn._engine.lowering import Step, lower
from skcnn._trees import leaves
from skcnn._values import times
from skcnn.layers.base import Layer, Params, Shape

__all__ = ["Network"]

Array = NDArray[Any]

NUMBERS_PER_SHARD = 2**19  # of the network's largest map
MEETING_SHARD = 4  # times as many, where shards meet: they live all at once anyway, and the fewer the less they wait
ROWS_PER_SHARD = 8  # at least, even of large maps: a dense layer's gradient costs the same for one row as for some,
MOST_NUMBERS = 2**22  # but no more numbers than this, for the sake of memory
WORK_WORTH_CUTTING = 3 * 2**23  # multiply-adds: less is done by one thread before another has begun
MULTIPLY_ADDS_PER_NUMBER = 16  # take as long as what else is done with a number of a map


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """Layers, one after the other, with what `build` made of them.

    Attributes
    ----------
    layers : tuple of Layer
    shapes : tuple of tuple of int
        The input's shape and each layer's output shape, without the batch axis: one more than there are layers.
    params : list of dict
        The parameters of each layer, {} for those that have none. Training writes to the arrays.
    states : list of dict
        What each layer remembers between batches, {} for most. Training replaces the items.
    dtype : numpy.dtype
        Of all computation.

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

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """What is computed: the layers, some in another order."""
        return lower(self.layers, self.shapes)

    @cached_property
    def _prediction_steps(self) -> tuple[Step, ...]:
        folded = fold_layers(self.layers)
        return self.steps if folded == self.layers else lower(folded, self.shapes)

    def __repr__(self) -> str:
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        return (
            f"<Network of {layers}, {times(self.shapes[0])} to {times(self.shapes[-1])}, {self.n_params:,} parameters>"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name) for field in fields(self)
        }  # what follows from them is found again

    @classmethod
    def build(cls, layers: Iterable[Layer], in_shape: Shape, rng: np.random.Generator, dtype: Any) -> Network:
        """Draw the parameters of a stack for inputs of `in_shape` (h, w, c).

        Raises
        ------
        ValueError
            If a layer does not fit its input; the text begins with the layer: ``layers[3] Conv2D(...): ...``.
        """
        network = cls((), (in_shape,), [], [], np.dtype(dtype))
        for layer in layers:
            network = network.followed_by(layer, rng)
        return network

    def followed_by(self, layer: Layer, rng: np.random.Generator) -> Network:
        """Return this network with one more layer, whose parameters are drawn."""
        in_shape = self.shapes[-1]
        try:
            params, out_shape = layer.build(in_shape, rng, self.dtype)
        except ValueError as error:
            raise ValueError(f"layers[{len(self.layers)}] {layer!r}: {error}") from error
        state = layer.initial_state(in_shape, self.dtype)
        layers, shapes = (*self.layers, layer), (*self.shapes, out_shape)
        return Network(layers, shapes, [*self.params, params], [*self.states, state], self.dtype)

    def copy(self) -> Network:
        """Return a network of its own weights, writable even where these are a memory map."""
        return Network(self.layers, self.shapes, _own(self.params), _own(self.states), self.dtype)

    def put_back(self, kept: Network) -> None:
        """Write the weights and states of a copy, made earlier, into this network."""
        for (_, array), (_, old) in zip(leaves(self.params), leaves(kept.params), strict=True):
            np.copyto(array, old)
        self.states[:] = kept.states

    @property
    def couples_rows(self) -> bool:
        """Whether any layer makes the rows of a batch depend on each other in training."""
        return any(layer.couples_rows for layer in self.layers)

    @property
    def is_random(self) -> bool:
        """Whether any layer draws random numbers in training."""
        return any(layer.is_random for layer in self.layers)

    @property
    def n_params(self) -> int:
        """How many numbers training adjusts."""
        return sum(array.size for _, array in leaves(self.params))

    def rows_per_shard(self, n_rows: int, meeting: bool = False) -> int:
        """Return how many of so many images are computed at a time, by their size alone.

        Enough that Python's own part takes little of the time, and so few that a cache holds their maps. `meeting`:
        the shards wait for each other, as those of a training batch do where a layer couples its rows.
        """
        largest_map, work = self._size
        numbers = NUMBERS_PER_SHARD * (MEETING_SHARD if meeting else 1)
        most = max(1, numbers // largest_map, min(ROWS_PER_SHARD, MOST_NUMBERS // largest_map))
        return min(most, -(-n_rows // 2)) if n_rows * work > WORK_WORTH_CUTTING else n_rows

    @cached_property
    def _size(self) -> tuple[int, int]:
        """The numbers of the largest map, and the multiply-adds that an image is worth."""
        numbers = [prod(shape) for shape in self.shapes]
        places = zip(self.layers, self.shapes, self.shapes[1:], strict=False)
        products = sum(layer.multiply_adds(in_shape, out_shape) for layer, in_shape, out_shape in places)
        return max(numbers), products + MULTIPLY_ADDS_PER_NUMBER * sum(numbers)

    def predict(self, x: Array) -> Array:
        """Return the output of x (n, h, w, c), writing nothing anywhere."""
        return self.computation().predict(x)

    def computation(self, train: bool = False) -> Computation:
        """Return the passes through the network, for as long as its weights stay as they are.

        In prediction, layers do the work of the normalisations behind them (see `skcnn._engine.folding`).
        """
        if train or self._prediction_steps is self.steps:
            return Computation(self.steps, self.params, self.states, train)
        return Computation(self._prediction_steps, *fold_params(self.layers, self.params, self.states), train=False)

    def summary(self) -> str:
        """Return a table: each layer's output shape, parameters, receptive field and multiply-adds for one image.

        The receptive field is how many pixels of the input, by rows and columns, one number of the output can see.
        """
        rows = [("input", times(self.shapes[0]), 0, "1x1", 0), *self._summary_rows()]
        total = ("total", "", self.n_params, "", sum(row[4] for row in rows))
        table = [("layer", "output", "parameters", "receptive field", "multiply-adds")]
        table += [(name, shape, f"{n:,}", field, f"{work:,}") for name, shape, n, field, work in [*rows, total]]
        widths = [max(len(row[column]) for row in table) for column in range(5)]
        aligned = (
            [f"{cell:<{w}}" if i < 2 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
            for row in table
        )
        return "\n".join("  ".join(cells).rstrip() for cells in aligned)

    def _summary_rows(self) -> Iterable[tuple[str, str, int, str, int]]:
        field, step = [1, 1], [1, 1]
        sees_all = False
        for layer, params, in_shape, out_shape in zip(
            self.layers, self.params, self.shapes[:-1], self.shapes[1:], strict=True
        ):
            window = layer.window(in_shape)
            sees_all = sees_all or window is None
            if window is not None:
                size, stride = window
                field = [f + (s - 1) * j for f, s, j in zip(field, size, step, strict=True)]
                step = [j * s for j, s in zip(step, stride, strict=True)]
            n_params = sum(array.size for _, array in leaves(params))
            work = layer.multiply_adds(in_shape, out_shape)
            yield repr(layer), times(out_shape), n_params, "all" if sees_all else times(field), work


def _own(trees: list[Params]) -> list[Params]:
    """Copy a tree; arrays of a memory map become plain ones."""
    return [{key: _own([v])[0] if isinstance(v, dict) else np.array(v) for key, v in tree.items()} for tree in trees]
