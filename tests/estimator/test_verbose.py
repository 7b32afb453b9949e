"""What verbose prints."""

import io
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import tqdm.std

from skcnn import NumpyCNNClassifier
from skcnn._estimator import progress
from skcnn._estimator.progress import Progress
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
    expected = rf"Epoch [12]/2: \d+\.\ds loss={number} accuracy={number} val_accuracy={number} val_f1={number}"
    assert lines[0] == "Images of 8x8x1: Conv2D 4, Conv2D 8, Dense 16, Dense 10; 1,034 parameters"
    assert len(lines) == 3
    assert all(re.fullmatch(expected, line) for line in lines[1:])
    assert out.err == ""
    NumpyCNNClassifier(**QUICK).fit(X, y)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("seconds", "minutes"), [(10, None), (31, 1), (240, 4)])
def test_after_the_first_epoch_of_a_long_training_there_is_one_hint_at_compiled_kernels(seconds, minutes, capsys):
    shown = Progress(1, hints=True)
    for epoch in (1, 2, 3):
        shown.start_epoch(epoch, 10, 5)
        shown.end_epoch(SimpleNamespace(history=[{"loss": 0.5, "accuracy": 0.8, "seconds": seconds / 10}]))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "skcnn[fast]" in line] == lines[1 : 1 + bool(minutes)]
    assert not minutes or lines[1].startswith(f"Training takes about {minutes} min. ")


def test_only_verbose_shows_the_hint_and_only_where_kernels_are_not_compiled(split_digits, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LONG", 0.0)
    clf = NumpyCNNClassifier(backend="numpy", **QUICK)
    clf.fit(split_digits[0], split_digits[2])
    assert capsys.readouterr().out == ""
    clf.set_params(verbose=1).fit(split_digits[0], split_digits[2])
    assert 'backend="numba"' in capsys.readouterr().out.splitlines()[2]
    Progress(1).end_epoch(SimpleNamespace(history=[{"loss": 0.5, "accuracy": 0.8, "seconds": 1.0}]))
    assert "numba" not in capsys.readouterr().out


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


@pytest.fixture
def on_terminal(monkeypatch):
    """Return a function that calls another one and returns what it writes to stderr, which is a terminal meanwhile."""

    def written(function, *args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", Terminal())
            function(*args, **kwargs)
            return sys.stderr.getvalue()

    return written


@pytest.fixture
def notebook(monkeypatch):
    """Pretend to be in a notebook without ipywidgets. Return the lines of each display, of which the last one stays."""
    outputs = []

    class Handle:
        def __init__(self):
            self.index = len(outputs)
            outputs.append([])

        def update(self, content, raw):
            assert raw
            outputs[self.index].append(content["text/plain"])

    def display(content, raw, display_id):
        assert raw
        assert display_id is True
        return Handle()

    kernel = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    progress.notebook_bar_class.cache_clear()
    yield outputs
    progress.notebook_bar_class.cache_clear()


def states(text):
    """What the bar showed, one state after the other."""
    return [state.strip() for state in re.split(r"[\r\n]", text) if "Epoch" in state]


LAST_STATE = r"Epoch 2/2: 100%\|[█#]+\| 00:\d\d, loss=(\d\.\d{4}) acc=(\d\.\d{4}) val_acc=(\d\.\d{4})"


def test_one_bar_a_fit_stays_on_the_terminal(split_digits, on_terminal, capsys):
    X, X_val, y, y_val = split_digits
    clf = NumpyCNNClassifier(verbose=1, **QUICK)
    written = on_terminal(clf.fit, X, y, X_val=X_val, y_val=y_val)
    shown = states(written)
    assert written.count("\n") == 1
    assert shown[0].startswith("Epoch 1/2:   0%")
    assert re.search(r"Epoch [12]/2: .*\d\d:\d\d<\d\d:\d\d, loss=\d", "\n".join(shown))
    figures = clf.loss_, clf.history_[-1]["accuracy"], clf.validation_scores_[-1]
    assert re.fullmatch(LAST_STATE, shown[-1]).groups() == tuple(f"{figure:.4f}" for figure in figures)
    assert [line[:9] for line in capsys.readouterr().out.splitlines()] == ["Images of"]


def test_the_bar_names_a_score_that_is_not_the_accuracy(split_digits, on_terminal):
    X, X_val, y, y_val = split_digits
    clf = NumpyCNNClassifier(verbose=1, scoring="f1_macro", **QUICK)
    written = on_terminal(clf.fit, X, y, X_val=X_val, y_val=y_val)
    assert re.search(r" val_score=\d\.\d{4}$", states(written)[-1])


def test_verbose_2_prints_the_lines_too(split_digits, on_terminal, capsys):
    written = on_terminal(NumpyCNNClassifier(verbose=2, **QUICK).fit, split_digits[0], split_digits[2])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:]] == ["Epoch 1/2", "Epoch 2/2"]
    assert "Epoch 2/2: 100%" in written


