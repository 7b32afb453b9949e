"""Two classifiers on the same test images: who is right where, and an interval for the difference in accuracy."""

from __future__ import annotations

import base64

import numpy as np


def encode(correct):
    """Return an array of bool as a short text."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def decode(text, n):
    """Return the array of `n` bool that `encode` made a text of."""
    return np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=n).astype(bool)


def share_correct(image_set, correct_by_split):
    """Return for each row in how many of its tests it was classified correctly, from 0 to 1, and nan if it had none."""
    tested, correct = (np.zeros(len(image_set.y)) for _ in range(2))
    for split, right in correct_by_split.items():
        rows = image_set.splits[split][1]
        tested[rows] += 1
        correct[rows] += right
    return np.divide(correct, tested, out=np.full(len(tested), np.nan), where=tested > 0)


def difference(ours, theirs, groups=None):
    """Return the mean difference of two results of `share_correct`, with its 95% interval as (mean, low, high).

    Images of one group, such as a person's, are not independent: the bootstrap draws whole groups.
    """
    rows = np.flatnonzero(~np.isnan(ours - theirs))
    gain = (ours - theirs)[rows]
    group = np.arange(len(rows)) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    return gain.mean(), *_interval(np.bincount(group, gain), np.bincount(group))


def _interval(sums, sizes, n_draws=4000):
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(sums), size=len(sums)) for _ in range(n_draws)]
    return np.quantile([sums[draw].sum() / sizes[draw].sum() for draw in draws], (0.025, 0.975))
