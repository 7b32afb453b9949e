"""What verbose prints."""

import io
import re
import sys

import pytest

from skcnn import NumpyCNNClassifier
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
    assert len(lines) == 2
    assert all(re.fullmatch(expected, line) for line in lines)
    assert out.err == ""
    NumpyCNNClassifier(**QUICK).fit(X, y)
    assert capsys.readouterr() == ("", "")


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
