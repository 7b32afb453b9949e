"""The graph of an ONNX model: operators and constants. It is plain Python, and does not need the package onnx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Graph", "Node"]

Array = NDArray[Any]


class Node(NamedTuple):
    """An operator of the graph. Its name is also the name of its output."""

    operator: str
    inputs: tuple[str, ...]
    name: str
    attributes: dict[str, Any]


class Graph:
    """A graph to which operators are added, one after another. Tensors are known by their names.

    ONNX has its own layout of feature maps: convolutions and pools take and return (n, c, h, w). Layers take and return
    (n, h, w, c), so their operators stand between `channels_first` and `channels_last`. These add no operator if the
    tensor already exists in the other layout, so consecutive layers do not transpose back and forth.

    Parameters
    ----------
    prefix : str, default=""
        What all names start with.

    Examples
    --------
    >>> graph = Graph()
    >>> graph.add("Mul", "X", 2.0)
    'Mul'
    >>> graph.nodes
    [Node(operator='Mul', inputs=('X', 'Mul:1'), name='Mul', attributes={})]
    >>> graph.constants
    {'Mul:1': array(2., dtype=float32)}
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self._prefix = prefix
        self._uses: Counter[str] = Counter()  # of names
        self._first: dict[str, str] = {}  # feature maps (n, h, w, c) -> the same with channels first

    def add(self, operator: str, *inputs: Any, output: str | None = None, **attributes: Any) -> str:
        """Add an operator, and return the name of its first output.

        Parameters
        ----------
        operator : str
            An operator of ONNX, such as "Relu".
        *inputs : str, array or number
            Names of tensors, and constants. Constants become float32 or int64.
        output : str, default=None
            The name of the output. None: a new name.
        **attributes
            The attributes of the operator.
        """
        name = output or self._new_name(operator)
        names = (x if isinstance(x, str) else self._constant(f"{name}:{i}", x) for i, x in enumerate(inputs))
        self.nodes.append(Node(operator, tuple(names), name, attributes))
        return name

    def constant(self, name: str, value: Any) -> str:
        """Add a constant of any dtype, and return its name."""
        name = self._new_name(name)
        self.constants[name] = np.asarray(value)
        return name

    def channels_first(self, x: str) -> str:
        """Return feature maps (n, h, w, c) as (n, c, h, w)."""
        if x not in self._first:
            self._first[x] = self.add("Transpose", x, perm=(0, 3, 1, 2))
        return self._first[x]

    def channels_last(self, x: str) -> str:
        """Return feature maps (n, c, h, w) as (n, h, w, c)."""
        out = self.add("Transpose", x, perm=(0, 2, 3, 1))
        self._first[out] = x
        return out

    def each(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """Add an operator that treats all elements alike, as `add` does. It uses the layout that its inputs have."""
        if all(x in self._first for x in inputs if isinstance(x, str)):
            first = (self._first[x] if isinstance(x, str) else x for x in inputs)
            return self.channels_last(self.add(operator, *first, **attributes))
        return self.add(operator, *inputs, **attributes)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Let new names start with a name."""
        before = self._prefix
        self._prefix = f"{before}{name}/"
        try:
            yield
        finally:
            self._prefix = before

    def keep(self, outputs: Iterable[str]) -> tuple[list[Node], dict[str, Array]]:
        """Return the nodes and constants that these outputs need: some transposed tensors are never used."""
        needed, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
                nodes.append(node)
        return nodes[::-1], {name: value for name, value in self.constants.items() if name in needed}

    def _constant(self, name: str, value: Any) -> str:
        array = np.asarray(value)
        self.constants[name] = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        return name

    def _new_name(self, name: str) -> str:
        name = self._prefix + name
        self._uses[name] += 1
        return name if self._uses[name] == 1 else f"{name}_{self._uses[name]}"
