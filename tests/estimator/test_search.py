"""Searches over parameters."""

import warnings

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Flatten, MaxPool2D, ReLU
from skcnn.optimizers import SGD

SMALL, LARGE = [Conv2D(4), ReLU(), Flatten()], [Conv2D(4), ReLU(), MaxPool2D(), Flatten()]
GRIDS = {
    "numbers": {
        "cnn__n_kernels": [4, (4, 8)],
        "cnn__kernel_size": [3, 5],
        "cnn__pool_size": [1, 2],
        "cnn__hidden_layer_sizes": [(), (16,)],
    },
    "layers": {
        "cnn__layers": [SMALL, LARGE],
        "cnn__layers__0__n_kernels": [2, 6],
        "cnn__solver__momentum": [0.0, 0.9],
    },
}


@pytest.fixture(scope="module")
def four_digits():
    X, y = load_digits(n_class=4, return_X_y=True)
    return X[:240], y[:240]


def search(grid, four_digits, n_jobs, **settings):
    cnn = NumpyCNNClassifier(solver=SGD(), learning_rate_init=0.05, max_iter=2, random_state=0, **settings)
    pipeline = Pipeline([("scale", MinMaxScaler()), ("cnn", cnn)])
    return GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(*four_digits)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grid", GRIDS)
def test_grid_search_in_processes_gives_the_same_results(grid, dtype, four_digits):
    serial, parallel = (search(GRIDS[grid], four_digits, n_jobs, dtype=dtype) for n_jobs in (1, 2))
    for name in serial.cv_results_:
        if name.startswith(("split", "mean_test", "rank")):
            np.testing.assert_array_equal(serial.cv_results_[name], parallel.cv_results_[name])
    assert len(np.unique(serial.cv_results_["mean_test_score"])) > 2, "the candidates differ"
    X = four_digits[0]
    assert serial.predict_proba(X).tobytes() == parallel.predict_proba(X).tobytes()


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_candidate_that_does_not_fit_scores_nan(four_digits):
    with pytest.warns(FitFailedWarning, match="kernel 9x9 does not fit the 8x8 feature map"):
        result = search(
            {"cnn__kernel_size": [3, 9]}, four_digits, n_jobs=1, image_shape=(8, 8), padding="valid", pool_size=1
        )
    scores = result.cv_results_["mean_test_score"]
    assert scores[0] > 0.5
    assert np.isnan(scores[1])
    assert result.best_params_ == {"cnn__kernel_size": 3}


SPACE = {"max_iter": [1, 3], "n_kernels": [2, (4, 8)], "solver__momentum": [0.0, 0.9]}


@pytest.mark.parametrize("kind", ["halving", "halving over epochs", "randomised"])
def test_other_searches_run_in_processes(kind, four_digits):
    cnn = NumpyCNNClassifier(solver=SGD(), learning_rate_init=0.05, random_state=0)
    searches = {
        "halving": lambda n_jobs: HalvingGridSearchCV(cnn, SPACE, cv=2, n_jobs=n_jobs, random_state=0),
        "halving over epochs": lambda n_jobs: HalvingRandomSearchCV(
            cnn,
            {name: SPACE[name] for name in ("n_kernels", "solver__momentum")},
            n_candidates=4,
            resource="max_iter",
            max_resources=8,
            min_resources=2,
            factor=2,
            cv=2,
            n_jobs=n_jobs,
            random_state=0,
        ),
        "randomised": lambda n_jobs: RandomizedSearchCV(cnn, SPACE, n_iter=5, cv=2, n_jobs=n_jobs, random_state=0),
    }
    serial, parallel = (searches[kind](n_jobs).fit(*four_digits) for n_jobs in (1, 2))
    np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"])
    assert serial.best_params_ == parallel.best_params_
    assert serial.best_score_ > 0.5


@pytest.mark.parametrize("grid", [{"kernel_size": [3, 7]}, {"batch_size": [8, 0]}], ids=str)
def test_a_candidate_of_parameters_that_do_not_fit_scores_nan(make, images, grid):
    search = GridSearchCV(make(padding="valid"), grid, cv=2, error_score=np.nan)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*images)
    assert any(
        issubclass(w.category, FitFailedWarning) and "2 fits failed out of a total of 4" in str(w.message)
        for w in caught
    )
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).tolist() == [True, False]
    assert search.best_params_ == {name: values[0] for name, values in grid.items()}


@pytest.fixture(scope="module")
def serial_scores(digits):
    with joblib.parallel_config("sequential"):
        return _search_scores(digits, n_jobs=1)


def _search_scores(digits, n_jobs):
    clf = NumpyCNNClassifier(8, hidden_layer_sizes=16, max_iter=2, random_state=0)
    grid = {"learning_rate_init": [0.01, 0.03], "kernel_size": [3, 5]}
    search = GridSearchCV(clf, grid, cv=2, scoring="neg_log_loss", n_jobs=n_jobs).fit(*digits)
    return {name: values.tolist() for name, values in search.cv_results_.items() if name.endswith("_test_score")}


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_parallel_search_scores_the_same(digits, serial_scores, backend):
    assert np.isfinite(serial_scores["mean_test_score"]).all()
    assert len(set(serial_scores["mean_test_score"])) == 4
    with joblib.parallel_config(backend):
        assert _search_scores(digits, n_jobs=2) == serial_scores
