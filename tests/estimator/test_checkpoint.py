"""Training that stops and goes on from a checkpoint gives the same model as one that does not stop."""

import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skcnn._estimator.checkpoint import Checkpoint
from skcnn._estimator.fitted import VersionWarning
from skcnn._training.state import TrainingState
from skcnn._trees import leaves
from skcnn.augmentation import Shift
from skcnn.layers import BatchNorm, Conv2D, Dropout, Flatten, ReLU
from skcnn.network import Network
from skcnn.optimizers import SGD
from skcnn.schedules import ReduceOnPlateau

KILLS = Path(__file__).parents[2] / "benchmarks" / "kills.py"
USUAL = {"n_kernels": "auto", "hidden_layer_sizes": "auto"}  # the default values, which `layers` needs
SETTINGS = {
    "plain": {},
    "momentum": {"solver": SGD(), "learning_rate_init": 0.1},
    "regularised": {
        "layers": [Conv2D(2), BatchNorm(), ReLU(), Dropout(0.2), Flatten()],
        **USUAL,
        "augment": Shift(1),
    },
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "fraction": {"learning_rate_init": Fraction(1, 100)},
    "plateau": {"learning_rate": ReduceOnPlateau(0.5, patience=0, tol=0.5)},
}


class Stop(Exception):
    """Raised in the middle of training, in place of a kill: only the file remains."""


class Trap:
    """The call of `trapped` at which something happens, and what happens."""

    calls, at, what = 0, 0, None


def trapped(images, rng):
    """Return the images as they are; at the call that `Trap` names, do what it says."""
    Trap.calls += 1
    if Trap.calls == Trap.at:
        Trap.what()
    return images


def stop():
    raise Stop


@pytest.fixture(autouse=True)
def no_trap():
    Trap.calls, Trap.at, Trap.what = 0, 0, stop
    yield
    Trap.at = 0


def bits(clf):
    return [array.tobytes() for _, array in leaves([clf.network_.params, clf.network_.states])]


OF_FIT = {"parameters": {"alpha": 0.5}, "X": "its digest"}


def opened(folder, depends_on=OF_FIT):
    checkpoint = Checkpoint(folder / "c")
    checkpoint.open(depends_on)
    return checkpoint


def state_after(n_seen):
    network = Network.build([Flatten()], (1, 1, 1), np.random.default_rng(0), np.float32)
    return TrainingState(network, optimizer_state={"velocities": []}, n_seen=n_seen)


def n_seen_in(folder):
    """Return the state in the checkpoint."""
    state = state_after(0)
    Checkpoint(folder / "c").open(OF_FIT).restore(state, SGD())
    return state.n_seen


def stopped(unfitted, call, *data, **arguments):
    """Fit a clone and stop it at a call of the augmentation. Only the checkpoint remains."""
    clf = clone(unfitted)
    Trap.calls, Trap.at = 0, call
    with pytest.raises(Stop):
        clf.fit(*data, **arguments)
    Trap.at = 0
    assert not hasattr(clf, "network_")


@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_that_was_cut_off_ends_in_the_same_bytes(name, make, data, tmp_path):
    X, y = data
    path = tmp_path / "here.checkpoint"
    settings = dict(SETTINGS[name])
    changes = [settings.pop("augment")] if "augment" in settings else []
    unfitted = make(max_iter=6, batch_size=8, augment=[*changes, trapped], **settings)
    whole = clone(unfitted).fit(X, y, sample_weight=1.0 + y)

    arguments = {"sample_weight": 1.0 + y, "checkpoint": path}
    for call in (7, 12, 1):  # the first fit starts from nothing, the others from the file, which may hold nothing new
        stopped(unfitted, call, X, y, **arguments)
    assert path.exists()
    resumed = clone(unfitted).fit(X, y, **arguments)
    assert bits(resumed) == bits(whole)
    assert resumed.loss_curve_ == whole.loss_curve_
    assert (resumed.n_iter_, resumed.t_, resumed.stop_reason_) == (whole.n_iter_, whole.t_, whole.stop_reason_)
    assert (resumed.best_iter_, resumed.validation_scores_) == (whole.best_iter_, whole.validation_scores_)
    assert [file.name for file in tmp_path.iterdir()] == ["here.checkpoint.finished"]


def test_what_was_saved_is_trained_no_second_time(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=4, batch_size=40, augment=[trapped])
    stopped(unfitted, 3, *data, checkpoint=path)
    Trap.calls = 0
    clone(unfitted).fit(*data, checkpoint=path)
    assert Trap.calls == 2


