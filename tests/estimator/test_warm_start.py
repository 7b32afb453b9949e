"""Training that goes on from the weights it has."""

import pytest

from skcnn import NumpyCNNClassifier
from tests.estimator.helpers import QUICK, bits


def test_warm_start_goes_on(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    first_loss = clf.loss_
    clf.fit(X, y)
    assert clf.n_iter_ == 4
    assert clf.history_[2]["loss"] < first_loss
    assert clf.history_[2]["learning_rate"] == 0.01, "a new schedule"
    clf.set_params(warm_start=False).fit(X, y)
    assert clf.n_iter_ == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": (slice(None), slice(0, 63))}, "X has 63 features, but NumpyCNNClassifier is expecting 64"),
        ({"y": 10}, r"y has labels \[10.*\] that are not among the classes \[0, 1"),
        ({"n_kernels": 5}, r"training cannot continue.*n_kernels was \(4, 8\) and is now 5\. Restore"),
    ],
)
def test_warm_start_refuses_what_it_cannot_continue(split_digits, change, message):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    before = bits(clf, X)
    clf.set_params(**{name: value for name, value in change.items() if name == "n_kernels"})
    with pytest.raises(ValueError, match=message):
        clf.fit(X[change.get("X", slice(None))], y + change.get("y", 0))
    assert bits(clf, X) == before


def test_optimizer_state_is_kept_only_for_going_on(split_digits):
    X, _, y, _ = split_digits
    assert NumpyCNNClassifier(**QUICK).fit(X, y)._model.optimizer is None
    assert NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)._model.optimizer is not None
    assert NumpyCNNClassifier(**QUICK).partial_fit(X, y, classes=range(10))._model.optimizer is not None


@pytest.mark.parametrize("name", ["dtype", "scaling", "image_shape", "data_format"])
def test_going_on_refuses_other_foundations(split_digits, name):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(warm_start=True, **QUICK).fit(X, y)
    new = {"dtype": "float32", "scaling": (0, 100), "image_shape": (4, 16), "data_format": "channels_first"}[name]
    with pytest.raises(ValueError, match=f"the network was built with other parameters: {name} was "):
        clf.set_params(**{name: new}).fit(X, y)


def test_warm_start_with_other_data(make, data):
    X, y = data
    clf = make(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"y has labels \[3\] that are not among the classes \[0, 1, 2\]"):
        clf.fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 35 features, but NumpyCNNClassifier is expecting 36"):
        clf.fit(X[:, :35], y)
    text = r"images of shape \(4, 9, 1\), but the network was fitted on images of shape \(6, 6, 1\)"
    with pytest.raises(ValueError, match=text):
        clf.fit(X.reshape(40, 4, 9), y)
    assert clf.fit(X, y).n_iter_ == 2
