"""Workers: batches that are cut into shards, and threads that meet."""

import threading
import time
import weakref

import numpy as np
import pytest

from skcnn._engine.workers import FEW_SHARDS, Shard, Workers, cut
from skcnn.layers import Dense
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from tests.layers.coupled import COUPLED


@pytest.mark.parametrize(("n_rows", "size"), [(1, 20), (20, 20), (21, 20), (128, 20), (5, 1), (320, 20), (321, 20)])
def test_cut_covers_all_rows_in_order_and_evenly(n_rows, size):
    parts = [range(n_rows)[part] for part in cut(n_rows, size)]
    assert [row for part in parts for row in part] == list(range(n_rows))
    *lengths, last = (len(part) for part in parts)
    assert all(length <= size for length in (*lengths, last))
    assert max(lengths, default=last) - min(lengths, default=last) <= (1 if len(parts) <= FEW_SHARDS else 0)


def test_shards_meet_as_one_batch_would(uint8_images, rng):
    """A layer that couples rows sees statistics of the whole batch: cut or not, gradients and state agree."""
    network = Network.build([*COUPLED[:-1], Dense(3)], (28, 28, 1), rng, np.float64)
    x, y = uint8_images[0][:50, ..., np.newaxis] / 255.0, uint8_images[1][:50]
    weight = rng.uniform(0.5, 2.0, 50)

    def gradients(parts):
        def work(part, shard):
            computation = network.computation(train=True)
            logits, caches = computation.forward(x[part], shard)
            _, d_logits = SoftmaxCrossEntropy()(logits, y[part], shard.weight)
            states = computation.new_states(caches)
            return computation.gradients(computation.backward(caches, d_logits, shard)[1]), states

        with Workers(2) as workers:
            results = workers.meet(work, parts, [Shard(50, weight[part], i) for i, part in enumerate(parts)])
        totals = [
            {key: sum(grads[i][key] for grads, _ in results) for key in params}
            for i, params in enumerate(network.params)
        ]
        return totals, results[0][1]

    whole, state = gradients([slice(None)])
    shards, cut_state = gradients(cut(50, 8))
    for one, other in zip(whole + state, shards + cut_state, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_allclose(other[key], one[key], rtol=1e-9, atol=1e-11)


def test_an_error_in_one_shard_is_the_one_raised():
    def work(item, shard):
        if item == 2:
            raise ValueError("item 2 does not fit")
        return shard.sum(np.ones(1))

    with Workers(2) as workers, pytest.raises(ValueError, match="item 2 does not fit"):
        workers.meet(work, range(4), [Shard(4, None, i) for i in range(4)])


def test_at_most_n_threads_work_at_a_time():
    running, most, lock = 0, 0, threading.Lock()

    def work(item, shard):
        nonlocal running, most
        for _ in range(3):
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.002)
            with lock:
                running -= 1
            shard.sum(np.ones(1))

    with Workers(2) as workers:
        workers.meet(work, range(6), [Shard(6, None, i) for i in range(6)])
    assert most == 2


def test_a_thread_that_cannot_start_breaks_the_meeting(monkeypatch):
    """The shards that wait already must not wait for good."""
    started = []

    def start(thread):
        started.append(thread)
        if len(started) > 2:
            raise RuntimeError("can't start new thread")
        real_start(thread)

    real_start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"), Workers(2) as workers:
        workers.meet(lambda item, shard: shard.sum(np.ones(1)), range(4), [Shard(4, None, i) for i in range(4)])


def test_the_sum_of_a_meeting_belongs_to_all():
    def work(item, shard):
        total = shard.sum(np.ones(2))
        with pytest.raises(ValueError, match="read-only"):
            total /= 2
        return total

    with Workers(2) as workers:
        results = workers.meet(work, range(3), [Shard(3, None, i) for i in range(3)])
    assert all((total == 3).all() for total in results)


def test_the_caller_works_too_and_results_come_in_order():
    def work(item):
        time.sleep(0.001 * (item % 3))
        return item, threading.current_thread()

    with Workers(2) as workers:
        results = list(workers.map(work, range(40)))
    assert [item for item, _ in results] == list(range(40))
    threads = {thread for _, thread in results}
    assert threading.current_thread() in threads
    assert len(threads) == 2


def test_results_do_not_pile_up_before_a_slow_reader():
    alive = set()

    class Result:
        def __init__(self, item):
            alive.add(item)
            weakref.finalize(self, alive.discard, item)

    most = 0
    with Workers(2) as workers:
        for result in workers.map(Result, range(200)):
            time.sleep(0.001)
            most = max(most, len(alive))
            del result
    assert most <= 4 * 2 + 2