def test_a_random_seed_is_taken_over(make, data, tmp_path):
    path = tmp_path / "c"
    network = {"n_kernels": 8, "hidden_layer_sizes": 16}  # large enough to learn from any seed
    unfitted = make(max_iter=3, random_state=None, batch_size=8, augment=[trapped], early_stopping=True, **network)
    stopped(unfitted, 8, *data, checkpoint=path)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    one = clone(unfitted).fit(*data, checkpoint=path)
    other = clone(unfitted).fit(*data, checkpoint=tmp_path / "copy")
    assert bits(one) == bits(other), "although both have drawn seeds of their own"
    assert bits(one) != bits(clone(unfitted).fit(*data))


def test_warm_start_goes_on_from_the_weights_it_had(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, warm_start=True, batch_size=8, augment=[trapped])
    whole, cut_off = clone(unfitted).fit(*data), clone(unfitted).fit(*data)
    whole.fit(*data)
    Trap.calls, Trap.at = 0, 8
    with pytest.raises(Stop):
        cut_off.fit(*data, checkpoint=path)
    assert cut_off.n_iter_ == 3, "the first fit is still there"
    cut_off.fit(*data, checkpoint=path)
    assert bits(cut_off) == bits(whole)
    assert cut_off.n_iter_ == whole.n_iter_ == 6


@pytest.mark.parametrize("change", ["parameter", "X", "y", "sample_weight", "held out", "weights"])
def test_a_checkpoint_of_another_fit_is_refused(change, make, data, tmp_path):
    (X, y), path = data, tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, warm_start=change == "weights", augment=[trapped])
    stopped(unfitted, 8, X, y, checkpoint=path)
    kept = path.read_bytes()
    other = clone(unfitted)
    arguments = {"X": X, "y": y}
    if change == "parameter":
        other.set_params(alpha=0.5)
    elif change == "weights":
        other.fit(X, y)
    elif change == "held out":
        arguments |= {"X_val": X, "y_val": y}
    else:
        arguments |= {"X": {"X": X + 1}, "y": {"y": (y + 1) % 3}, "sample_weight": {"sample_weight": 1.0 + y}}[change]
    text = r"checkpoint='.*c' was written by a fit with other parameters, data or initial weights"
    with pytest.raises(ValueError, match=text):
        other.fit(**arguments, checkpoint=path)
    assert path.read_bytes() == kept


def test_what_changes_no_number_is_no_other_fit(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=[trapped])
    stopped(unfitted, 8, *data, checkpoint=path)
    resumed = clone(unfitted).set_params(n_jobs=1, verbose=1, max_time=1e9).fit(*data, checkpoint=str(path))
    assert bits(resumed) == bits(clone(unfitted).fit(*data))


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-3], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b"", lambda b: b"GIF"],
    ids=["cut", "a bit", "empty", "another"],
)
def test_a_damaged_checkpoint_is_refused(damage, make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=[trapped])
    stopped(unfitted, 8, *data, checkpoint=path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is not a checkpoint, or is damaged; remove it to start from scratch"):
        clone(unfitted).fit(*data, checkpoint=path)


def test_another_version_warns(tmp_path, monkeypatch):
    monkeypatch.setattr("skcnn._estimator.file_kind.__version__", "0.0.7")
    opened(tmp_path).save(state_after(3), seed=0)
    monkeypatch.undo()
    with pytest.warns(VersionWarning, match=r"checkpoint='.*c' was saved by skcnn 0\.0\.7 and is loaded by skcnn"):
        assert n_seen_in(tmp_path) == 3


def test_a_newer_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("skcnn._estimator.file_kind.__version__", "7.0")
    monkeypatch.setattr("skcnn._estimator.file_kind.FORMAT", 9)
    opened(tmp_path).save(state_after(3), seed=0)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"checkpoint='.*c' was written by skcnn 7\.0, and .*; update skcnn"):
        opened(tmp_path)


