"""Training that Ctrl-C interrupts."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

INTERRUPTIONS = Path(__file__).parents[2] / "benchmarks" / "interruptions.py"
pytestmark = pytest.mark.usefixtures("ctrl_c", "small_shards")


def interrupting(at, times=1):
    """Return a constant schedule that presses Ctrl-C after a number of epochs."""
    pressed = []

    def schedule(epoch, n_epochs):
        while epoch >= at and len(pressed) < times:
            pressed.append(epoch)
            signal.raise_signal(signal.SIGINT)
        return 1.0

    return schedule


def test_an_interruption_in_an_epoch_keeps_the_steps_before_it(make, data):
    X, y = data
    clf = make(learning_rate=interrupting(at=1.5), alpha=0.1, batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match=r"interrupted in epoch 2; the classifier has the weights of the last step"):
        clf.fit(X, y)
    assert (clf.stop_reason_, clf.n_iter_, clf.t_) == ("interrupted", 2, 40 + 30)  # the step is finished
    assert np.isfinite(clf.predict_proba(X)).all()
    # the same steps without an interruption
    steps = make(learning_rate=lambda epoch, n: float(epoch < 1.75), alpha=0.1, batch_size=10, max_iter=2).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), steps.predict_proba(X))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_early_stopping_keeps_its_best_weights(make, data):
    X, y = data
    clf = make(learning_rate=interrupting(at=2.5), batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        clf.set_params(early_stopping=True).fit(X, y)
    assert clf.best_iter_ <= 3
    assert clf.validation_scores_[clf.best_iter_ - 1] == clf.best_validation_score_


def test_an_interruption_at_the_first_step_leaves_that_step(make, data):
    clf = make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5)
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        clf.fit(*data)
    assert (clf.n_iter_, clf.t_) == (1, 10)
    assert np.isfinite(clf.predict_proba(data[0])).all()


def test_a_second_interruption_comes_at_once_and_leaves_nothing_half_done(make, data):
    clf = make(learning_rate=interrupting(at=0, times=2), max_iter=5)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    with pytest.raises(NotFittedError):
        clf.predict(data[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interruption_comes_at_once_in_the_next_fit_too(make, data):
    with pytest.warns(UserWarning, match="interrupted in epoch 1"):
        make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5).fit(*data)
    with pytest.raises(KeyboardInterrupt):
        make(learning_rate=interrupting(at=0), batch_size=10, max_iter=5).fit(*data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_in_the_very_last_step_interrupts_nothing(make, data):
    clf = make(learning_rate=interrupting(at=1.75), batch_size=10, max_iter=2).fit(*data)
    assert (clf.stop_reason_, clf.t_) == ("max_iter", 80)


def test_a_handler_of_the_caller_is_kept(make, data):
    caught = []
    signal.signal(signal.SIGINT, lambda *args: caught.append(args))
    try:
        clf = make(learning_rate=interrupting(at=0), max_iter=2).fit(*data)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert len(caught) == 1
    assert clf.stop_reason_ == "max_iter"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--points", "70"),
        pytest.param(("--points", "350"), marks=pytest.mark.slow),
        pytest.param(("--signals", "700"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_an_exception_at_any_point_leaves_nothing_behind(arguments):
    done = subprocess.run([sys.executable, INTERRUPTIONS, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout
