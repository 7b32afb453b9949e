"""Workers: threads that compute the shards of a batch, apart from each other or exchanging sums."""

import threading
import time
import weakref

import numpy as np
import pytest

from skcnn._engine.sharding import cut
from skcnn._engine.workers import Workers
from skcnn.layers import Dense
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from tests.layers.own import DEPENDENT

every_n_threads = pytest.mark.parametrize("n_threads", [1, 2, 3, 8])


def test_shards_exchange_what_one_batch_has(uint8_images, rng):
    """A layer that depends on the batch sees statistics of all of it: cut or not, gradients and state agree."""
    network = Network.build([*DEPENDENT[:-1], Dense(3)], (28, 28, 1), rng, np.float64)
    x, y = uint8_images[0][:50, ..., np.newaxis] / 255.0, uint8_images[1][:50]
    weight = rng.uniform(0.5, 2.0, 50)

    def gradients(shards):
        passes = network.passes(train=True)

        def work(shard):
            context = passes.context(50, weight[shard])
            logits, caches = yield from passes.forward(x[shard], context)
            _, d_logits = SoftmaxCrossEntropy()(logits, y[shard], context.weight)
            states = passes.next_states(caches)
            return passes.gradients((yield from passes.backward(caches, d_logits, context))), states

        with Workers(2) as workers:
            results = workers.run_together([work(shard) for shard in shards])
        totals = [
            {key: sum(grads[i][key] for grads, _ in results) for key in params}
            for i, params in enumerate(network.params)
        ]
        return totals, results[0][1]

    whole, state = gradients([slice(None)])
    sums, cut_state = gradients(cut(50, 8))
    for one, other in zip(whole + state, sums + cut_state, strict=True):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_allclose(other[key], one[key], rtol=1e-9, atol=1e-11)


@every_n_threads
def test_parts_are_added_in_the_order_of_the_shards(n_threads):
    """Whichever comes first: beside 1e16, a 1 is lost."""
    parts = [1.0, 1e16, -1e16, 3.0, 5.0]

    def passing(index):
        time.sleep(0.003 * (len(parts) - index))
        total = yield np.array([parts[index]])
        second = yield total * parts[index]
        return float(total[0]), float(second[0])

    with Workers(n_threads) as workers:
        results = workers.run_together([passing(index) for index in range(5)])
    first = sum(parts)
    assert (first, sum(reversed(parts))) == (8.0, 9.0)
    assert results == [(first, sum(first * part for part in parts))] * 5


@every_n_threads
def test_results_come_in_the_order_of_the_shards(n_threads):
    def passing(index):
        yield np.ones(1)
        time.sleep(0.002 * (6 - index))
        return index

    with Workers(n_threads) as workers:
        assert workers.run_together([passing(index) for index in range(6)]) == list(range(6))


@every_n_threads
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_an_error_in_one_shard_is_the_one_raised(n_threads, turn):
    closed = []

    def passing(item):
        try:
            for i in range(3):
                if item == 2 and i == turn:
                    raise ValueError(f"item 2 does not fit, turn {i}")
                yield np.ones(1)
        finally:
            closed.append(item)

    with Workers(n_threads) as workers, pytest.raises(ValueError, match=f"item 2 does not fit, turn {turn}"):
        workers.run_together([passing(item) for item in range(4)])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skcnn")]


@every_n_threads
@pytest.mark.parametrize("n_yields", [(1, 1, 2), (2, 1, 1), (0, 1, 1), (1, 1, 0)])
def test_unequal_numbers_of_yields_are_an_error(n_threads, n_yields):
    def passing(n):
        for _ in range(n):
            yield np.ones(1)

    with (
        Workers(n_threads) as workers,
        pytest.raises(RuntimeError, match="must yield equally often for all shards"),
    ):
        workers.run_together([passing(n) for n in n_yields])


def test_at_most_n_threads_work_at_a_time():
    running, most, lock = 0, 0, threading.Lock()

    def passing():
        nonlocal running, most
        for _ in range(3):
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.002)
            with lock:
                running -= 1
            yield np.ones(1)

    with Workers(2) as workers:
        workers.run_together([passing() for _ in range(6)])
    assert most == 2


def test_one_thread_is_the_caller_s_own():
    def passing():
        yield np.ones(1)
        return threading.current_thread()

    with Workers(1) as workers:
        before = threading.active_count()
        assert set(workers.run_together([passing() for _ in range(6)])) == {threading.current_thread()}
        assert set(workers.map(lambda item: threading.current_thread(), range(6))) == {threading.current_thread()}
        assert threading.active_count() == before


def test_a_thread_that_cannot_start_is_the_error_raised(monkeypatch):
    """And the shards that have begun wait for nothing."""
    started = []

    def start(thread):
        started.append(thread)
        if len(started) > 1:
            raise RuntimeError("can't start new thread")
        real_start(thread)

    def passing():
        time.sleep(0.01)  # so that the second shard needs a second thread
        yield np.ones(1)

    real_start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"), Workers(3) as workers:
        workers.run_together([passing() for _ in range(4)])


@every_n_threads
def test_the_total_belongs_to_all_shards(n_threads):
    def passing():
        total = yield np.ones(2)
        with pytest.raises(ValueError, match="read-only"):
            total /= 2
        return total

    with Workers(n_threads) as workers:
        results = workers.run_together([passing() for _ in range(3)])
    assert all((total == 3).all() for total in results)


def test_a_part_may_be_a_number():
    def passing(index):
        total = yield np.float64(index)
        return total / 2

    with Workers(2) as workers:
        assert workers.run_together([passing(index) for index in range(4)]) == [3.0] * 4


def test_a_shard_s_part_is_not_written_to():
    parts = [np.ones(2) for _ in range(3)]

    def passing(part):
        yield part

    with Workers(2) as workers:
        workers.run_together([passing(part) for part in parts])
    assert all((part == 1).all() and part.flags.writeable for part in parts)


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
