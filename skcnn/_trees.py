"""Parameter trees: lists with one dict per layer. A dict holds arrays, or more dicts if its layer contains layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add", "is_weight", "keys", "leaves", "pick"]

Keys = tuple[int | str, ...]


def keys(tree: Any) -> list[Keys]:
    """List the keys that lead to each array of a tree, sorted by layer and then by name.

    Examples
    --------
    >>> keys([{"b": 1, "W": 2}, {}, {"inner": {"W": 3}}])
    [(0, 'W'), (0, 'b'), (2, 'inner', 'W')]
    """
    if not isinstance(tree, dict | list):
        return [()]
    branches = sorted(tree.items(), key=_order) if isinstance(tree, dict) else enumerate(tree)
    return [(key, *rest) for key, branch in branches for rest in keys(branch)]


def _order(item: tuple[str, Any]) -> tuple[float, str]:
    """Sort layers by index, "2" before "10", and then arrays by name."""
    name, _ = item
    return (int(name), "") if name.isdigit() else (inf, name)


def pick(tree: Any, of_arrays: Sequence[Keys]) -> list[NDArray[Any]]:
    """List the arrays of a tree at the given keys. This runs at every step, so it does not walk the tree."""
    picked = []
    for path in of_arrays:
        branch = tree
        for key in path:
            branch = branch[key]
        picked.append(branch)
    return picked


def leaves(tree: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a tree with their paths ("0.W"), in the order of `keys`.

    Examples
    --------
    >>> list(leaves([{"b": 1, "W": 2}, {}, {"inner": {"W": 3}}]))
    [('0.W', 2), ('0.b', 1), ('2.inner.W', 3)]
    """
    of_arrays = keys(tree)
    return zip((".".join(map(str, path)) for path in of_arrays), pick(tree, of_arrays), strict=True)


def add(tree: Any, more: Any) -> Any:
    """Return the sum of two trees, or tuples of trees, of equal structure. Arrays are added in place if possible."""
    if isinstance(tree, np.ndarray) and tree.flags.writeable:
        tree += more
        return tree
    if isinstance(tree, dict):
        return {key: add(branch, more[key]) for key, branch in tree.items()}
    if isinstance(tree, list | tuple):
        branches = (add(branch, other) for branch, other in zip(tree, more, strict=True))
        return tree._make(branches) if hasattr(tree, "_make") else type(tree)(branches)
    return None if tree is None else tree + more


def is_weight(path: str) -> bool:
    """Return whether the array at a path is a weight `W`. Weight decay applies to weights only, not to biases etc."""
    return path.split(".")[-1] == "W"
