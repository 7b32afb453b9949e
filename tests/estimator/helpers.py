"""Settings and comparisons that several tests of the classifier share."""

import numpy as np

from skcnn._trees import leaves

QUICK = {
    "n_kernels": (4, 8),
    "hidden_layer_sizes": (16,),
    "max_iter": 2,
    "learning_rate_init": 0.01,
    "learning_rate": "cosine",  # a cycle of two epochs hardly trains
    "random_state": 0,
}


def bits(clf, X):
    return clf.predict_proba(X).tobytes()


def weights_of(clf):
    return [W.tobytes() for W in (*clf.coefs_, *clf.intercepts_)]


PREDICTIONS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def is_finite(clf):
    return all(np.isfinite(array).all() for _, array in leaves(clf.network_.params))


def last_row(clf):
    return clf.history_[-1]
