"""Interrupt fit and predict at many points, and check that nothing hangs and that everything is as before.

    python benchmarks/interruptions.py                      # 5,000 points: about 10 minutes
    python benchmarks/interruptions.py --points 200
    python benchmarks/interruptions.py --signals 3000       # signals from a timer instead
    python benchmarks/interruptions.py --peer               # the same for MLPClassifier

A trace function raises KeyboardInterrupt before an instruction, as the handler of a signal may. The points are spread
evenly over all instructions that Python code executes in the main thread, in the package and in the libraries that it
calls. After each interruption, these must be as before: the number of BLAS threads, NumPy's settings, the handler of
Ctrl-C, scikit-learn's configuration, and the number of threads. The classifier must predict as before, or as after a
complete fit, also in another thread. An interruption must take effect within a second.

scikit-learn changes the filters of warnings while it checks y, and an interruption at that moment leaves them changed.
These cases are counted separately.
"""

from __future__ import annotations

import argparse
import faulthandler
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
import sklearn
from common import use_small_shards
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from threadpoolctl import ThreadpoolController

from skcnn import NumpyCNNClassifier

SINGLE_INSTRUCTIONS = sys.version_info[:2] != (3, 12)  # Python 3.12 may crash when they are traced; else whole lines
LONGEST = 30  # seconds after which a call hangs
LIBRARIES = ThreadpoolController().select(user_api="blas").lib_controllers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--signals", type=int, default=0, help="interrupt by this number of signals instead")
    parser.add_argument("--peer", action="store_true", help="interrupt MLPClassifier instead")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
    use_small_shards()
    with tempfile.TemporaryDirectory() as folder:
        return run(peer_calls() if args.peer else own_calls(Path(folder)), args)


def run(calls, args):
    """Interrupt the calls at many points. Return 1 if there are faults."""
    interrupt = by_signal if args.signals else by_trace
    rng, faults, n_done, n_left = np.random.default_rng(args.seed), Counter(), 0, 0
    start, slowest = time.perf_counter(), 0.0
    for name, call in calls.items():
        n_points = -(-(args.signals or args.points) // len(calls))
        whole, n_threads = measured(call, args.signals), n_threads_left()
        points = rng.uniform(0, whole, n_points) if args.signals else np.linspace(1, whole, n_points).astype(int)
        for point in points:
            found, seconds, left = interrupted(call, interrupt, point)
            slowest, n_done, n_left = max(slowest, seconds), n_done + 1, n_left + left
            for fault in found:
                faults[f"{name}: {fault}"] += 1
        if n_threads_left() > n_threads:
            faults[f"{name}: {n_threads_left()} threads are left, {n_threads} before"] += 1
        print(f"{name}: {n_points} points of {whole:.5g} {'seconds' if args.signals else 'instructions'}", flush=True)
    for fault, count in faults.most_common():
        print(f"FAULT ({count} times) {fault}")
    seconds = time.perf_counter() - start
    print(f"{n_done} interruptions, {sum(faults.values())} faults, the slowest took {slowest:.2f} s; {seconds:.0f} s")
    print(f"the filters of warnings were left changed {n_left} times")
    return 1 if faults else 0


class Call:
    """A call of a method, to be repeated on the same classifier.

    Parameters
    ----------
    clf : classifier
    method : str
    arguments : tuple
    after : callable
        Called after each repetition, to remove files.
    """

    def __init__(self, clf, method, *arguments, after=lambda: None, **keywords):
        self.clf, self.method, self.arguments, self.keywords = clf, method, arguments, keywords
        self.after, self.X = after, arguments[0]
        self.before, self.attributes = self.clf.predict_proba(self.X), deepcopy(vars(clf))
        self.known = [self.before]
        if not method.startswith("predict"):
            self.known.append(self.once(deepcopy(clf) if method == "partial_fit" else clone(clf)))

    def __call__(self):
        getattr(self.clf, self.method)(*self.arguments, **self.keywords)

    def once(self, clf):
        proba = getattr(clf, self.method)(*self.arguments, **self.keywords).predict_proba(self.X)
        self.after()
        return proba

    def is_right(self):
        """Return whether the classifier predicts as before or as after the call."""
        try:
            proba = self.clf.predict_proba(self.X)
        except Exception:  # it may be half changed
            return False
        return any(np.array_equal(proba, known) for known in self.known)

    def repair(self):
        """Undo what a call or its interruption has done to the classifier."""
        self.clf.__dict__ = deepcopy(self.attributes)


def own_calls(folder):
    """The calls to interrupt, by name."""
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 8, 8)).astype(np.float32), np.arange(60) % 3

    def made(**parameters):
        settings = {"n_kernels": 2, "hidden_layer_sizes": 4, "max_iter": 2, "batch_size": 30, "random_state": 0}
        return NumpyCNNClassifier(**{**settings, **parameters}).fit(X, y)

    def remove():
        for path in folder.iterdir():
            path.unlink()

    return {
        "predict": Call(made(n_jobs=1), "predict", X),
        "predict, 2 threads": Call(made(n_jobs=2), "predict_proba", X),
        "fit": Call(made(n_jobs=1), "fit", X, y),
        "fit, 2 threads": Call(made(n_jobs=2), "fit", X, y),
        "fit, batch norm, early stopping": Call(
            made(n_jobs=2, batch_norm=True, dropout=0.2, early_stopping=True), "fit", X, y
        ),
        "fit, checkpoint": Call(made(n_jobs=2), "fit", X, y, checkpoint=folder / "c", after=remove),
        "partial_fit": Call(made(n_jobs=2, solver="sgd"), "partial_fit", X, y),
    }


