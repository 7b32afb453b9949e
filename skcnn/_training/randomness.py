"""Random streams: one seed, and a stream of its own for each purpose and position in the training."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["stream"]

_PURPOSES = ("weights", "shuffle", "layers", "augment")
Purpose = Literal["weights", "shuffle", "layers", "augment"]


def stream(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """Return the generator for a purpose at a position (epoch, step, shard, ...).

    Streams of different purposes or positions are independent. A stream depends on its position alone, and not on how
    much was drawn before. So work can be cut, interrupted and spread over threads without changing a number.
    """
    return np.random.default_rng((seed, _PURPOSES.index(purpose), *position))
