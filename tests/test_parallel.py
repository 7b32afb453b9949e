import threading
import time
import tracemalloc
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from skcnn import NumpyCNNClassifier
from skcnn._engine.process import BUFFER_NUMBERS, allowed_threads, one_blas_thread
from skcnn._engine.workers import FEW_SHARDS, Shard, Workers, cut
from skcnn._trees import leaves
from skcnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, ReLU, Residual, SpatialDropout2D
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD
from tests.layers.coupled import BatchCenter, Noise


@dataclass(frozen=True, repr=False)
class Nested(Layer):
    """A layer that contains a layer."""

    def build(self, in_shape, rng, dtype):
        params, out_shape = Dense(5).build(in_shape, rng, dtype)
        return {"inner": params}, out_shape

    def forward(self, params, x, *, train=False, rng=None):
        return Dense(5).forward(params["inner"], x, train=train)

    def backward(self, params, cache, d_out, *, need_d_x=True):
        d_x, grads = Dense(5).backward(params["inner"], cache, d_out, need_d_x=need_d_x)
        return d_x, {"inner": {name: grads[name] for name in sorted(grads, reverse=len(d_out) % 2 == 0)}}


PLAIN = [Conv2D(3), ReLU(), MaxPool2D(), Flatten()]
POSITIONS = [Conv2D(3, bias="position"), ReLU(), Conv2D(2, stride=2, bias=None), Flatten(), Nested()]
NORMALISED = [
    Conv2D(3, bias=None),
    BatchNorm(),
    ReLU(),
    MaxPool2D(),
    Residual([Conv2D(4, stride=2), BatchNorm(), ReLU(), Conv2D(4)]),
    Flatten(),
]
REGULARISED = [*NORMALISED[:-1], SpatialDropout2D(0.2), Residual([Conv2D(4), Dropout(0.3)]), Flatten(), Dropout(0.5)]
COUPLED = [Conv2D(3), BatchCenter(), ReLU(), MaxPool2D(), Flatten(), Dense(8), BatchCenter(), Noise()]


def blas_threads():
    return {
        library.filepath: library.num_threads
        for library in ThreadpoolController().select(user_api="blas").lib_controllers
    }


@pytest.fixture
def images(rng):
    X = rng.integers(0, 256, (150, 28, 28)).astype(np.uint8)
    return X, rng.integers(0, 3, 150)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("n_rows", "size"), [(1, 20), (20, 20), (21, 20), (128, 20), (5, 1), (320, 20), (321, 20)])
def test_cut_covers_all_rows_in_order_and_evenly(n_rows, size):
    parts = [range(n_rows)[part] for part in cut(n_rows, size)]
    assert [row for part in parts for row in part] == list(range(n_rows))
    *lengths, last = (len(part) for part in parts)
    assert all(length <= size for length in (*lengths, last))
    assert max(lengths, default=last) - min(lengths, default=last) <= (1 if len(parts) <= FEW_SHARDS else 0)


def fitted_bits(layers, images, n_jobs, **settings):
    X, y = images
    settings = {"dtype": "float32", "batch_size": 128, "max_iter": 2, "random_state": 0, **settings}
    clf = NumpyCNNClassifier(layers=layers, n_jobs=n_jobs, **settings).fit(X, y, sample_weight=1.0 + y)
    states = [array.tobytes() for _, array in leaves(clf.network_.states)]
    return (
        [array.tobytes() for _, array in leaves(clf.network_.params)],
        states,
        clf.predict_proba(X).tobytes(),
        clf.loss_curve_,
    )


@pytest.mark.parametrize("layers", [PLAIN, COUPLED, REGULARISED], ids=["plain", "coupled", "regularised"])
def test_same_bits_for_every_n_jobs(layers, images, small_shards):
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, batch_size=150).fit(*images)
    shards = cut(128, clf.network_.rows_per_shard(128, clf.network_.couples_rows))
    assert len(shards) > 2, "the batches must be cut for this to say anything"
    one = fitted_bits(layers, images, 1)
    for n_jobs in (2, 3, None, -1):
        assert fitted_bits(layers, images, n_jobs) == one


@pytest.mark.parametrize(
    "layers", [PLAIN, COUPLED[:-1], POSITIONS, NORMALISED], ids=["plain", "coupled", "positions", "normalised"]
)
def test_shards_add_up_to_what_one_would_be(layers, images, monkeypatch):
    """Of every kind of layer: those whose gradients are summed in their own form, those that meet, nested ones."""
    X, y = images
    settings = {"dtype": "float64", "solver": SGD(), "batch_size": 150, "max_iter": 2, "random_state": 0}
    both = []
    for shards in (1, 2):
        monkeypatch.setattr("skcnn.network.WORK_WORTH_CUTTING", 0 if shards == 2 else np.inf)
        clf = NumpyCNNClassifier(layers=layers, n_jobs=1, **settings).fit(X, y, sample_weight=1.0 + y)
        assert len(cut(150, clf.network_.rows_per_shard(150, clf.network_.couples_rows))) == shards
        both.append([array for _, array in leaves(clf.network_.params)])
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


def test_same_bits_under_any_blas_limit(images, small_shards):
    one = fitted_bits(PLAIN, images, 1)
    with threadpool_limits(limits=1, user_api="blas"):
        assert fitted_bits(PLAIN, images, None) == one


def test_shards_meet_as_one_batch_would(images, rng):
    """A layer that couples rows sees statistics of the whole batch: cut or not, gradients and state agree."""
    network = Network.build([*COUPLED[:-1], Dense(3)], (28, 28, 1), rng, np.float64)
    x, y = images[0][:50, ..., np.newaxis] / 255.0, images[1][:50]
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


