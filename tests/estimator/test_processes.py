"""Processes: workers, and children that are forked or spawned."""

import os
import time

import joblib
import pytest

from skcnn import NumpyCNNClassifier
from tests.scripts import run_script

pytestmark = pytest.mark.usefixtures("small_shards")


def test_workers_share_the_cores(large):
    def in_worker(X, y):
        # a local function is sent to the worker by value, so it imports what it uses
        from threadpoolctl import threadpool_info

        from skcnn._engine.process import allowed_threads

        def blas_threads():
            return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

        def schedule(epoch, n_epochs):
            during.add(blas_threads())
            return 1.0

        before, during = blas_threads(), set()
        clf = NumpyCNNClassifier(2, hidden_layer_sizes=4, batch_size=64, max_iter=1, learning_rate=schedule)
        clf.fit(X, y).predict(X)
        return before, during, blas_threads(), allowed_threads()

    share = max(1, joblib.cpu_count() // 2)
    results = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(in_worker)(*large) for _ in range(2))
    for before, during, after, allowed in results:
        assert 1 <= before <= share  # an environment variable may lower it
        assert during == {1}
        assert before == after == allowed


CHILD = """
import multiprocessing, sys, threading
import numpy as np
from threadpoolctl import threadpool_info
from skcnn import NumpyCNNClassifier

y = np.arange(150) % 3
X = np.random.default_rng(0).normal(size=(150, 28, 28)) + y[:, None, None]


def make(**parameters):
    return NumpyCNNClassifier(4, hidden_layer_sizes=8, batch_size=64, random_state=0, n_jobs=2, **parameters)


def blas_threads():
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


def predict_and_fit(clf, X, y, queue):
    proba = clf.predict_proba(X).tobytes()
    queue.put((proba, clf.fit(X, y).predict_proba(X).tobytes(), blas_threads()))


def in_child(method, clf):
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=predict_and_fit, args=(clf, X, y, queue), daemon=True)
    child.start()
    child.join(20)
    if child.exitcode is None:
        child.kill()
        sys.exit("the child hangs")
    assert child.exitcode == 0, child.exitcode
    return queue.get()


"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_predicts(tmp_path, method):
    text = f"""{CHILD}
if __name__ == "__main__":
    before = blas_threads()
    clf = make(max_iter=1).fit(X, y)  # the parent's BLAS and threads have been at work
    proba = clf.predict_proba(X).tobytes()
    assert in_child({method!r}, clf) == (proba, proba, before)
"""
    done = run_script(text, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_fits(tmp_path):
    text = f"""{CHILD}
import os, time
from skcnn._engine.process import allowed_threads


class Enough(Exception):
    pass


if __name__ == "__main__":
    before = allowed_threads()
    clf = make(max_iter=1).fit(X, y)
    proba = clf.predict_proba(X).tobytes()
    running, stop = threading.Event(), threading.Event()

    def schedule(epoch, n_epochs):
        running.set()
        if stop.is_set():
            raise Enough
        return 1.0

    def fit_on():
        try:
            make(max_iter=10**6, learning_rate=schedule).fit(X, y)
        except Enough:
            print("stopped in the middle")

    thread = threading.Thread(target=fit_on)
    thread.start()
    assert running.wait(20)
    try:
        for attempt in range(5):  # each at another moment of a step
            time.sleep(0.003 * attempt)
            assert in_child("fork", clf) == (proba, proba, before)
    finally:
        stop.set()
        thread.join(20)
    assert clf.predict_proba(X).tobytes() == proba
    assert allowed_threads() == blas_threads() == before
"""
    start = time.perf_counter()
    done = run_script(text, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stopped in the middle\n"
    assert time.perf_counter() - start < 20
