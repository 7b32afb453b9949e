"""Callbacks of scikit-learn 1.9. Older versions work without them."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

callback = pytest.importorskip("sklearn.callback")


class Notes:
    """A callback that writes down its calls, and ends training after some epochs."""

    def __init__(self, stop_after=None):
        self.stop_after, self.notes = stop_after, []

    def setup(self, estimator, context):
        self.notes.append("setup")

    def teardown(self, estimator, context):
        self.notes.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.notes.append(("begin", context.task_name, context.max_subtasks, None if X is None else X.shape))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.notes.append(("end", context.task_name, context.task_id, sorted(metadata or {})))
        self.score = fitted_estimator.score(X, y)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


def test_a_callback_is_told_of_every_epoch(make, data):
    X, y = data
    notes = Notes()
    clf = make(max_iter=2).set_callbacks(notes).fit(X, y, sample_weight=1.0 + y)
    assert notes.notes == [
        "setup",
        ("begin", "fit", 2, X.shape),
        ("begin", "epoch", 0, X.shape),
        ("end", "epoch", 0, ["sample_weight"]),
        ("begin", "epoch", 0, X.shape),
        ("end", "epoch", 1, ["sample_weight"]),
        ("end", "fit", 0, ["sample_weight"]),
        "teardown",
    ]
    assert notes.score == clf.score(X, y)


def test_a_callback_may_end_training(make, data):
    clf = make(max_iter=9).set_callbacks(Notes(stop_after=3)).fit(*data)
    assert (clf.n_iter_, clf.stop_reason_) == (3, "callback")


def test_a_callback_changes_no_bit(make, data):
    watched, alone = make(max_iter=3).set_callbacks(Notes()).fit(*data), make(max_iter=3).fit(*data)
    assert watched.predict_proba(data[0]).tobytes() == alone.predict_proba(data[0]).tobytes()


def test_a_callback_that_fails_leaves_nothing_behind(make, data):
    class Failing(Notes):
        def on_fit_task_begin(self, estimator, context, *, X=None):
            if context.task_name == "epoch":
                raise RuntimeError("no more")

    failing = Failing()
    clf = make().set_callbacks(failing)
    with pytest.raises(RuntimeError, match="no more"):
        clf.fit(*data)
    assert failing.notes == ["setup", "teardown"]
    assert not hasattr(clf, "network_")
    assert not hasattr(clf, "_callback_fit_ctx")


def test_the_scores_of_every_epoch_are_logged(make, data):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = make(max_iter=3).set_callbacks(monitor).fit(*data)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit", "epoch", "epoch", "epoch"]
    assert log[0]["accuracy"] == log[-1]["accuracy"] == clf.score(*data)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bars_are_nested_through_search_and_pipeline(n_jobs, make, data, capfd):
    pytest.importorskip("rich")
    X, y = data
    pipeline = make_pipeline(StandardScaler(), make(max_iter=3))
    search = GridSearchCV(pipeline, {"numpycnnclassifier__alpha": [0.0, 0.1]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capfd.readouterr().out
    assert "GridSearchCV - fit" in shown
    assert "Pipeline - fit-final-estimator | NumpyCNNClassifier - fit" in shown
    assert search.best_estimator_.predict(X).shape == y.shape


def test_clones_and_pickles_do_as_they_do_in_scikit_learn(make, data):
    clf = make().set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    assert len(clone(clf)._skl_callbacks) == 1
    assert clone(clf).set_callbacks().fit(*data).n_iter_ == 1
    again = pickle.loads(pickle.dumps(clf.set_callbacks(Notes()).fit(*data)))
    np.testing.assert_array_equal(again.predict(data[0]), clf.predict(data[0]))
    assert len(again._skl_callbacks) == 1


def test_without_callbacks_in_scikit_learn_nothing_is_missing():
    script = """
import sys
import sklearn.pipeline  # imports the module itself, where there is one
sys.modules["sklearn.callback"] = None  # as in scikit-learn before 1.9
import numpy as np
import skcnn._estimator.sklearn_private
from skcnn import NumpyCNNClassifier
assert not hasattr(skcnn._estimator.sklearn_private.CallbackSupportMixin, "set_callbacks")
X, y = np.eye(6), np.arange(6) % 2
assert NumpyCNNClassifier(n_kernels=1, max_iter=1, image_shape=(2, 3)).fit(X, y).n_iter_ == 1
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_early_stopping_and_callbacks_agree_on_the_last_epoch(make, data):
    notes = Notes()
    settings = {"max_iter": 20, "early_stopping": True, "n_iter_no_change": 1, "tol": 0.5, "learning_rate": "constant"}
    clf = make(**settings).set_callbacks(notes).fit(*data)
    assert clf.stop_reason_ == "early_stopping"
    epochs = [note for note in notes.notes if note[:2] == ("end", "epoch")]
    assert len(epochs) == clf.n_iter_ < 20
    assert np.isfinite(notes.score)
