"""A classifier that is fitted again: it is the old one until the new one is complete."""

import threading
from copy import copy
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skcnn._estimator import fitted
from skcnn.layers import Conv2D, Flatten
from tests.storage.interruptions import raised_at


def weights(clf):
    return [array.tobytes() for array in clf.coefs_]


def learnt(clf):
    """All attributes but those that scikit-learn's callbacks set during a fit."""
    return {name: value for name, value in vars(clf).items() if "callback" not in name}


class Gate:
    """A learning-rate schedule that waits in the first step until it is told to go on."""

    def __init__(self):
        self.inside, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, epoch, max_iter):
        self.inside.set()
        assert self.may_go_on.wait(20)
        return 1.0


@pytest.fixture
def refit(fitted, data):
    """A function that refits `fitted` in a thread, calls a function while it trains, and returns both results."""

    def refit(meanwhile, X, y, **parameters):
        gate = Gate()
        fitted.set_params(learning_rate=gate, **parameters)
        thread = threading.Thread(target=fitted.fit, args=(X, y))
        thread.start()
        try:
            assert gate.inside.wait(20)
            return meanwhile()
        finally:
            gate.may_go_on.set()
            thread.join(20)

    return refit


def test_predictions_during_a_refit_are_those_of_the_old_model(fitted, data, refit):
    X, y = data
    before = fitted.predict_proba(X).tobytes()
    assert refit(lambda: fitted.predict_proba(X).tobytes(), X, y) == before
    assert fitted.predict_proba(X).tobytes() != before


def test_a_refit_on_other_classes_and_another_width_does_not_mix_with_the_old_model(fitted, data, refit):
    X = data[0]
    names = np.array(["a", "b", "c", "d"])[np.arange(40) % 4]
    meanwhile = refit(lambda: (fitted.predict(X), fitted.classes_, fitted.n_features_in_), X[:, :25], names)
    assert set(meanwhile[0]) <= {0, 1, 2}
    np.testing.assert_array_equal(meanwhile[1], [0, 1, 2])
    assert meanwhile[2] == 36
    assert set(fitted.predict(X[:, :25])) <= set(names)
    assert fitted.image_shape_ == (5, 5, 1)


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_changes_nothing_before_its_end(method, warm_start, make, data):
    X, y = data
    seen = []

    def look(images, rng):
        seen.append((learnt(clf), weights(clf)))
        return images

    clf = make(warm_start=warm_start).fit(X, y)
    clf.set_params(augment=look, random_state=1)
    before = learnt(clf), weights(clf)
    getattr(clf, method)(X, y)
    assert seen
    assert all(attributes == before[0] for attributes, _ in seen)
    assert all(bits == before[1] for _, bits in seen)
    assert weights(clf) != before[1]


def test_a_first_fit_that_fails_leaves_the_classifier_unfitted(make, data):
    clf = make(augment=lambda images, rng: 1 / 0)
    before = learnt(clf)
    with pytest.raises(ZeroDivisionError):
        clf.fit(*data)
    assert learnt(clf) == before
    assert not hasattr(clf, "classes_")


def test_names_of_columns_are_those_of_the_last_fit(make, data):
    pd = pytest.importorskip("pandas")
    X, y = data
    table = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(36)])
    clf = make().fit(table, y)
    assert list(clf.feature_names_in_) == list(table.columns)
    assert not hasattr(clf.fit(X, y), "feature_names_in_")


def test_fitted_attributes_are_views_of_one_model(make, data):
    clf = make(layers=[Conv2D(2), Flatten()], n_kernels="auto", hidden_layer_sizes="auto").fit(*data)
    assert clf.network_ is clf._model.network
    clf.history_.append("not the model's")
    assert len(clf.history_) == clf.n_iter_ == 1
    for name in ("classes_", "network_", "n_iter_", "loss_curve_", "coefs_"):
        with pytest.raises(AttributeError):
            setattr(clf, name, None)


def test_attributes_of_the_user_s_own_stay(make, data):
    clf = make(warm_start=True).fit(*data)
    clf.threshold_ = 0.7
    assert clf.fit(*data).partial_fit(*data).threshold_ == 0.7


def test_fitted_attributes_do_not_exist_before_fit(make):
    clf = make()
    for name in ("classes_", "network_", "coefs_", "n_iter_"):
        assert not hasattr(clf, name)
    with pytest.raises(NotFittedError, match="NumpyCNNClassifier instance is not fitted yet"):
        clf.classes_  # noqa: B018


def test_an_exception_while_the_result_is_handed_over_leaves_the_old_or_the_new_model(make, data):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(data[0], columns=[f"pixel {i}" for i in range(36)])
    old, new = make().fit(table, data[1]), make().fit(data[0][:, :16], data[1])
    n, clf = 1, copy(old)
    while raised_at(n, KeyboardInterrupt(), [fitted], partial(clf._hand_over, new._model)):
        state = clf._model is new._model, clf.n_features_in_ == 16, not hasattr(clf, "feature_names_in_")
        assert state in ((True,) * 3, (False,) * 3), n
        n, clf = n + 1, copy(old)
    assert n > 20, "the whole way was tried"
    assert clf._model is new._model
