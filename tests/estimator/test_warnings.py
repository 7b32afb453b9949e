"""Warnings point to the line of the user who called."""

import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn._estimator import fitted as module

CALLS = {
    "a loss that rises": lambda make, X, y: make(learning_rate_init=1e3, max_iter=2).fit(X, y),
    "a large batch": lambda make, X, y: make(batch_size=1000).fit(X, y),
    "partial_fit": lambda make, X, y: make(learning_rate_init=1e30).partial_fit(X, y, classes=[0, 1, 2]),
    "another scale": lambda make, X, y: make().fit(X, y).predict(1000 * X),
    "another scale in a score": lambda make, X, y: make().fit(X, y).score(1000 * X, y),
    "another scale of X_val": lambda make, X, y: make().fit(X, y, X_val=1000 * X, y_val=y),
    "dark images": lambda make, X, y: make().fit(np.abs(X).astype(np.uint8), y),
    "a guessed shape": lambda make, X, y: make().fit(np.tile(X, 2)[:, :70], y),
    "the other order of axes": lambda make, X, y: make().fit(X.reshape(40, 3, 2, 6), y),
    "two scales": lambda make, X, y: make().fit(X * np.repeat([1, 1000], 20)[:, np.newaxis], y),
    "outliers": lambda make, X, y: make(scaling="standard").fit(np.where(np.arange(36) == 0, -9999.0, X), y),
    "in a pipeline": lambda make, X, y: make_pipeline(FunctionTransformer(), make(batch_size=1000)).fit(X, y),
    "in a search": lambda make, X, y: cross_val_score(make(batch_size=1000), X, y, cv=2),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_warning_points_to_the_caller(call, make, data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[call](make, *data)
    assert caught
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}


@pytest.mark.parametrize("library", ["pickle", "joblib", "copy"])
def test_a_warning_of_another_version_points_to_the_line_that_loads(library, make, data, tmp_path, monkeypatch):
    import copy
    import pickle

    clf = make().fit(*data)
    written, path = pickle.dumps(clf), tmp_path / "model"
    joblib.dump(clf, path)
    monkeypatch.setattr(module, "__version__", "9.9")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if library == "pickle":
            pickle.loads(written)
        elif library == "joblib":
            joblib.load(path)
        else:
            monkeypatch.undo()
            state = clf.__getstate__() | {"_skcnn_version": "0.0.1"}
            monkeypatch.setattr(type(clf), "__getstate__", lambda self: state)
            copy.copy(clf)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