def test_a_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    kept = opened(tmp_path)
    kept.save(state_after(1), seed=0)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*c'"):
        kept.save(state_after(2), seed=0)
    assert n_seen_in(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_what_a_killed_writer_left_is_overwritten_and_removed(tmp_path):
    kept = opened(tmp_path)
    (tmp_path / "c.part").write_bytes(b"half of")
    assert kept.open(OF_FIT) is None
    kept.save(state_after(1), seed=0)
    assert n_seen_in(tmp_path) == 1
    (tmp_path / "c.part").write_bytes(b"half of")
    kept.finish(state_after(2), seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["c.finished"]
    assert n_seen_in(tmp_path) == 2


@pytest.mark.parametrize("fault", ["no folder", "a folder"])
def test_a_place_that_cannot_be_written_is_an_error(fault, make, data, tmp_path):
    path = tmp_path / "missing" / "c" if fault == "no folder" else tmp_path
    clf = make(max_iter=2, augment=trapped)
    with pytest.raises(OSError, match=str(tmp_path)):
        clf.fit(*data, checkpoint=path)
    assert not hasattr(clf, "network_")
    assert Trap.calls == 0, "the error comes before training"


def test_a_checkpoint_is_a_path(make, data):
    with pytest.raises(TypeError, match="checkpoint must be a path, got 3"):
        make().fit(*data, checkpoint=3)


def test_parameters_that_cannot_be_recognised_are_an_error(make, data, tmp_path):
    clf = make(learning_rate=lambda epoch, max_iter: 1.0)
    with pytest.raises(
        ValueError, match=r"checkpoint needs parameters that another process can recognise; .*learning_rate=<function"
    ):
        clf.fit(*data, checkpoint=tmp_path / "c")


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_the_checkpoint(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=trapped)
    whole = clone(unfitted).fit(*data)
    Trap.calls, Trap.at, Trap.what = 0, 8, lambda: signal.raise_signal(signal.SIGINT)
    with pytest.warns(UserWarning, match="interrupted in epoch 2"):
        clone(unfitted).fit(*data, checkpoint=path)
    assert bits(clone(unfitted).fit(*data, checkpoint=path)) == bits(whole)
    assert not path.exists()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_is_no_early_stopping(make, data, tmp_path):
    path = tmp_path / "c"
    settings = {"early_stopping": True, "n_iter_no_change": 1, "tol": 0.5, "learning_rate": "constant"}
    unfitted = make(max_iter=9, batch_size=8, augment=trapped, **settings)
    whole = clone(unfitted).fit(*data)
    assert whole.n_iter_ == 3
    # interrupt the last epoch, at the end of which early stopping would stop
    Trap.calls, Trap.at, Trap.what = 0, 2 * 5 + 2, lambda: signal.raise_signal(signal.SIGINT)
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        clf = clone(unfitted).fit(*data, checkpoint=path)
    assert clf.stop_reason_ == "interrupted"
    resumed = clone(unfitted).fit(*data, checkpoint=path)
    assert (bits(resumed), resumed.stop_reason_) == (bits(whole), "early_stopping")


@pytest.mark.parametrize("epoch", [2, 4, 6])  # before early stopping, and in the rest of the schedule
def test_after_early_stopping_the_rest_of_the_schedule_can_be_resumed(epoch, make, data, tmp_path):
    path = tmp_path / "c"
    settings = {"early_stopping": True, "n_iter_no_change": 2, "tol": 1.0, "max_iter": 20, "batch_size": 8}
    unfitted = make(**settings, augment=trapped)
    whole = clone(unfitted).fit(*data)
    assert (whole.n_iter_, whole.stop_reason_) == (6, "early_stopping")
    stopped(unfitted, (epoch - 1) * 5 + 3, *data, checkpoint=path)
    resumed = clone(unfitted).fit(*data, checkpoint=path)
    assert (bits(resumed), resumed.stop_reason_) == (bits(whole), "early_stopping")


@pytest.mark.parametrize("call", [7, 10])  # the second of the five steps of an epoch, and the last one
def test_max_time_keeps_the_checkpoint(call, make, data, tmp_path, monkeypatch):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=trapped)
    whole = clone(unfitted).fit(*data)
    now = [0.0]
    monkeypatch.setattr("skcnn._training.loop.perf_counter", lambda: now[0])
    Trap.calls, Trap.at, Trap.what = 0, call, lambda: now.append(now.pop() + 60)
    clf = clone(unfitted).set_params(max_time=30).fit(*data, checkpoint=path)
    assert (clf.stop_reason_, clf.n_iter_) == ("max_time", 2)
    resumed = clone(unfitted).set_params(max_time=30).fit(*data, checkpoint=path)
    assert (bits(resumed), resumed.stop_reason_) == (bits(whole), "max_iter")
    assert not path.exists()


def test_the_same_layer_twice_is_two_equal_layers(make, data, tmp_path):
    path, relu = tmp_path / "c", ReLU()
    layers = [Conv2D(2), relu, Conv2D(2), relu, Flatten()]
    unfitted = make(layers=layers, **USUAL, max_iter=3, batch_size=8, augment=[trapped])
    Trap.at = 8
    with pytest.raises(Stop):
        unfitted.fit(*data, checkpoint=path)
    Trap.at = 0
    resumed = clone(unfitted).fit(*data, checkpoint=path)
    assert bits(resumed) == bits(clone(unfitted).fit(*data))


def test_a_random_state_that_has_gone_on_is_no_other_fit(make, data, tmp_path):
    path = tmp_path / "c"
    clf = make(random_state=np.random.RandomState(0), max_iter=3, batch_size=8, augment=[trapped])
    whole = clone(clf).fit(*data)
    Trap.calls, Trap.at = 0, 8
    with pytest.raises(Stop):
        clf.fit(*data, checkpoint=path)
    Trap.at = 0
    assert bits(clf.fit(*data, checkpoint=path)) == bits(whole)


def test_images_of_another_shape_are_other_data(make, data, tmp_path):
    (X, y), path = data, tmp_path / "c"
    unfitted = make(layers=[Flatten()], **USUAL, max_iter=3, batch_size=8, augment=[trapped])
    stopped(unfitted, 8, X.reshape(-1, 6, 6), y, checkpoint=path)
    with pytest.raises(ValueError, match="other parameters, data or initial weights"):
        clone(unfitted).fit(X.reshape(-1, 4, 9), y, checkpoint=path)


class Counting:
    """An optimizer that is no dataclass, with a state of several types."""

    def __init__(self, size):
        self.size = size

    def init(self, weights):
        return {"n": [0, {"x": (np.float32(1), None)}]}

    def step(self, weights, grads, state, learning_rate):
        state["n"][0] += 1
        for w, g in zip(weights, grads, strict=True):
            w -= learning_rate * self.size * np.sign(g) / state["n"][0]


def test_an_optimizer_of_one_s_own_resumes(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(solver=Counting(0.5), learning_rate_init=0.3, max_iter=3, batch_size=8, augment=[trapped])
    stopped(unfitted, 8, *data, checkpoint=path)
    with pytest.raises(ValueError, match=r"solver was .*Counting\(size=0\.5\) and is now .*Counting\(size=0\.7\)"):
        clone(unfitted).set_params(solver=Counting(0.7)).fit(*data, checkpoint=path)
    assert bits(clone(unfitted).fit(*data, checkpoint=path)) == bits(clone(unfitted).fit(*data))


def test_a_state_that_cannot_be_stored_is_an_error_that_names_the_solver(make, data, tmp_path):
    class State(Counting):
        def init(self, weights):
            return {"n": [0], "bad": {1, 2}}

    globals()["State"], State.__qualname__ = State, "State"
    with pytest.raises(TypeError, match=r"solver\.state\['bad'\] is \{1, 2\}, which cannot be stored without code"):
        make(solver=State(0.5), max_iter=2).fit(*data, checkpoint=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


class Flat(Counting):
    """An optimizer whose velocities are views of one buffer."""

    def init(self, weights):
        flat, ends = np.zeros(sum(w.size for w in weights)), np.cumsum([w.size for w in weights])
        views = [flat[end - w.size : end].reshape(w.shape) for w, end in zip(weights, ends, strict=True)]
        return {"n": [0], "flat": flat, "views": views}


@dataclass
class Velocities:
    values: list


class WithDataclass(Counting):
    def init(self, weights):
        return {"n": [0], "v": Velocities([0])}


class WithFunction(Counting):
    def init(self, weights):
        return {"n": [0], "f": np.tanh}


@pytest.mark.parametrize(
    ("solver", "text"),
    [(Flat, r"\['views'\]\[0\] is .* shares memory with another array"),
     (WithDataclass, r"\['v'\] is Velocities.* cannot be stored without code"),
     (WithFunction, r"\['f'\] is <ufunc 'tanh'>.* cannot be stored without code")],
)  # fmt: skip
def test_a_state_that_could_not_be_resumed_is_an_error(solver, text, make, data, tmp_path):
    with pytest.raises(TypeError, match=rf"(?s)solver\.state{text}; train without a checkpoint"):
        make(solver=solver(0.5), max_iter=2).fit(*data, checkpoint=tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True, "n_iter_no_change": 1}, {"warm_start": True}])
def test_a_finished_fit_is_not_repeated(settings, make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=4, batch_size=8, augment=trapped, **settings)
    first = clone(unfitted).fit(*data, checkpoint=path)
    kept = (tmp_path / "c.finished").read_bytes()
    Trap.calls = 0
    again = clone(unfitted).fit(*data, checkpoint=path)
    assert Trap.calls == 0
    assert bits(again) == bits(first)
    assert again.history_ == first.history_
    assert (again.t_, again.stop_reason_, again.best_iter_) == (first.t_, first.stop_reason_, first.best_iter_)
    if "warm_start" in settings:
        assert bits(again.partial_fit(*data)) == bits(first.partial_fit(*data))
    assert (tmp_path / "c.finished").read_bytes() == kept
    with pytest.raises(
        ValueError, match=r"checkpoint='.*c\.finished' was written by a fit.*alpha was 'auto' and is now 0\.5"
    ):
        clone(unfitted).set_params(alpha=0.5).fit(*data, checkpoint=path)


def test_a_finished_fit_warns_as_it_did(make, data, tmp_path):
    clf = make(solver=SGD(), learning_rate_init=1e9, max_iter=3)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"Training diverged in epoch \d: at a learning rate of"):
            clone(clf).fit(*data, checkpoint=tmp_path / "c")


