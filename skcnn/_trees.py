"""Parameter trees: lists with one dict per layer. A dict holds arrays or, if its layer contains layers, more trees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["add", "arrays", "is_weight", "leaves"]


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a tree with their paths ("0.W"), sorted by layer and then by name.

    Examples
    --------
    >>> [path for path, _ in leaves([{"b": 1, "W": 2}, {}, {"inner": {"W": 3}}])]
    ['0.W', '0.b', '2.inner.W']
    """
    if isinstance(tree, dict | list):
        for key, branch in sorted(tree.items()) if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(branch, f"{path}.{key}" if path else str(key))
    else:
        yield path, tree


def arrays(tree: Any) -> list[NDArray[Any]]:
    """List the arrays of a tree in the order of `leaves`. It is called at every step, so it builds no paths."""
    found: list[NDArray[Any]] = []
    for branch in [tree[key] for key in sorted(tree)] if isinstance(tree, dict) else tree:
        if isinstance(branch, dict | list):
            found += arrays(branch)
        else:
            found.append(branch)
    return found


def add(tree: Any, more: Any) -> None:
    """Add the arrays of `more` to those of `tree` in place. Both are trees, or tuples of trees, of one structure."""
    if isinstance(tree, np.ndarray):
        tree += more
    elif isinstance(tree, dict):
        for key, branch in tree.items():
            add(branch, more[key])
    else:
        for branch, other in zip(tree, more, strict=True):
            add(branch, other)


def is_weight(path: str) -> bool:
    """Return whether the array at a path is a weight `W`. The L2 penalty applies to weights, not to biases etc."""
    return path.split(".")[-1] == "W"
