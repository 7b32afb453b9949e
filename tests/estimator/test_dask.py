"""Searches and training on a cluster of dask give what they give in one process."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skcnn import NumpyCNNClassifier

distributed = pytest.importorskip("dask.distributed")
array = pytest.importorskip("dask.array")
wrappers = pytest.importorskip("dask_ml.wrappers")

# dask's libraries announce changes of their own
pytestmark = pytest.mark.filterwarnings("default")
CHUNK = 120


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def rows():
    X, y = load_digits(return_X_y=True)
    return X[:400].astype(np.float32), y[:400]


def in_chunks(X, y):
    return array.from_array(X, chunks=(CHUNK, -1)), array.from_array(y, chunks=CHUNK)


def test_a_search_on_a_cluster_has_the_scores_of_a_serial_one(client, rows):
    def search():
        return GridSearchCV(NumpyCNNClassifier(max_iter=3, random_state=0), {"n_kernels": [4, 8]}, cv=3, n_jobs=-1)

    with joblib.parallel_config("sequential"):
        serial = search().fit(*rows)
    with joblib.parallel_config("dask"), distributed.get_task_stream(client) as tasks:
        on_cluster = search().fit(*rows)

    assert {task["worker"] for task in tasks.data} == set(client.scheduler_info()["workers"])
    for name in ("mean_test_score", "split0_test_score", "split1_test_score", "split2_test_score"):
        np.testing.assert_array_equal(on_cluster.cv_results_[name], serial.cv_results_[name])
    assert serial.cv_results_["mean_test_score"].min() > 0.3
    np.testing.assert_array_equal(on_cluster.predict_proba(rows[0]), serial.predict_proba(rows[0]))


def test_incremental_training_on_a_cluster_is_partial_fit_on_each_chunk(client, rows):
    X, y = rows
    classes = np.unique(y)
    clf = NumpyCNNClassifier(image_shape=(8, 8), scaling=(0, 16), random_state=0)
    there = wrappers.Incremental(clf, shuffle_blocks=False).fit(*in_chunks(X, y), classes=classes)

    here = NumpyCNNClassifier(image_shape=(8, 8), scaling=(0, 16), random_state=0)
    for start in range(0, len(X), CHUNK):
        here.partial_fit(X[start : start + CHUNK], y[start : start + CHUNK], classes=classes)

    np.testing.assert_array_equal(there.estimator_.predict_proba(X), here.predict_proba(X))
    np.testing.assert_array_equal(there.predict(in_chunks(X, y)[0]).compute(), here.predict(X))
    assert there.score(*in_chunks(X, y)) == here.score(X, y)
