"""Batches that are cut into shards."""

import pytest

from skcnn._engine.sharding import FEW_SHARDS, MOST_TOGETHER, cut, samples_per_shard


@pytest.mark.parametrize(("n_samples", "size"), [(1, 20), (20, 20), (21, 20), (128, 20), (5, 1), (320, 20), (321, 20)])
def test_cut_covers_all_samples_in_order_and_evenly(n_samples, size):
    shards = [range(n_samples)[shard] for shard in cut(n_samples, size)]
    assert [sample for shard in shards for sample in shard] == list(range(n_samples))
    *lengths, last = (len(shard) for shard in shards)
    assert all(length <= size for length in (*lengths, last))
    assert max(lengths, default=last) - min(lengths, default=last) <= (1 if len(shards) <= FEW_SHARDS else 0)


def test_shards_that_exchange_sums_are_larger_and_fewer():
    largest_map, work = 28 * 28 * 32, 10**6
    alone, together = (samples_per_shard(512, largest_map, work, together=t) for t in (False, True))
    assert (alone, together) == (20, 83)
    assert samples_per_shard(512, largest_map, work, by_image=True) == 83
    enormous = 2**22
    assert samples_per_shard(512, enormous, work) == 1
    assert len(cut(512, samples_per_shard(512, enormous, work, together=True))) == MOST_TOGETHER