def test_a_kill_between_the_last_save_and_the_new_name_loses_nothing(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=trapped)
    first = clone(unfitted).fit(*data, checkpoint=path)
    (tmp_path / "c.finished").rename(path)
    Trap.calls = 0
    assert bits(clone(unfitted).fit(*data, checkpoint=path)) == bits(first)
    assert Trap.calls == 0
    assert [file.name for file in tmp_path.iterdir()] == ["c.finished"]


def test_the_error_says_what_differs(make, data, tmp_path):
    X, y = data
    unfitted = make(max_iter=3, batch_size=8, augment=[trapped], solver=SGD())
    stopped(unfitted, 8, *data, checkpoint=tmp_path / "c")
    for change, arguments, text in [
        (
            {"solver": SGD(0.5)},
            (X, y),
            r"\(solver was SGD\(momentum=0\.9, .*\) and is now SGD\(momentum=0\.5, [^;]*\)\), so",
        ),
        ({"max_iter": 4}, (X, y), r"\(max_iter was 3 and is now 4\), so"),
        ({"alpha": 1, "tol": 1}, (X, y), r"\(alpha was 'auto' and is now 1; tol was 0\.0001 and is now 1\), so"),
        ({"alpha": Fraction(1, 3)}, (X, y), r"\(alpha was 'auto' and is now Fraction\(1, 3\)\), so"),
        ({}, (X * 2, y), r"\(X has changed\), so"),
        ({}, (X, 2 - y), r"\(y has changed\), so"),
        ({}, (X, y, 1.0 + y), r"\(sample_weight or class_weight has changed\), so"),
    ]:
        with pytest.raises(ValueError, match=text):
            clone(unfitted).set_params(**change).fit(*arguments, checkpoint=tmp_path / "c")