def test_a_fit_that_ends_early_leaves_the_bar_where_it_was(split_digits, on_terminal):
    clf = NumpyCNNClassifier(verbose=1, **{**QUICK, "max_iter": 100}, max_time=1e-9)
    last = states(on_terminal(clf.fit, split_digits[0], split_digits[2]))[-1]
    assert last.startswith("Epoch 1/100:   0%")
    assert "<" not in last  # no time is left


def test_the_bar_of_a_resumed_fit_starts_where_the_fit_was(on_terminal):
    def resume():
        progress = Progress(1)
        progress.start_epoch(4, 4, 10)
        for _ in range(10):
            progress.end_step(0.5, 0.9)
        progress.close()

    shown = states(on_terminal(resume))
    assert shown[0].startswith("Epoch 4/4:  75%")
    assert shown[-1].startswith("Epoch 4/4: 100%")


def test_in_a_notebook_the_bar_is_one_line_of_text(split_digits, notebook, capsys):
    X, X_val, y, y_val = split_digits
    NumpyCNNClassifier(verbose=1, **QUICK).fit(X, y, X_val=X_val, y_val=y_val)
    ((first, *_, last),) = notebook
    assert first.startswith("Epoch 1/2:   0%")
    assert re.fullmatch(LAST_STATE, last.strip())
    assert "█" in last
    out, err = capsys.readouterr()
    assert err == ""
    assert [line[:9] for line in out.splitlines()] == ["Images of"]


def test_a_terminal_without_a_width_has_a_bar(on_terminal, split_digits, monkeypatch):
    monkeypatch.setattr("os.get_terminal_size", lambda number: SimpleNamespace(columns=0))
    monkeypatch.setattr(Terminal, "fileno", lambda self: 2)
    written = on_terminal(NumpyCNNClassifier(verbose=1, **QUICK).fit, split_digits[0], split_digits[2])
    assert "Epoch 2/2: 100%" in written


def test_the_bar_leaves_no_thread(split_digits, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tqdm.std.tqdm, "monitor", None)
    before = set(threading.enumerate())
    NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])
    assert "Epoch 1/2" in sys.stderr.getvalue()
    assert set(threading.enumerate()) <= before


def test_an_interruption_does_not_keep_the_lock_of_the_bar(split_digits, monkeypatch):
    class Interrupted(type(tqdm.std.tqdm.get_lock())):
        def __enter__(self):
            self.acquire()
            raise KeyboardInterrupt  # by a signal handler

    lock = Interrupted()
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tqdm.std.tqdm, "_lock", lock)
    with pytest.raises(KeyboardInterrupt):
        NumpyCNNClassifier(verbose=1, **QUICK).fit(split_digits[0], split_digits[2])
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(
            lambda: all(part.acquire(timeout=1) and not part.release() for part in lock.locks)
        ).result()
