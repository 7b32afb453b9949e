"""The loop of training: weight decay, schedules and the state of the optimizer."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn import NumpyCNNClassifier
from skcnn.schedules import ReduceOnPlateau


def test_a_decoupled_decay_shrinks_the_weights_alone(split_digits):
    """AdamW takes the step of Adam, and subtracts learning_rate * alpha * W; biases do not decay."""
    X, y = split_digits[0], split_digits[2]
    settings = {"batch_size": len(X), "max_iter": 1, "learning_rate": "constant", "random_state": 0, "dtype": "float64"}
    plain = NumpyCNNClassifier(solver="adam", alpha=0.0, **settings).fit(X, y)
    decayed = NumpyCNNClassifier(solver="adamw", alpha=0.3, **settings).fit(X, y)
    before = NumpyCNNClassifier(solver="adam", alpha=0.0, learning_rate_init=1e-300, **settings).fit(X, y)
    for start, one, other in zip(before.coefs_, plain.coefs_, decayed.coefs_, strict=True):
        np.testing.assert_allclose(other, one - 0.002 * 0.3 * start, rtol=0, atol=1e-14)
    for one, other in zip(plain.intercepts_, decayed.intercepts_, strict=True):
        np.testing.assert_array_equal(other, one)
    assert decayed.loss_curve_ == plain.loss_curve_  # the loss does not include the decay


def test_a_plateau_schedule_is_given_the_history(split_digits):
    X, y = split_digits[0], split_digits[2]
    schedule = ReduceOnPlateau(0.5, patience=0, tol=10.0)  # only the first epoch falls by this much
    clf = NumpyCNNClassifier(learning_rate=schedule, learning_rate_init=0.01, max_iter=4, random_state=0).fit(X, y)
    assert [row["learning_rate"] for row in clf.history_] == [0.01, 0.01, 0.005, 0.0025]


@pytest.mark.parametrize("cleared", [True, False])
def test_moments_that_have_decayed_to_almost_nothing_become_zero(cleared, make, data, monkeypatch):
    if not cleared:
        monkeypatch.setattr("skcnn._training.loop.FLUSH_EVERY", 10**9)
    calls = []

    def fading_away(images, rng):
        calls.append(1)
        return images if len(calls) < 50 else np.zeros_like(images)  # with black images, kernels have no gradient

    clf = make(augment=fading_away, scaling=None, dtype="float32", batch_size=1, max_iter=30, warm_start=True)
    with pytest.warns(ConvergenceWarning, match="learnt nothing"):  # from black images
        clf.fit(*data)
    _, state = clf._model.optimizer
    of_kernels = state["means"][0]
    smallest = np.finfo(np.float32).tiny
    subnormal = (of_kernels != 0) & (np.abs(of_kernels) < smallest)
    assert (of_kernels == 0).all() if cleared else subnormal.all()
    assert all((array != 0).any() for array in state["squares"]), "the squares decay slowly"