def test_equal_data_in_another_memory_order_is_the_same_data(make, data, tmp_path):
    (X, y), path = data, tmp_path / "c"
    unfitted = make(max_iter=3, batch_size=8, augment=[trapped])
    stopped(unfitted, 8, X, y, checkpoint=path)
    resumed = clone(unfitted).fit(np.asfortranarray(X), np.repeat(y, 2)[::2], checkpoint=path)
    assert bits(resumed) == bits(clone(unfitted).fit(X, y))


def test_a_relative_path_is_resolved_at_the_start(make, data, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    Trap.at, Trap.what = 2, lambda: os.chdir(tmp_path / "elsewhere")
    make(max_iter=3, augment=trapped).fit(*data, checkpoint="c")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "c.finished").exists()


def test_a_path_that_is_no_file_is_an_error_before_training(make, data, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    clf = make(augment=trapped)
    for path, error in [("", ValueError), (b"c", TypeError), (tmp_path / "pipe", OSError), ("/dev/null", OSError)]:
        with pytest.raises(error, match="checkpoint must be"):
            clf.fit(*data, checkpoint=path)
    assert Trap.calls == 0


def test_a_second_fit_meanwhile_is_refused_and_the_first_ends(make, data, tmp_path):
    path = tmp_path / "c"
    unfitted = make(max_iter=3, augment=trapped)
    whole = clone(unfitted).fit(*data)

    def fit_again():
        with pytest.raises(OSError, match=r"checkpoint is in use by another process or thread: '.*c'"):
            clone(unfitted).fit(*data, checkpoint=path)

    Trap.calls, Trap.at, Trap.what = 0, 3, fit_again
    assert bits(clone(unfitted).fit(*data, checkpoint=path)) == bits(whole)


def test_a_full_disk_is_an_error_that_names_the_file(make, data, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    clf = make()
    try:
        with pytest.raises(OSError, match=r"File too large: '.*c'"):
            clf.fit(*data, checkpoint=tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not hasattr(clf, "network_")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_killed_processes_end_in_the_same_bytes():
    done = subprocess.run(
        [sys.executable, KILLS, "--kills", "3", "--calls", "2", "--pairs", "5"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("killed after") >= 1
