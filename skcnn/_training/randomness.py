"""Random streams: one seed, and a stream of its own for every purpose and moment."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["stream"]

_PURPOSES = ("weights", "shuffle", "layers", "augment")
Purpose = Literal["weights", "shuffle", "layers", "augment"]


def stream(seed: int, purpose: Purpose, *moment: int) -> np.random.Generator:
    """Return the generator for a purpose at a moment (epoch, step, shard, ...).

    Streams of different purposes or moments are independent. Since each is made from its place and not from how much
    was drawn before, work may be cut, interrupted and spread over threads without changing a number.
    """
    return np.random.default_rng((seed, _PURPOSES.index(purpose), *moment))
