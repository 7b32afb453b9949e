"""What surrounds a fit or a prediction: warnings, random state, files, threads, processes."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn._engine.process import allowed_threads

PACKAGE_PARENT = str(Path(skcnn.__file__).parent.parent)


def run_script(text, folder, timeout):
    """Run a script in a fresh interpreter; a file, so that spawned children can import it again."""
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    path = os.pathsep.join([PACKAGE_PARENT, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )


def blas_threads():
    return max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")


pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.fixture(scope="module")
def large():
    """Images of 28 x 28: a batch of 64 is cut into several shards, and so is a prediction of 150."""
    y = np.arange(150) % 3
    X = np.random.default_rng(0).normal(size=(150, 28, 28)) + y[:, np.newaxis, np.newaxis]
    X.setflags(write=False)
    return X, y


@pytest.fixture(scope="module")
def large_fitted(large):
    return NumpyCNNClassifier(4, hidden_layer_sizes=8, batch_size=64, max_iter=1, random_state=0, n_jobs=2).fit(*large)


# Surroundings


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_row_63_strict_floating_point_errors_of_the_caller(large, n_jobs, dtype, scaling, n_classes):
    # unscaled, pixels of 1e4 drive logits so far apart that probabilities and gradients underflow
    X, y = (1e4 if scaling is None else 1) * large[0], large[1] % n_classes
    X[0] *= 1e-42  # beyond the normal numbers of float32
    clf = NumpyCNNClassifier(
        *(2, 3, 2, 4), batch_size=64, max_iter=2, learning_rate_init=1e-6, random_state=0,
        n_jobs=n_jobs, dtype=dtype, scaling=scaling,
    )  # fmt: skip
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        clf.fit(X, y, sample_weight=np.linspace(1e-30, 1, 150), X_val=X, y_val=y)
        clf.partial_fit(X[:70], y[:70])
        clone(clf).set_params(early_stopping=True, class_weight="balanced").fit(X, y)
        clf.coefs_[-1][...] *= 1e3 / np.abs(clf.decision_function(X)).max()
        for name in ("predict", "decision_function", "predict_proba", "predict_log_proba"):
            getattr(clf, name)(X)
        clf.score(X, y)
        assert np.geterr() == dict.fromkeys(("divide", "over", "under", "invalid"), "raise")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_row_63_overflow_in_a_shard_is_told_by_us_alone(large, n_jobs):
    # a new thread knows nothing of its caller's np.errstate: NumPy must warn of nothing there either
    X, y = large
    clf = NumpyCNNClassifier(
        *(2, 3, 2, 4), activation="identity", batch_size=64, max_iter=1, dtype="float32", n_jobs=n_jobs, random_state=0
    ).fit(X, y)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the pixels of X reach")  # they do
        with pytest.raises(ValueError, match="values too large for this network"):
            clf.predict(np.full(X.shape, 1e308))


def test_row_64_global_random_states_are_left_alone(make, data):
    np.random.seed(1)  # no state that a fresh interpreter could have by chance
    numpy_state, python_state = pickle.dumps(np.random.get_state()), random.getstate()
    clf = make(early_stopping=True, max_iter=2).fit(*data)
    clf.predict_proba(data[0])
    clf.set_params(early_stopping=False).partial_fit(*data)
    assert pickle.dumps(np.random.get_state()) == numpy_state
    assert random.getstate() == python_state


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("shape", [(40, 36), (40, 6, 6)], ids=str)
def test_row_65_arguments_are_not_modified(make, data, dtype, scaling, shape):
    # writable, and in the network's own precision, so that nothing but care protects them
    X = np.rint(30 * data[0] + 100).clip(0, 255).astype(dtype).reshape(shape)
    y, weight = data[1].copy(), np.linspace(0, 2, 40).astype("float32")
    arguments = {"X": X, "y": y, "sample_weight": weight, "X_val": X.copy(), "y_val": y.copy()}
    before = deepcopy(arguments)
    class_weight = {0: 2.0, 1: 0.5}
    clf = make(scaling=scaling, class_weight=class_weight).fit(**arguments)
    clf.partial_fit(X, y, weight)
    clf.predict_proba(X)
    clf.score(X, y, weight)
    assert all(arguments[name].tobytes() == before[name].tobytes() for name in arguments)
    assert class_weight == {0: 2.0, 1: 0.5}


# Files


def test_row_74_unpickle_without_optional_packages(make, data, tmp_path):
    clf = make().fit(*data)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(clf))
    np.save(tmp_path / "X.npy", data[0])
    text = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tqdm", "pandas", "matplotlib", "torch"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Missing())
import pickle
import numpy as np
with open("model.pkl", "rb") as file:
    clf = pickle.load(file)
X = np.load("X.npy")
np.save("proba.npy", clf.predict_proba(X))
clf.fit(X, clf.predict(X))  # trains, too, where nobody watches
try:
    import tqdm
except ImportError:
    print("blocked")
"""
    done = run_script(text, tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "blocked\n"
    assert np.load(tmp_path / "proba.npy").tobytes() == clf.predict_proba(data[0]).tobytes()


@pytest.mark.parametrize("warm_start", [False, True])
def test_row_75_memory_mapped_models(make, data, tmp_path, warm_start):
    X, y = data
    clf = make(warm_start=warm_start).fit(X, y)
    path = tmp_path / "model.joblib"
    joblib.dump(clf, path)
    content = path.read_bytes()
    mapped = joblib.load(path, mmap_mode="r")
    assert all(isinstance(array, np.memmap) for array in mapped.coefs_)
    assert mapped.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()

    mapped.partial_fit(X, y)
    clf.partial_fit(X, y)
    assert mapped.predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()
    assert not any(isinstance(array, np.memmap) for array in mapped.coefs_)
    assert path.read_bytes() == content


def via_joblib(compress):
    def copy(clf, folder):
        joblib.dump(clf, folder / "model", compress=compress)
        return joblib.load(folder / "model")

    return copy


COPIES = {
    **{f"protocol_{p}": lambda clf, folder, p=p: pickle.loads(pickle.dumps(clf, protocol=p)) for p in (2, 3, 4, 5)},
    "deepcopy": lambda clf, folder: deepcopy(clf),
    "joblib": via_joblib(0),
    "joblib_zlib": via_joblib(3),
    "joblib_xz": via_joblib(("xz", 3)),
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_76_copies_predict_the_same_bits(make, data, tmp_path, way, dtype):
    clf = make(dtype=dtype, early_stopping=True, max_iter=2).fit(*data)
    copy = COPIES[way](clf, tmp_path)
    assert copy.predict_proba(data[0]).tobytes() == clf.predict_proba(data[0]).tobytes()
    assert copy.history_ == clf.history_
    assert copy.get_params() == clf.get_params()
    assert not any(np.shares_memory(a, b) for a, b in zip(copy.coefs_, clf.coefs_, strict=True))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_row_76_a_pickle_holds_the_parameters_and_little_more(digits, protocol, dtype, early_stopping):
    X, y = digits
    clf = NumpyCNNClassifier(max_iter=2, dtype=dtype, early_stopping=early_stopping, random_state=0).fit(X, y)
    before = pickle.dumps(clf, protocol=protocol)
    assert clf.network_.n_params > 10_000  # else the bound says nothing
    # protocol 2 knows no bytes and writes them as text: two for every one from 128 on
    ratio = 1.15 if protocol > 2 else 1.6
    assert len(before) < ratio * clf.network_.n_params * clf.network_.dtype.itemsize + 16 * 1024
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        getattr(clf, name)(X)
    assert pickle.dumps(clf, protocol=protocol) == before


# Threads


def test_row_77_eight_threads_predict_at_once(large_fitted, large):
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
    assert allowed_threads() == before == blas_threads()  # BLAS has its threads back


def test_row_78_predict_while_a_clone_fits(large_fitted, large):
    X, y = large
    expected = large_fitted.predict_proba(X).tobytes()
    running, stop = threading.Event(), threading.Event()

    def schedule(epoch, n_epochs):
        running.set()
        if stop.is_set():
            raise InterruptedError("enough")
        return 1.0

    # a clone by scikit-learn, and one that goes on from the same weights
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


def test_row_79_two_threads_fit_the_same_classifier(large):
    # which of the two wins is nobody's promise; that nothing is left broken is
    assert "Two threads must not fit the same" in " ".join(NumpyCNNClassifier.__doc__.split())
    X, y = large
    clf = NumpyCNNClassifier(2, hidden_layer_sizes=4, batch_size=64, max_iter=2, random_state=0, n_jobs=2)
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


# Interruption


def interrupting(at, times=1):
    """A constant schedule that presses Ctrl-C at a time in epochs."""
    pressed = []

    def schedule(epoch, n_epochs):
        while epoch >= at and len(pressed) < times:
            pressed.append(epoch)
            signal.raise_signal(signal.SIGINT)
        return 1.0

    return schedule


def test_row_67_an_interruption_in_an_epoch_keeps_the_steps_before_it(make, data):
    X, y = data
    clf = make(learning_rate=interrupting(at=1.5), batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match=r"interrupted in epoch 2; the classifier is as its last step left it"):
        clf.fit(X, y)
    assert (clf.stop_reason_, clf.n_iter_, clf.t_) == ("interrupted", 2, 40 + 30)  # that step is brought to its end
    assert np.isfinite(clf.predict_proba(X)).all()
    # the same steps without an interruption
    steps = make(learning_rate=lambda epoch, n: float(epoch < 1.75), batch_size=10, max_iter=2).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), steps.predict_proba(X))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_row_67_early_stopping_keeps_its_best_weights(make, data):
    X, y = data
    clf = make(learning_rate=interrupting(at=2.5), batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        clf.set_params(early_stopping=True).fit(X, y)
    assert clf.best_iter_ <= 3
    assert clf.validation_scores_[clf.best_iter_ - 1] == clf.best_validation_score_


def test_row_68_an_interruption_at_the_first_step_leaves_that_step(make, data):
    clf = make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        clf.fit(*data)
    assert (clf.n_iter_, clf.t_) == (1, 10)
    assert np.isfinite(clf.predict_proba(data[0])).all()


def test_row_68_a_second_interruption_comes_at_once_and_leaves_nothing_half_done(make, data):
    clf = make(learning_rate=interrupting(at=0, times=2), max_iter=5)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    with pytest.raises(NotFittedError):
        clf.predict(data[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_row_68_a_second_interruption_comes_at_once_in_the_next_fit_too(make, data):
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5).fit(*data)
    with pytest.raises(KeyboardInterrupt):
        make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5).fit(*data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_row_67_an_interruption_in_the_very_last_step_interrupts_nothing(make, data):
    clf = make(learning_rate=interrupting(at=1.75), batch_size=10, max_iter=2).fit(*data)
    assert (clf.stop_reason_, clf.t_) == ("max_iter", 80)


def test_row_67_who_handles_the_signal_keeps_it(make, data):
    caught = []
    signal.signal(signal.SIGINT, lambda *args: caught.append(args))
    try:
        clf = make(learning_rate=interrupting(at=0), max_iter=2).fit(*data)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert len(caught) == 1
    assert clf.stop_reason_ == "max_iter"


@pytest.mark.parametrize("max_time", [1e-9, 3600])
def test_a_limit_of_time_ends_training_after_a_step(make, data, max_time):
    clf = make(max_time=max_time, batch_size=10, max_iter=3).fit(*data)
    expected = ("max_time", 1, 10) if max_time < 1 else ("max_iter", 3, 120)
    assert (clf.stop_reason_, clf.n_iter_, clf.t_) == expected


# Processes


@pytest.fixture(scope="module")
def serial_scores(digits):
    with joblib.parallel_config("sequential"):
        return _search_scores(digits, n_jobs=1)


def _search_scores(digits, n_jobs):
    clf = NumpyCNNClassifier(2, hidden_layer_sizes=8, max_iter=2, random_state=0)
    grid = {"learning_rate_init": [0.001, 0.01], "kernel_size": [3, 5]}
    search = GridSearchCV(clf, grid, cv=2, scoring="neg_log_loss", n_jobs=n_jobs).fit(*digits)
    return {name: values.tolist() for name, values in search.cv_results_.items() if name.endswith("_test_score")}


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_row_80_a_parallel_search_scores_the_same(digits, serial_scores, backend, monkeypatch):
    monkeypatch.undo()  # neither other processes nor the scores to compare with know of small shards
    assert np.isfinite(serial_scores["mean_test_score"]).all()
    assert len(set(serial_scores["mean_test_score"])) == 4
    with joblib.parallel_config(backend):
        assert _search_scores(digits, n_jobs=2) == serial_scores


def test_row_81_workers_share_the_cores(large):
    def in_worker(X, y):
        # a local function travels to the worker by value, so what it uses is imported there
        from threadpoolctl import threadpool_info

        from skcnn import NumpyCNNClassifier
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
        assert 1 <= before <= share  # less if the environment says so
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
def test_row_82_a_child_predicts(tmp_path, method):
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
def test_row_82_a_fork_while_another_thread_fits(tmp_path):
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
