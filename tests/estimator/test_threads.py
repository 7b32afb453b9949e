"""Threads: those that the classifier starts, and those that use one classifier."""

import _thread
import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import numpy as np
import pytest
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from skcnn import NumpyCNNClassifier
from skcnn._engine.blas import allowed_threads
from skcnn._engine.workers import Workers
from skcnn._trees import leaves
from skcnn.layers import (
    BatchNorm,
    Conv2D,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Residual,
    SpatialDropout2D,
)
from skcnn.optimizers import SGD
from tests.layers.own import DEPENDENT, BatchCenter, Noise, Wrapped

PLAIN = [Conv2D(3), ReLU(), MaxPool2D(), Flatten()]
POSITIONS = [Conv2D(3, bias="position"), ReLU(), Conv2D(2, stride=2, bias=False), Flatten(), Wrapped()]
NORMALISED = [
    Conv2D(3, bias=False),
    BatchNorm(),
    ReLU(),
    MaxPool2D(),
    Residual([Conv2D(4, stride=2), BatchNorm(), ReLU(), Conv2D(4)]),
    Flatten(),
]
REGULARISED = [*NORMALISED[:-1], SpatialDropout2D(0.2), Residual([Conv2D(4), Dropout(0.3)]), Flatten(), Dropout(0.5)]


def fitted_bits(layers, uint8_images, n_jobs, **more):
    X, y = uint8_images
    settings = {"dtype": "float32", "batch_size": 128, "max_iter": 2, "learning_rate_init": 0.003, "random_state": 0}
    settings |= more
    clf = NumpyCNNClassifier(layers=layers, n_jobs=n_jobs, **settings).fit(X, y, sample_weight=1.0 + y)
    states = [array.tobytes() for _, array in leaves(clf.network_.states)]
    return (
        [array.tobytes() for _, array in leaves(clf.network_.params)],
        states,
        clf.predict_proba(X).tobytes(),
        clf.loss_curve_,
    )


@pytest.mark.parametrize("layers", [PLAIN, DEPENDENT, REGULARISED], ids=["plain", "dependent", "regularised"])
def test_same_bits_for_every_n_jobs(layers, uint8_images, small_shards):
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, batch_size=150).fit(*uint8_images)
    assert len(clf.network_.shards(128, train=True)) > 2, "the batches must be cut for this to say anything"
    one = fitted_bits(layers, uint8_images, 1)
    for n_jobs in (2, 3, None, -1):
        assert fitted_bits(layers, uint8_images, n_jobs) == one


@pytest.mark.parametrize(
    "layers", [PLAIN, DEPENDENT[:-1], POSITIONS, NORMALISED], ids=["plain", "dependent", "positions", "normalised"]
)
def test_shards_add_up_to_what_one_would_be(layers, uint8_images, monkeypatch):
    """Of every kind: layers whose gradients are summed in their own form, that depend on the batch, nested ones."""
    X, y = uint8_images
    settings = {
        "dtype": "float64",
        "solver": SGD(),
        "batch_size": 150,
        "max_iter": 2,
        "learning_rate_init": 0.02,
        "random_state": 0,
    }
    both = []
    for shards in (1, 2):
        monkeypatch.setattr("skcnn._engine.sharding.WORK_WORTH_CUTTING", 0 if shards == 2 else np.inf)
        clf = NumpyCNNClassifier(layers=layers, n_jobs=1, **settings).fit(X, y, sample_weight=1.0 + y)
        assert len(clf.network_.shards(150, train=True)) == shards
        both.append([array for _, array in leaves(clf.network_.params)])
    for one, other in zip(*both, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)


def test_same_bits_under_any_blas_limit(uint8_images, small_shards):
    one = fitted_bits(PLAIN, uint8_images, 1)
    with threadpool_limits(limits=1, user_api="blas"):
        assert fitted_bits(PLAIN, uint8_images, None) == one


def test_state_is_committed_and_used_by_predict(uint8_images):
    X, y = uint8_images
    clf = NumpyCNNClassifier(layers=[Flatten(), BatchCenter()], max_iter=1, batch_size=150, random_state=0).fit(X, y)
    after_one_step = (X.reshape(150, -1) / 255.0 - 0.5).mean(axis=0) / 2
    np.testing.assert_allclose(clf.network_.states[1]["mean"], after_one_step, atol=1e-6)
    before = clf.predict_proba(X)
    clf.network_.states[1]["mean"] += 1
    assert not np.allclose(clf.predict_proba(X), before)


def test_random_layers_repeat_by_seed(uint8_images):
    layers = [Flatten(), Noise()]
    one = fitted_bits(layers, uint8_images, 1)
    assert fitted_bits(layers, uint8_images, 1) == one
    assert fitted_bits(layers, uint8_images, 1, random_state=1) != one


def test_threads_end_with_the_call(uint8_images, small_shards, monkeypatch):
    ended = []

    class Watched(Workers):
        def close(self):
            super().close()
            ended.append((len(self._ends), len(self._ended)))

    monkeypatch.setattr("skcnn._engine.calculation.Workers", Watched)
    fitted_bits(DEPENDENT, uint8_images, 3)
    assert max(ended) == (2, 2), "several threads were started, or this says nothing"
    assert all(n_ended == n_started for n_started, n_ended in ended)


