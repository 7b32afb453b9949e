"""The states of optimizers as JSON and arrays. The state of the user's own optimizer can be anything."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from skcnn._storage.encoding import Encoder, Json
from skcnn._storage.exact import parts
from skcnn.optimizers import State

__all__ = ["encode_optimizer_state"]

_WHERE = "solver.state"
_WORK: Any = 1000  # for the search of memory that two arrays share; after that, they count as sharing some


def encode_optimizer_state(encoder: Encoder, state: State | None) -> Json:
    """Return a state as JSON, after the network, whose arrays it may contain.

    Raises
    ------
    TypeError
        If the state that is read would behave differently: it has types that a file does not keep, the same list, dict
        or random state twice, or arrays that share memory.
    """
    _require_separate(encoder, state)
    encoder.require_exact(state, _WHERE)
    return encoder.encode(state, _WHERE)


def _require_separate(encoder: Encoder, state: Any) -> None:
    """Raise TypeError if one object, or one piece of memory, would become two in the file."""
    seen: set[int] = set()
    arrays: dict[int, dict[int, Any]] = defaultdict(dict)  # by the ids of what owns their memory, and of themselves
    for array in encoder.arrays.values():
        arrays[id(_owner(array))][id(array)] = array
    for part, where in parts(state, _WHERE):
        if isinstance(part, np.ndarray):
            others = arrays[id(_owner(part))]
            if any(other is not part and np.may_share_memory(part, other, _WORK) for other in others.values()):
                raise encoder.refusal(part, where, "which shares memory with another array")
            others[id(part)] = part
        elif isinstance(part, list | dict | np.random.RandomState):
            if id(part) in seen:
                raise encoder.refusal(part, where, "the same object as another part of the state")
            seen.add(id(part))


def _owner(array: Any) -> Any:
    while getattr(array, "base", None) is not None:
        array = array.base
    return array
