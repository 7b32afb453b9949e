"""Numbers of any type and size in parameters: they mean what plain numbers mean, or an error names the parameter."""

import inspect
import warnings
from dataclasses import fields
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier, augmentation, layers, optimizers, schedules
from skcnn._values import Value
from tests.estimator.helpers import same_bits

INTEGERS = [np.dtype(code).type for code in "bBhHiIlLqQ"]
FLOATS = [np.float16, np.float32, np.float64, np.longdouble]
HUGE = [2**31, 2**63 - 1, 2**63, 2**64, 10**400, -(10**400), 1e308, np.longdouble("1e400"), np.inf]
TINY = [0, -1, 5e-324, 1e-300, np.nan, Fraction(1, 10**400)]
OTHERS = [np.bool_(True), Decimal("0.5"), 1j, np.array([1]), np.array(1), "1"]
ALL = [*(kind(1) for kind in (*INTEGERS, *FLOATS)), *HUGE, *TINY, *OTHERS]
PARAMETERS = list(inspect.signature(NumpyCNNClassifier).parameters)
SEQUENCES = ["n_kernels", "kernel_size", "pool_size", "hidden_layer_sizes", "stride", "padding", "dropout"]
FORMS = {
    "image_shape": [lambda value: (value, 16), lambda value: [4, value], lambda value: (4, 4, value)],
    "scaling": [lambda value: (0, value), lambda value: [value, 300.0]],
    "class_weight": [lambda value: {0: value, 1: 1, 2: 1}],
    **{name: [lambda value: value, lambda value: [value], lambda value: [(1, value)]] for name in SEQUENCES},
}


@pytest.fixture(autouse=True)
def one_gibibyte(monkeypatch):
    """The tests do not use more memory than this, however much there is."""
    monkeypatch.setattr("skcnn._memory.memory", lambda: 2**30)


@pytest.fixture(scope="module")
def small():
    """12 images of 4 x 4 pixels, flat, and labels of 3 classes."""
    return np.random.default_rng(0).random((12, 16)), np.arange(12) % 3


def fitted(X, y, **parameters):
    """Fit at most 0.1 s, unless `max_time` is given."""
    usual = {"n_kernels": 2, "hidden_layer_sizes": 2, "max_iter": 1, "max_time": 0.1, "random_state": 0, "n_jobs": 1}
    return NumpyCNNClassifier(**{**usual, **parameters}).fit(X, y)


