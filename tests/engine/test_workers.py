"""Workers: threads that compute the shards of a batch, apart from each other or exchanging sums."""

import _thread
import functools
import operator
import os
import signal
import threading
import time
import weakref

import numpy as np
import pytest

from skcnn._engine.numpy_settings import set_numpy
from skcnn._engine.sharding import cut
from skcnn._engine.workers import Workers as RealWorkers
from skcnn.layers import Dense
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from tests.layers.own import DEPENDENT


class Workers(RealWorkers):
    """Workers in a with statement."""

    def __init__(self, n_threads):
        super().__init__(n_threads, set_numpy)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


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
    first = added(parts)
    assert (first, added(reversed(parts))) == (8.0, 9.0)
    assert results == [(first, added(first * part for part in parts))] * 5


def added(numbers):
    """Return the sum, one after the other. From Python 3.12 on, `sum` is more exact."""
    return functools.reduce(operator.add, numbers)


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
    assert all(end in workers._ended for end in workers._ends), "the threads have ended"


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
        return threading.get_ident()

    with Workers(1) as workers:
        assert set(workers.run_together([passing() for _ in range(6)])) == {threading.get_ident()}
        assert set(workers.map(lambda item: threading.get_ident(), range(6))) == {threading.get_ident()}
        assert workers._ends == []


@pytest.mark.parametrize("n_started", [0, 1])
def test_where_no_thread_can_be_started_the_others_do_the_work(n_started, monkeypatch):
    started, start = [], _thread.start_new_thread

    def start_some(*arguments):
        if len(started) == n_started:
            raise RuntimeError("can't start new thread")
        started.append(arguments)
        return start(*arguments)

    def passing(index):
        total = yield np.ones(1)
        return index + float(total[0])

    monkeypatch.setattr("_thread.start_new_thread", start_some)
    with Workers(4) as workers:
        assert workers.run_together([passing(index) for index in range(6)]) == [6.0 + index for index in range(6)]
        assert list(workers.map(lambda item: -item, range(6))) == [-item for item in range(6)]
        assert len(workers._ends) == n_started


def test_an_error_comes_out_though_another_thread_is_still_at_work():
    release, begun = threading.Event(), threading.Event()

    def work(item):
        if threading.get_ident() != caller:
            begun.set()
            release.wait(20)
            return item
        begun.wait(10)
        raise ValueError("the caller's item does not fit")

    caller, start = threading.get_ident(), time.perf_counter()
    with pytest.raises(ValueError, match="the caller's item"), Workers(2) as workers:
        list(workers.map(work, range(8)))
    assert time.perf_counter() - start < 5
    release.set()


def test_closing_waits_for_all_threads_together(monkeypatch):
    monkeypatch.setattr("skcnn._engine.workers.LONGEST_WAIT", 0.5)
    release, started = threading.Event(), threading.Semaphore(0)

    def work(item):
        if threading.get_ident() == caller:
            for _ in range(7):
                assert started.acquire(timeout=10)
            raise ValueError("the caller's item does not fit")
        started.release()
        release.wait(20)

    caller = threading.get_ident()
    with pytest.raises(ValueError, match="the caller's item"), Workers(8) as workers:
        list(workers.map(work, range(40)))
    start = time.perf_counter()
    workers.close()
    assert workers._deadline <= time.monotonic(), "the first call waited as long as any call may wait"
    assert time.perf_counter() - start < 0.4, "so the second one does not wait"
    release.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_without_the_threads():
    """The child has only the thread that forked. It does the items that other threads began, too."""

    def work(item):
        if threading.get_ident() == caller and not forked:
            begun.wait(10)
            forked.append(os.fork())
        elif threading.get_ident() != caller and not forked:
            begun.set()
            time.sleep(0.3)
        return item

    caller, forked, begun = threading.get_ident(), [], threading.Event()
    with Workers(2) as workers:
        results = list(workers.map(work, range(8)))
    if forked[0] == 0:
        os._exit(0 if results == list(range(8)) else 1)
    deadline = time.perf_counter() + 20
    while (ended := os.waitpid(forked[0], os.WNOHANG))[0] == 0 and time.perf_counter() < deadline:
        time.sleep(0.01)
    if ended[0] == 0:
        os.kill(forked[0], signal.SIGKILL)
        os.waitpid(forked[0], 0)
    assert ended == (forked[0], 0), "the child hangs, or has other results"
    assert results == list(range(8))


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
        return item, threading.get_ident()

    with Workers(2) as workers:
        results = list(workers.map(work, range(40)))
    assert [item for item, _ in results] == list(range(40))
    threads = {thread for _, thread in results}
    assert threading.get_ident() in threads
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
