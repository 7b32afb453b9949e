"""Training by partial_fit."""

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import NumpyCNNClassifier
from skcnn._trees import leaves
from skcnn.augmentation import Shift
from skcnn.optimizers import SGD, Adam, ClipNorm
from tests.estimator.helpers import QUICK


def test_partial_fit_learns_from_a_stream(split_digits):
    X, X_test, y, y_test = split_digits
    clf = NumpyCNNClassifier(random_state=0, scaling=(0, 16))
    for _ in range(5):
        for part in np.array_split(np.arange(len(X)), 4):
            clf.partial_fit(X[part], y[part], classes=np.arange(10))
    assert clf.score(X_test, y_test) > 0.95
    assert clf.n_iter_ == 20
    assert clf.t_ == 5 * len(X)
    assert {row["learning_rate"] for row in clf.history_} == {0.002}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "setting",
    [
        {"alpha": 0.1},
        {"solver": SGD()},
        {"alpha": 0.1, "batch_norm": True, "dropout": 0.2, "augment": Shift(1), "label_smoothing": 0.1},
        {"solver": ClipNorm(Adam()), "shuffle": False, "batch_size": 7},
    ],
    ids=["default", "momentum", "regularised", "clipped"],
)
def test_partial_fit_k_times_is_fit_for_k_epochs(split_digits, setting, dtype):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(**{**QUICK, "max_iter": 3, "learning_rate": "constant", "dtype": dtype, **setting})
    weight = 1.0 + y % 3
    step_by_step = clone(clf)
    for _ in range(3):
        step_by_step.partial_fit(X[:200], y[:200], sample_weight=weight[:200], classes=range(10))
    clf.fit(X[:200], y[:200], sample_weight=weight[:200])
    ours, others = (leaves([c.network_.params, c.network_.states]) for c in (clf, step_by_step))
    assert [array.tobytes() for _, array in ours] == [array.tobytes() for _, array in others]
    assert clf.loss_curve_ == step_by_step.loss_curve_


def test_partial_fit_goes_on_from_fit(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(**QUICK).fit(X, y)
    before = clf.network_
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 3
    assert clf.network_ is not before, "the old weights are not written to"
    assert clf.network_.layers == before.layers


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param({}, "classes must be passed on the first call to partial_fit", id="no_classes"),
        pytest.param({"classes": [0, 1]}, r"y has labels \[2\] that are not among the classes \[0, 1\]", id="unseen"),
    ],
)
def test_first_partial_fit(make, data, arguments, text):
    with pytest.raises(ValueError, match=text):
        make().partial_fit(*data, **arguments)


def test_later_partial_fits(make, data):
    X, y = data
    clf = make().partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0, 1, 2, 3\] is not the same as .* the first call: \[0, 1, 2\]"):
        clf.partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"y has labels \[3\] that are not among the classes \[0, 1, 2\]"):
        clf.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="X has 35 features, but NumpyCNNClassifier is expecting 36"):
        clf.partial_fit(X[:, :35], y)
    # the classes are the same, and y holds fewer of them
    clf.partial_fit(X, y, classes=[2, 1, 0]).partial_fit(X[:1], y[:1])
    assert clf.n_iter_ == 3


def test_balanced_weights_need_all_rows_at_once(make):
    clf = make(class_weight="balanced")
    assert not hasattr(clf, "partial_fit")
    assert hasattr(make(class_weight={0: 2}), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        clf.partial_fit  # noqa: B018
    assert isinstance(caught.value.__cause__, ValueError)
    assert "class_weight='balanced' needs all samples at once" in str(caught.value.__cause__)


def test_a_chunk_smaller_than_the_batch_does_not_warn(make, data):
    X, y = data
    clf = make(batch_size=200).partial_fit(X[:20], y[:20], classes=[0, 1, 2])
    assert clf.partial_fit(X, y).n_iter_ == 2


@pytest.mark.parametrize("n_first", [1, 20, 1000])
def test_the_batch_size_depends_on_the_samples_of_each_call(split_digits, n_first):
    X, _, y, _ = split_digits
    batches = []

    def watched(images, rng):
        batches.append(len(images))
        return images

    clf = NumpyCNNClassifier(**QUICK, scaling=(0, 16), augment=watched)
    clf.partial_fit(X[:n_first], y[:n_first], classes=range(10))
    batches.clear()
    clf.partial_fit(X[:1000], y[:1000])
    assert set(batches) == {10}
    batches.clear()
    clf.partial_fit(X[:3], y[:3])
    assert batches == [3]
