"""Shards: the parts of a batch that are computed at a time.

A batch is cut by its size and the network's alone, never by the number of threads. So any number of threads may compute
the shards, and as their results are added in a fixed order, the sum is the same to the bit.
"""

from __future__ import annotations

from itertools import pairwise

__all__ = ["cut", "samples_per_shard"]

ELEMENTS_PER_SHARD = 2**19  # of the network's largest feature map
TOGETHER = 4  # times as many if shards run together: all are in memory anyway, and fewer exchange less
MOST_TOGETHER = 64  # shards of a batch that run together
SAMPLES_PER_SHARD = 8  # at least: a dense layer's gradient takes as long for one sample as for some. However,
MOST_ELEMENTS = 2**22  # no more than this, to limit the memory
WORK_WORTH_CUTTING = 3 * 2**23  # multiply-adds: one thread computes less than this before another has begun
FEW_SHARDS = 16


def samples_per_shard(n_samples: int, largest_map: int, work: int, *, together: bool = False) -> int:
    """Return how many samples make a shard.

    They are enough that Python's own part takes little of the time, and so few that a cache holds their feature maps.

    Parameters
    ----------
    n_samples : int
        Samples of the batch.
    largest_map : int
        Elements of the network's largest feature map, for one sample.
    work : int
        Multiply-adds that one sample takes.
    together : bool
        Whether the shards exchange sums, and so must be computed at the same time.
    """
    elements = ELEMENTS_PER_SHARD * (TOGETHER if together else 1)
    most = max(1, elements // largest_map, min(SAMPLES_PER_SHARD, MOST_ELEMENTS // largest_map))
    most = min(most, -(-n_samples // 2)) if n_samples * work > WORK_WORTH_CUTTING else n_samples
    return max(most, -(-n_samples // MOST_TOGETHER)) if together else most


def cut(n_samples: int, most: int) -> list[slice]:
    """Cut samples into shards of at most `most`.

    A few shards are of nearly equal size, and 1, 2, 4, 8 or 16 of them, so that several threads finish at the same
    time. If there are many, all but the last are full, so that their memory does not depend on how many there are.

    Examples
    --------
    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    least = max(1, -(-n_samples // most))
    if least > FEW_SHARDS:
        starts = [*range(0, n_samples, most), n_samples]
    else:
        n_shards = min(n_samples, 1 << (least - 1).bit_length())
        size, longer = divmod(n_samples, n_shards)
        starts = [i * size + min(i, longer) for i in range(n_shards + 1)]
    return [slice(start, stop) for start, stop in pairwise(starts)]