def test_state_is_committed_and_used_by_predict(images):
    X, y = images
    clf = NumpyCNNClassifier(layers=[Flatten(), BatchCenter()], max_iter=1, batch_size=150, random_state=0).fit(X, y)
    after_one_step = (X.reshape(150, -1) / 255.0 - 0.5).mean(axis=0) / 2
    np.testing.assert_allclose(clf.network_.states[1]["mean"], after_one_step, atol=1e-6)
    before = clf.predict_proba(X)
    clf.network_.states[1]["mean"] += 1
    assert not np.allclose(clf.predict_proba(X), before)


def test_random_layers_repeat_by_seed(images):
    layers = [Flatten(), Noise()]
    one = fitted_bits(layers, images, 1)
    assert fitted_bits(layers, images, 1) == one
    assert fitted_bits(layers, images, 1, random_state=1) != one


def test_an_error_in_one_shard_is_the_one_raised():
    def work(item, shard):
        if item == 2:
            raise ValueError("item 2 does not fit")
        return shard.sum(np.ones(1))

    with Workers(2) as workers, pytest.raises(ValueError, match="item 2 does not fit"):
        workers.meet(work, range(4), [Shard(4, None, i) for i in range(4)])


def test_threads_end_with_the_call(images):
    fitted_bits(COUPLED, images, 3)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("skcnn")]


def test_guard_holds_one_thread_and_gives_back():
    before = blas_threads()
    with one_blas_thread:
        assert set(blas_threads().values()) == {1}
        with one_blas_thread:
            assert allowed_threads() == max(before.values())
        assert set(blas_threads().values()) == {1}
    assert blas_threads() == before


def test_guard_gives_back_after_an_error():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"), one_blas_thread:
        raise RuntimeError("inside")
    assert blas_threads() == before


def test_guard_in_a_thread_when_another_has_set_limits():
    """threadpoolctl lets only the first thread that sets OpenBLAS's limit set it again."""
    seen = []

    def limited():
        with one_blas_thread:
            seen.append(set(blas_threads().values()))

    with threadpool_limits(limits=2, user_api="blas"):
        thread = threading.Thread(target=limited)
        thread.start()
        thread.join(10)
        assert seen == [{1}]
        assert set(blas_threads().values()) == {2}


def test_guard_with_overlapping_users():
    """First in, first out: nesting by context managers of their own would leave one thread for good."""
    before = blas_threads()
    first_in, second_in = threading.Event(), threading.Event()

    def first():
        with one_blas_thread:
            first_in.set()
            second_in.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    first_in.wait(10)
    with one_blas_thread:
        second_in.set()
        thread.join(10)
        assert set(blas_threads().values()) == {1}
    assert blas_threads() == before


def test_blas_threads_are_the_same_after_fit_predict_and_failure(images):
    X, y = images
    for limit in (1, 2):
        with threadpool_limits(limits=limit, user_api="blas"):
            before = blas_threads()
            clf = NumpyCNNClassifier(max_iter=1).fit(X, y)
            clf.predict(X)
            with pytest.raises(ValueError, match="too large"):
                clf.set_params(scaling=None).fit(X.astype(float), y).predict(X / 255 * 1.7e308)
            assert blas_threads() == before


def test_numpy_s_settings_are_the_caller_s_again(images):
    X, y = images
    seen = []

    def augment(x, rng):
        seen.append((threading.current_thread(), np.getbufsize(), np.geterr()["over"]))
        return x

    before = np.getbufsize(), np.geterr()
    clf = NumpyCNNClassifier(augment=augment, max_iter=2, n_jobs=2, random_state=0).fit(X, y)
    clf.predict(X)
    with pytest.raises(ZeroDivisionError):
        clf.set_params(augment=lambda x, rng: 1 / 0).fit(X, y)
    assert (np.getbufsize(), np.geterr()) == before
    assert {(size, over) for _, size, over in seen} == {(BUFFER_NUMBERS, "ignore")}


def test_n_jobs_none_takes_what_blas_may():
    with threadpool_limits(limits=1, user_api="blas"):
        assert NumpyCNNClassifier()._n_threads() == 1
    with threadpool_limits(limits=2, user_api="blas"):
        assert NumpyCNNClassifier()._n_threads() == 2
    assert NumpyCNNClassifier(n_jobs=3)._n_threads() == 3


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


def test_prediction_needs_no_more_memory_for_more_images():
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (40_960, 8, 8), dtype=np.uint8), np.arange(40_960) % 3
    # on one thread: two may have their peaks together, or not
    clf = NumpyCNNClassifier(max_iter=1, n_jobs=1, random_state=0).fit(X[:100], y[:100])
    peaks = []
    for n in (8_192, 40_960):  # 16 blocks, and 80 of the same size
        tracemalloc.start()
        result = clf.predict_proba(X[:n])
        peaks.append(tracemalloc.get_traced_memory()[1] - result.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def network(side, n_kernels):
    return Network.build([Conv2D(n_kernels), Flatten()], (side, side, 3), np.random.default_rng(0), np.float32)


@pytest.mark.parametrize(
    ("n_rows", "side", "n_kernels", "expected"),
    [
        (1, 28, 16, 1),
        (8, 28, 16, 8),  # not worth it
        (64, 28, 16, 32),
        (128, 28, 16, 41),
        (128, 28, 32, 20),
        (16, 28, 64, 8),
        (64, 8, 16, 64),
        (10_000, 8, 16, 512),
        (64, 224, 16, 5),  # as many as memory allows
        (8, 1000, 16, 1),
    ],
)
def test_shards_are_large_enough_and_not_too_large(n_rows, side, n_kernels, expected):
    assert network(side, n_kernels).rows_per_shard(n_rows) == expected
