"""Random streams: from one seed, a separate stream for each purpose and each position in training."""

from __future__ import annotations

from typing import Literal

import numpy as np

__all__ = ["stream"]

_PURPOSES = ("weights", "shuffle", "layers", "augment")
Purpose = Literal["weights", "shuffle", "layers", "augment"]


def stream(seed: int, purpose: Purpose, *position: int) -> np.random.Generator:
    """Return the generator for a purpose at a position (epoch, step, shard, ...).

    Streams of different purposes or positions are independent. A stream does not depend on the numbers drawn before. So
    work can be cut, interrupted and spread over threads without changing any number.
    """
    return np.random.default_rng((seed, _PURPOSES.index(purpose), *position))
