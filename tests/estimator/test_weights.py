"""Weights of rows and of classes."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import recall_score

from skcnn import NumpyCNNClassifier
from skcnn.optimizers import SGD
from tests.estimator.helpers import QUICK, bits, weights_of


def test_class_weight_changes_the_model_at_batch_size_one(split_digits):
    X, X_test, y, _ = split_digits
    X, y = X[:200], y[:200]
    settings = {**QUICK, "batch_size": 1, "max_iter": 1}
    plain = NumpyCNNClassifier(**settings).fit(X, y)
    weighted = NumpyCNNClassifier(class_weight={0: 20.0}, **settings).fit(X, y)
    assert weighted.predict_proba(X_test)[:, 0].mean() > 1.2 * plain.predict_proba(X_test)[:, 0].mean()


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("ones", [1.0, 3.0, 0.1])
def test_equal_weights_change_no_bit(split_digits, batch_size, ones):
    X, _, y, _ = split_digits
    X, y = X[:400], y[:400]
    settings = {**QUICK, "batch_size": batch_size}
    plain = NumpyCNNClassifier(**settings).fit(X, y)
    weighted = NumpyCNNClassifier(**settings).fit(X, y, sample_weight=np.full(400, ones))
    by_class = NumpyCNNClassifier(class_weight=dict.fromkeys(range(10), 1.0), **settings).fit(X, y)
    assert bits(weighted, X) == bits(by_class, X) == bits(plain, X)


def test_balanced_makes_a_rare_class_count(split_digits):
    X, X_test, y, y_test = split_digits
    rows = np.flatnonzero((y == 1) | ((y == 8) & (np.arange(len(y)) % 20 == 0)))
    two = np.isin(y_test, (1, 8))
    recall = []
    for class_weight in (None, "balanced"):
        clf = NumpyCNNClassifier(class_weight=class_weight, **{**QUICK, "max_iter": 6}).fit(X[rows], y[rows])
        recall.append((clf.predict(X_test[two]) == 8)[y_test[two] == 8].mean())
    assert recall[1] > recall[0] + 0.3


def test_weights_compare_from_call_to_call_of_partial_fit(split_digits):
    """The first call fixes the unit of weights, so a later chunk of small weights changes the network little."""
    X, _, y, _ = split_digits

    def after(second_weight):
        clf = NumpyCNNClassifier(solver=SGD(momentum=0.0), alpha=0.0, **QUICK)
        clf.partial_fit(X[:50], y[:50], classes=range(10), sample_weight=np.ones(50))
        first = clf.coefs_[0].copy()
        clf.partial_fit(X[50:90], y[50:90], sample_weight=np.full(40, second_weight))
        return np.abs(clf.coefs_[0] - first).max()

    assert after(1e-6) < 1e-4 * after(1.0)
    only_a_zero = np.flatnonzero(y == 0)[:1]
    one_class = NumpyCNNClassifier(class_weight={5: 3.0}, **QUICK).partial_fit(X[:50], y[:50], classes=range(10))
    one_class.partial_fit(X[only_a_zero], y[only_a_zero])  # class_weight may name classes that a chunk does not hold


def test_sample_weight_may_be_a_number_with_early_stopping(split_digits):
    X, _, y, _ = split_digits
    plain = NumpyCNNClassifier(early_stopping=True, **QUICK).fit(X, y)
    weighted = NumpyCNNClassifier(early_stopping=True, **QUICK).fit(X, y, sample_weight=2.0)
    assert weights_of(weighted) == weights_of(plain)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_class_weights_must_be_finite_and_not_negative(split_digits, weight):
    with pytest.raises(ValueError, match=r"class_weight must contain finite numbers of at least 0, got \{0: "):
        NumpyCNNClassifier(class_weight={0: weight}, **QUICK).fit(split_digits[0], split_digits[2])


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_of_the_weights_does_not_matter(split_digits, scale):
    X, y = split_digits[0][:300], split_digits[2][:300]
    weight = 1.0 + y
    small = NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight)
    large = NumpyCNNClassifier(**QUICK).fit(X, y, sample_weight=weight * scale)
    np.testing.assert_allclose(large.predict_proba(X), small.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "text"),
    [
        pytest.param(np.zeros(40), "zero", id="all_zero"),
        pytest.param(np.full(40, np.nan), "Input sample_weight contains NaN", id="nan"),
        pytest.param(np.ones(39), r"sample_weight\.shape == \(39,\), expected \(40,\)", id="short"),
        pytest.param(np.ones((40, 2)), "Sample weights must be 1D array or scalar", id="2d"),
        pytest.param(-np.ones(40), "Negative values in data passed to `sample_weight`", id="negative"),
    ],
)
def test_bad_weights(make, data, weight, text):
    with pytest.raises(ValueError, match=text):
        make().fit(*data, sample_weight=weight)
    with pytest.raises(ValueError, match=text):
        make().partial_fit(*data, sample_weight=weight, classes=[0, 1, 2])


def test_weights_that_leave_one_class(make, data):
    with pytest.raises(ValueError, match=r"leave samples of one class only: \[2\]"):
        make().fit(*data, sample_weight=data[1] == 2)
    with pytest.raises(ValueError, match=r"leave samples of one class only: \[2\]"):
        make(class_weight={0: 0, 1: 0}).fit(*data)


@pytest.mark.filterwarnings("ignore:batch_size=100 is larger:UserWarning")
@pytest.mark.parametrize("scaling", ["auto", "standard", None], ids=str)
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}], ids=str)
@pytest.mark.filterwarnings("ignore:the pixels of X reach")
def test_a_row_of_weight_zero_is_as_if_removed(make, data, scaling, class_weight):
    X, y = data[0].copy(), data[1]
    weight = np.random.default_rng(2).uniform(0.5, 2, 40)
    weight[[0, 7, 20]] = 0
    X[[0, 7, 20]] *= 50  # these are the greatest values, and scaling must ignore them too
    kept = weight > 0
    # one batch holds all rows: several batches would hold other rows without the three
    clf = make(
        solver=SGD(), shuffle=False, batch_size=100, max_iter=10, learning_rate_init=0.3, scaling=scaling,
        class_weight=class_weight,
    )  # fmt: skip
    proba = clf.fit(X, y, sample_weight=weight).predict_proba(X)
    without = clf.fit(X[kept], y[kept], sample_weight=weight[kept]).predict_proba(X)
    np.testing.assert_allclose(proba, without, rtol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 1000.0}], ids=["balanced", "dict"])
def test_a_class_in_a_thousand(make, class_weight):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(1001, 36)).astype("float32"), np.zeros(1001, int)
    X[500] += 2
    y[500] = 1
    truth = np.repeat([1, 0], 100)
    new = rng.normal(size=(200, 36)) + 2 * truth[:, np.newaxis]

    def recalls(class_weight):
        clf = make(
            class_weight=class_weight,
            n_kernels=4,
            hidden_layer_sizes=16,
            solver="sgd",
            learning_rate_init=0.001,
            max_iter=5,
        )
        return recall_score(truth, clf.fit(X, y).predict(new), average=None)

    with pytest.warns(ConvergenceWarning, match="learnt nothing"):
        assert recalls(None)[1] < 0.1
    majority, minority = recalls(class_weight)
    assert minority > 0.5
    assert majority > 0.5  # not all rows are called the rare class


@pytest.mark.parametrize("unit", [1e-300, 1e-307, 1e300, 1e307])
@pytest.mark.parametrize("settings", [{}, {"class_weight": "balanced"}, {"class_weight": {0: 2.0, 1: 1.0, 2: 3.0}}])
def test_huge_and_tiny_weights_mean_the_same(make, data, unit, settings):
    """Their sums would overflow, and their squares would vanish."""
    weight = 1.0 + data[1]
    usual = {**settings, "early_stopping": True, "max_iter": 2, "scaling": "standard"}
    if isinstance(settings.get("class_weight"), dict) and unit == 1e307:
        unit = 1e306
    plain = make(**usual).fit(*data, sample_weight=weight)
    extreme = make(**usual).fit(*data, sample_weight=weight * unit)
    np.testing.assert_allclose(extreme.predict_proba(data[0]), plain.predict_proba(data[0]), rtol=1e-9)
    np.testing.assert_allclose(extreme.validation_scores_, plain.validation_scores_)
    np.testing.assert_allclose(extreme.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e307])
def test_huge_and_tiny_class_weights_and_validation_weights(make, data, unit):
    X, y = data
    arguments = {"X_val": X, "y_val": y}
    plain = make(class_weight={0: 1, 1: 2, 2: 3}).fit(X, y, **arguments, sample_weight_val=1.0 + y)
    weights = {"class_weight": {0: unit, 1: 2 * unit, 2: 3 * unit}}
    extreme = make(**weights).fit(X, y, **arguments, sample_weight_val=unit * (1.0 + y))
    np.testing.assert_allclose(extreme.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(extreme.validation_loss_curve_, plain.validation_loss_curve_, rtol=1e-9)


def test_a_product_that_vanishes_beside_others_is_a_weight_of_zero(make, data):
    X, y = data
    weight = np.where(np.arange(40) == 1, 1e-300, 1.0)
    clf = make(class_weight={1: 1e-300}).fit(X, y, sample_weight=weight)
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(("unit", "largest"), [(1e200, "inf"), (1e-200, "0"), (1e-155, "1e-310")])
def test_products_beyond_float64_are_named(make, data, unit, largest):
    text = rf"sample_weight and class_weight: the largest weight is {largest}, but it must be between 2.23e-308 and"
    clf = make(class_weight=dict.fromkeys(range(3), unit))
    with pytest.raises(ValueError, match=text):
        clf.fit(*data, sample_weight=np.full(40, unit))


@pytest.mark.parametrize("value", [10**400, np.nan, np.inf, 1j, "a"])
@pytest.mark.parametrize("name", ["sample_weight", "sample_weight_val"])
def test_a_single_weight_must_be_a_finite_number(make, data, name, value):
    X, y = data
    with pytest.raises(ValueError, match=name):
        make().fit(X, y, X_val=X, y_val=y, **{name: value})


@pytest.mark.parametrize("value", ["a", "1", None, 1j, 10**400, [1.0]])
def test_class_weights_must_be_numbers(make, data, value):
    with pytest.raises(ValueError, match="class_weight must contain finite numbers of at least 0, got"):
        make(class_weight={0: value, 1: 1, 2: 1}).fit(*data)


def test_a_later_weight_too_large_for_the_first_is_named(make, data):
    clf = make(dtype="float32").partial_fit(*data, sample_weight=np.full(40, 1e-300), classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"sample_weight: .*float32 .* mean weight of the first call, 1e-300"):
        clf.partial_fit(*data, sample_weight=np.full(40, 1e300))