def test_one_job_starts_no_thread_even_with_batch_norm(uint8_images, small_shards, monkeypatch):
    started, start = [], _thread.start_new_thread
    monkeypatch.setattr("_thread.start_new_thread", lambda *args: (started.append(args), start(*args))[1])
    one = fitted_bits(NORMALISED, uint8_images, 1)
    assert started == []
    assert fitted_bits(NORMALISED, uint8_images, 3) == one
    assert started, "several jobs are threads, or this says nothing"


def test_n_jobs_none_takes_what_blas_may():
    with threadpool_limits(limits=1, user_api="blas"):
        assert NumpyCNNClassifier()._n_threads() == 1
    with threadpool_limits(limits=2, user_api="blas"):
        assert NumpyCNNClassifier()._n_threads() == 2
    assert NumpyCNNClassifier(n_jobs=3)._n_threads() == 3


def blas_threads():
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


@pytest.fixture(scope="module")
def large_fitted(large):
    return NumpyCNNClassifier(4, hidden_layer_sizes=8, batch_size=64, max_iter=1, random_state=0, n_jobs=2).fit(*large)


@pytest.mark.usefixtures("small_shards")
def test_eight_threads_predict_at_once(large_fitted, large):
    X = large[0]
    batches = [X] * 8 + [X[i::8] for i in range(8)] + [X[: 20 * i + 1] for i in range(8)]
    serial = [large_fitted.predict_proba(batch).tobytes() for batch in batches]
    start, before = threading.Barrier(8), allowed_threads()

    def predict(worker):
        start.wait(30)
        return {i: large_fitted.predict_proba(batches[i]).tobytes() for i in range(worker, 3 * 8, 8) for _ in range(3)}

    with ThreadPoolExecutor(8) as threads:
        for results in threads.map(predict, range(8)):
            assert all(serial[i] == result for i, result in results.items())
    assert allowed_threads() == before == blas_threads()  # BLAS has all its threads again


@pytest.mark.usefixtures("small_shards")
def test_predict_while_a_clone_fits(large_fitted, large):
    X, y = large
    expected = large_fitted.predict_proba(X).tobytes()
    running, stop = threading.Event(), threading.Event()

    def schedule(epoch, n_epochs):
        running.set()
        if stop.is_set():
            raise InterruptedError("enough")
        return 1.0

    # one fit starts anew, the other goes on from the same weights
    fitting = [clone(large_fitted), deepcopy(large_fitted)]
    with ThreadPoolExecutor(2) as threads:
        futures = [
            threads.submit(clf.set_params(learning_rate=schedule, max_iter=10_000, warm_start=True).fit, X, y)
            for clf in fitting
        ]
        try:
            assert running.wait(30)
            results = [large_fitted.predict_proba(X).tobytes() for _ in range(20)]
            still_running = not any(future.done() for future in futures)
        finally:
            stop.set()
        assert all(isinstance(future.exception(), InterruptedError) for future in futures)
    assert still_running
    assert set(results) == {expected}
    assert large_fitted.predict_proba(X).tobytes() == expected


@pytest.mark.usefixtures("small_shards")
def test_two_threads_fit_the_same_classifier(large):
    # either fit may win, but nothing may stay broken
    assert "Do not fit the same classifier in two threads" in " ".join(NumpyCNNClassifier.__doc__.split())
    X, y = large
    clf = NumpyCNNClassifier(2, hidden_layer_sizes=4, batch_size=64, max_iter=2, learning_rate="cosine", n_jobs=2)
    clf.set_params(random_state=0)
    expected, before = clone(clf).fit(X, y).predict_proba(X).tobytes(), allowed_threads()
    start = threading.Barrier(2)

    def fit(_):
        start.wait(30)
        for _ in range(3):
            clf.fit(X, y)

    with ThreadPoolExecutor(2) as threads:
        futures = [threads.submit(fit, i) for i in range(2)]
        assert all(isinstance(future.exception(60), Exception | None) for future in futures)
    assert allowed_threads() == before == blas_threads()
    assert clf.fit(X, y).predict_proba(X).tobytes() == expected


@pytest.mark.usefixtures("small_shards")
def test_limits_of_another_thread_that_end_within_a_fit_change_no_bits(large):
    X, y = large
    clf = NumpyCNNClassifier(16, hidden_layer_sizes=32, batch_size=64, max_iter=3, random_state=0, n_jobs=1)
    with threadpool_limits(limits=2, user_api="blas"):
        fitting, ended = threading.Event(), threading.Event()

        def limit_for_a_while():
            with threadpool_limits(limits=1, user_api="blas"):
                entered.set()
                fitting.wait(30)
            ended.set()  # at its end, BLAS has two threads again

        def schedule(epoch, n_epochs):
            if epoch >= 1:
                fitting.set()
                ended.wait(30)
            return 1.0

        entered = threading.Event()
        thread = threading.Thread(target=limit_for_a_while)
        thread.start()
        entered.wait(30)
        clf.set_params(learning_rate=schedule).fit(X, y)
        thread.join(30)
        assert blas_threads() == 2, "as the other thread left it"
        reference = clone(clf).set_params(learning_rate=lambda epoch, n_epochs: 1.0).fit(X, y)
    assert clf.predict_proba(X).tobytes() == reference.predict_proba(X).tobytes()
