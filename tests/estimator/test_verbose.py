"""What verbose prints."""

import io
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tqdm.auto

from skcnn import NumpyCNNClassifier
from skcnn._estimator import progress
from skcnn._estimator.progress import hint_at_backend
from tests.estimator.helpers import QUICK


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both", "missing"])
def test_verbose_without_an_output_to_print_to_loses_no_training(split_digits, closed, monkeypatch):
    pipe = io.StringIO()
    pipe.close()
    for name in ("stdout", "stderr"):
        if closed in (name, "both", "missing"):
            monkeypatch.setattr(sys, name, None if closed == "missing" else pipe)
    clf = NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])
    monkeypatch.undo()
    assert clf.n_iter_ == 2


def test_verbose_prints_a_clean_line_an_epoch_where_there_is_no_terminal(split_digits, capsys):
    X, X_val, y, y_val = split_digits
    NumpyCNNClassifier(verbose=1, **QUICK).fit(X, y, X_val=X_val, y_val=y_val)
    out = capsys.readouterr()
    lines = out.out.splitlines()
    number = r"\d\.\d{4}"
    expected = rf"Epoch [12]/2: \d+\.\ds loss={number} val_loss={number} val_accuracy={number} val_f1={number}"
    assert lines[0] == "Images of 8x8x1: Conv2D 4, Conv2D 8, Dense 16, Dense 10; 1,034 parameters"
    assert len(lines) == 3
    assert all(re.fullmatch(expected, line) for line in lines[1:])
    assert out.err == ""
    NumpyCNNClassifier(**QUICK).fit(X, y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("backend", "seconds", "hints"), [("numpy", 40.0, True), ("numpy", 5.0, False), ("numba", 40.0, False)]
)
def test_after_a_long_training_there_is_a_hint_at_compiled_kernels(backend, seconds, hints, capsys):
    hint_at_backend(backend, [{"seconds": seconds / 2}] * 2)
    assert ('pip install "skcnn[fast]"' in capsys.readouterr().out) == hints


def test_only_verbose_shows_the_hint(split_digits, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LONG", 0.0)
    clf = NumpyCNNClassifier(backend="numpy", **QUICK)
    clf.fit(split_digits[0], split_digits[2])
    assert capsys.readouterr().out == ""
    clf.set_params(verbose=1).fit(split_digits[0], split_digits[2])
    assert 'backend="numba"' in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_time_limit_in_the_output_comes_out(split_digits, stream, monkeypatch):
    class Terminal(io.StringIO):
        def write(self, text):
            raise TimeoutError("by the handler of SIGALRM")

        def isatty(self):
            return True

    monkeypatch.setattr(sys, stream, Terminal())
    with pytest.raises(TimeoutError, match="SIGALRM"):
        NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_leaves_no_thread(split_digits, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tqdm.auto.tqdm, "monitor", None)
    before = set(threading.enumerate())
    NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])
    assert "Epoch 1/2" in sys.stderr.getvalue()
    assert set(threading.enumerate()) <= before


def test_an_interruption_does_not_keep_the_lock_of_the_bar(split_digits, monkeypatch):
    class Interrupted(type(tqdm.auto.tqdm.get_lock())):
        def __enter__(self):
            self.acquire()
            raise KeyboardInterrupt  # by a signal handler

    lock = Interrupted()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tqdm.auto.tqdm, "_lock", lock)
    with pytest.raises(KeyboardInterrupt):
        NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(
            lambda: all(part.acquire(timeout=1) and not part.release() for part in lock.locks)
        ).result()