def peer_calls():
    """The same calls of MLPClassifier."""
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 64)).astype(np.float32), np.arange(60) % 3
    clf = MLPClassifier(4, max_iter=2, batch_size=30, random_state=0).fit(X, y)
    return {
        "predict": Call(clf, "predict", X),
        "fit": Call(clf, "fit", X, y),
        "partial_fit": Call(clone(clf).set_params(solver="sgd").fit(X, y), "partial_fit", X, y),
    }


def measured(call, in_seconds):
    """Return how many instructions, or seconds, a call takes without interruption."""
    call()
    call.after()
    if in_seconds:
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        call.after()
        return seconds
    count = Trace(None)
    count.run(call)
    call.after()
    return count.n_instructions


def interrupted(call, interrupt, point):
    """Interrupt a call, and return the faults found, how long the call took after it, and whether warnings changed."""
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    call.repair()
    before, filters = state(), list(warnings.filters)
    at = interrupt(call, point)
    seconds = time.perf_counter() - at if at else 0.0
    found = [
        f"{name} is {now}, was {old}"
        for (name, old), now in zip(before.items(), state().values(), strict=True)
        if now != old
    ]
    if seconds > 1:
        found.append("the interruption took more than a second")
    if not call.is_right():
        found.append("the classifier predicts something else, or fails to")
        call.repair()  # so that the other thread can predict
    thread = threading.Thread(target=call.is_right, daemon=True)
    thread.start()
    thread.join(10)
    if thread.is_alive():
        found.append("another thread cannot predict")
    restore(before)
    left = warnings.filters != filters
    warnings.filters[:] = filters
    call.after()
    faulthandler.cancel_dump_traceback_later()
    return found, seconds, left


def by_trace(call, point):
    """Raise KeyboardInterrupt before the instruction of this number. Return when it was raised."""
    trace = Trace(point)
    with suppress(KeyboardInterrupt):
        trace.run(call)
    return trace.time


def by_signal(call, point):
    """Raise KeyboardInterrupt by the handler of SIGALRM, after a number of seconds. Return when it was raised."""
    raised = []

    def handler(signum, frame):
        raised.append(time.perf_counter())
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(point, 1e-6))
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    signal.signal(signal.SIGALRM, old)
    return raised[0] if raised else None


class Trace:
    """Counts the instructions of the main thread, and raises KeyboardInterrupt before one of them."""

    def __init__(self, at):
        self.at, self.n_instructions, self.time = at, 0, None

    def run(self, call):
        sys.settrace(self.trace)
        try:
            call()
        finally:
            sys.settrace(None)

    def trace(self, frame, event, argument):
        frame.f_trace_opcodes, frame.f_trace_lines = SINGLE_INSTRUCTIONS, not SINGLE_INSTRUCTIONS
        self.n_instructions += 1
        if self.n_instructions == self.at:
            sys.settrace(None)
            self.time = time.perf_counter()
            raise KeyboardInterrupt
        return self.trace


def state():
    """Return the state of the process that a call must not change."""
    return {
        "BLAS": [library.get_num_threads() for library in LIBRARIES],
        "NumPy's errors": np.geterr(),
        "NumPy's buffer": np.getbufsize(),
        "the handler of Ctrl-C": signal.getsignal(signal.SIGINT),
        "scikit-learn's configuration": sklearn.get_config(),
    }


def n_threads_left():
    """Return the number of threads of the process, those that are about to end left out; 0 if it cannot be found."""
    tasks, numbers = Path("/proc/self/task"), []
    while tasks.exists() and len(numbers) < 20:
        numbers.append(len(list(tasks.iterdir())))
        if len(numbers) > 1 and numbers[-1] == numbers[-2]:
            break
        time.sleep(0.001)
    return min(numbers, default=0)


def restore(before):
    """Restore the state after a fault, so that it is not found again."""
    for library, number in zip(LIBRARIES, before["BLAS"], strict=True):
        library.set_num_threads(number)
    np.seterr(**before["NumPy's errors"])
    np.setbufsize(before["NumPy's buffer"])
    signal.signal(signal.SIGINT, before["the handler of Ctrl-C"])
    sklearn.set_config(**before["scikit-learn's configuration"])


if __name__ == "__main__":
    sys.exit(main())
