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

        from skcnn._engine.blas import allowed_threads

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
from skcnn._engine.blas import allowed_threads


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


FITTED = """
import numpy as np
from skcnn import NumpyCNNClassifier

X, y = np.random.default_rng(0).random((300, 28, 28)).astype(np.float32), np.arange(300) % 3
clf = NumpyCNNClassifier(4, hidden_layer_sizes=(), max_iter=1, random_state=0, n_jobs=2).fit(X, y)
expected = clf.predict_proba(X).tobytes()
"""


def test_fit_and_predict_at_exit(tmp_path):
    text = f"""{FITTED}
import atexit


@atexit.register
def last():
    assert clf.predict_proba(X).tobytes() == expected
    assert clf.fit(X, y).predict_proba(X).tobytes() == expected
    print("done")
"""
    done = run_script(text, tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_fit_and_predict_after_the_main_thread_has_ended(tmp_path):
    text = f"""{FITTED}
import threading, time


def later():
    threading.main_thread().join()
    time.sleep(0.1)
    assert clf.predict_proba(X).tobytes() == expected
    assert clf.fit(X, y).predict_proba(X).tobytes() == expected
    print("done")


threading.Thread(target=later).start()
"""
    done = run_script(text, tmp_path, timeout=60)
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_within_a_fit(tmp_path):
    """Parent and child both end the fit, with the same weights."""
    text = f"""{FITTED}
import os, sys, warnings
from threadpoolctl import threadpool_info

warnings.simplefilter("ignore")  # Python warns of forks in a process with threads
children = []


def schedule(epoch, n_epochs):
    if epoch == 1 and not children:
        children.append(os.fork())
    return 1.0


clf.set_params(learning_rate=schedule, max_iter=3).fit(X, y)
proba = clf.predict_proba(X).tobytes()
assert max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas") == 2
if children[0] == 0:
    sys.stdout.write(str(hash(proba)))
    sys.stdout.flush()
    os._exit(0)
assert os.waitpid(children[0], 0)[1] == 0
print("", hash(proba))
"""
    done = run_script(
        f"from threadpoolctl import threadpool_limits\nthreadpool_limits(2)\n{text}", tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    child, parent = done.stdout.split()
    assert child == parent
