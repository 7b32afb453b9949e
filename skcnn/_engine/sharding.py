"""Shards: the parts into which a batch is cut.

How a batch is cut depends only on its size and the size of the network, never on the number of threads. The results of
the shards are added in a fixed order, so the sum is the same, bit for bit, for any number of threads.
"""

from __future__ import annotations

from itertools import pairwise

__all__ = ["cut", "samples_per_shard"]

ELEMENTS_PER_SHARD = 2**19  # of the network's largest feature map
TOGETHER = 4  # times as many elements if shards run together: all are in memory anyway, and fewer shards exchange less
BY_IMAGE = 4  # times as many elements in prediction by compiled kernels, which keep only a few images in the cache
MOST_TOGETHER = 64  # the most shards of a batch that run together
SAMPLES_PER_SHARD = 8  # at least, because a dense layer's gradient takes as long for one sample as for a few;
MOST_ELEMENTS = 2**22  # but not if a shard then has more elements than this, to limit the memory
WORK_WORTH_CUTTING = 3 * 2**23  # multiply-adds: one thread finishes less work than this before another has started
FEW_SHARDS = 16


def samples_per_shard(
    n_samples: int, largest_map: int, work: int, *, together: bool = False, by_image: bool = False
) -> int:
    """Return the number of samples per shard.

    A shard is large enough to make Python's overhead small, and small enough for its feature maps to fit into the
    cache.

    Parameters
    ----------
    n_samples : int
        The number of samples in the batch.
    largest_map : int
        The number of elements in the network's largest feature map, for one sample.
    work : int
        The work for one sample, in multiply-adds.
    together : bool
        Whether the shards exchange sums, and so must be computed at the same time.
    by_image : bool
        Whether they are blocks of a prediction by compiled kernels.
    """
    elements = ELEMENTS_PER_SHARD * (TOGETHER if together else BY_IMAGE if by_image else 1)
    most = max(1, elements // largest_map, min(SAMPLES_PER_SHARD, MOST_ELEMENTS // largest_map))
    most = min(most, -(-n_samples // 2)) if n_samples * work > WORK_WORTH_CUTTING else n_samples
    return max(most, -(-n_samples // MOST_TOGETHER)) if together else most


def cut(n_samples: int, most: int) -> list[slice]:
    """Cut samples into shards of at most `most`.

    If there are few shards, their number is 1, 2, 4, 8 or 16 and their sizes are nearly equal, so that several threads
    finish at the same time. If there are many shards, all but the last one are full, so that the memory of a shard does
    not depend on the number of shards.

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