def assert_fits_or_names(name, action):
    """The action must return finite probabilities, or raise an error whose text contains `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # as that training diverged
        try:
            probabilities = action()
        except (ValueError, TypeError, MemoryError) as error:
            assert name in str(error), repr(error)[:500]  # noqa: PT017
        else:
            assert np.isfinite(probabilities).all()


@pytest.mark.parametrize("name", PARAMETERS)
def test_any_number_in_any_parameter(small, name):
    more = {"early_stopping": True} if name in ("validation_fraction", "n_iter_no_change", "tol") else {}
    more |= {"pool_size": 1} if name == "image_shape" else {}
    for form in FORMS.get(name, [lambda value: value]):
        for value in ALL:
            parameters = {**more, name: form(value)}
            assert_fits_or_names(name, lambda p=parameters: fitted(*small, **p).predict_proba(small[0]))


def fields_of(modules):
    """List the fields that hold numbers: all that have a number as their default value, or no default value."""
    for module in modules:
        for kind in (getattr(module, name) for name in module.__all__):
            if isinstance(kind, type) and issubclass(kind, Value):
                yield from (
                    (kind, field.name) for field in fields(kind) if not isinstance(field.default, str | bool | Value)
                )


NUMBER_FIELDS = [
    (kind, name)
    for kind, name in fields_of([augmentation, layers, optimizers, schedules])
    if name not in ("layers", "optimizer", "initializer")
]
NEEDED = {layers.Conv2D: {"n_kernels": 1}, layers.Dense: {"n_units": 1}}


PARAMETER_OF = {augmentation.__name__: "augment", optimizers.__name__: "solver", schedules.__name__: "learning_rate"}


def fit_with(small, thing):
    X, y = small[0].astype("float32"), small[1]
    if isinstance(thing, layers.Layer):
        before = [layers.Flatten()] if isinstance(thing, layers.Dense) else []
        clf = NumpyCNNClassifier(layers=[*before, thing, layers.Flatten()], max_iter=1, random_state=0, n_jobs=1)
        return clf.fit(X, y).predict_proba(X)
    return fitted(X, y, **{PARAMETER_OF[type(thing).__module__]: thing}).predict_proba(X)


@pytest.mark.parametrize(("kind", "name"), NUMBER_FIELDS)
def test_any_number_in_any_field(small, kind, name):
    for value in [*ALL, (1, np.uint64(2)), (1, 2**63)]:
        given = {**NEEDED.get(kind, {}), name: value}
        assert_fits_or_names(name, lambda given=given: fit_with(small, kind(**given)))


@pytest.mark.parametrize(("kind", "name"), NUMBER_FIELDS)
@pytest.mark.parametrize("type_", [*INTEGERS, *FLOATS])
def test_fields_hold_plain_numbers(kind, name, type_):
    default = {**NEEDED.get(kind, {}), name: 1}[name]
    for value in (default, 0.5):
        try:
            expected = kind(**{**NEEDED.get(kind, {}), name: value})
            found = kind(**{**NEEDED.get(kind, {}), name: type_(value)})
        except ValueError:
            continue
        if type_(value) == value:
            assert found == expected
        assert type(getattr(found, name)) in (int, float)


@pytest.mark.parametrize("kind", [*INTEGERS, np.float16, np.float32, np.float64])
def test_the_range_of_x_may_be_given_in_its_own_type(small, kind):
    unit, y = small
    limits = np.finfo(kind) if np.dtype(kind).kind == "f" else np.iinfo(kind)
    low, high = max(float(limits.min), -1e300), min(float(limits.max), 1e300)  # wider than the largest of these numbers
    X = (0.9 * low + unit * (0.9 * high - 0.9 * low)).astype(kind)
    given = fitted(X, y, scaling=(X.min(), X.max())).predict_proba(X)
    assert same_bits(given, fitted(X, y, scaling=(X.min().item(), X.max().item())).predict_proba(X))
    assert len(np.unique(given, axis=0)) == len(X)


def test_n_jobs(small):
    X, y = small
    expected = fitted(X, y).predict_proba(X)
    for n_jobs in (-2, np.int8(-1), np.uint8(200), -(10**400), 10**400):
        assert same_bits(fitted(X, y, n_jobs=n_jobs).predict_proba(X), expected)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        fitted(X, y, n_jobs=0)


@pytest.mark.parametrize(
    ("parameters", "part"),
    [
        ({"n_kernels": 10**8}, r"the feature maps of one image, .*Conv2D.*, would need"),
        ({"hidden_layer_sizes": (10**6, 10**6)}, r"Dense.*training weights of shape \(1000000, 1000000\)"),
        ({"padding": 10**6, "stride": 10**6}, r"Conv2D.*a feature map with its padding"),
    ],
)
def test_a_network_larger_than_the_memory_is_refused_before_it_is_created(small, parameters, part):
    with pytest.raises(MemoryError, match=rf"the network is too large, so n_kernels, .* must be smaller: .*{part}"):
        fitted(*small, **parameters)


@pytest.mark.parametrize("value", [None, "0.5", np.array([0.5]), [0.5], np.nan, np.inf, 1j, 10**400, -1, -1e-9])
def test_schedules_must_return_a_number(small, value):
    def schedule(epoch, n_epochs):
        return value

    with pytest.raises(ValueError, match=r"learning_rate=<function .* must return a finite number of at least 0, but"):
        fitted(*small, learning_rate=schedule)


@pytest.mark.parametrize("value", [1, 0.5, np.float16(0.5), np.array(0.5), Fraction(1, 2), np.uint8(1)])
def test_schedules_may_return_any_type_of_number(small, value):
    clf, plain = (fitted(*small, learning_rate=lambda epoch, n, v=v: v) for v in (value, float(value)))
    assert same_bits(clf.coefs_[0], plain.coefs_[0])
