"""Descriptions: equal values have equal ones, different values different ones."""

import functools

import numpy as np
import pytest

from skcnn._storage.identity import describe, digest, readable
from skcnn.layers import Conv2D, ReLU
from skcnn.optimizers import SGD, ClipNorm


def here(value):
    return value


def there(value):
    return value


class Plain:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


X = np.arange(24.0).reshape(4, 6)
EQUAL = [
    (X, np.asfortranarray(X)),
    (X, np.repeat(X, 2, axis=0)[::2]),
    (X, X.astype(">f8")),
    ({"a": 1, 2: "b"}, {"a": 1, 2: "b"}),
    (SGD(0.5), SGD(0.5)),
    ([ReLU()] * 2, [ReLU(), ReLU()]),
    (Plain(3), Plain(3)),
    (functools.partial(here, 2), functools.partial(here, 2)),
    (Plain(3).method, Plain(3).method),
]
DIFFERENT = [
    X, X + 1, X.astype(np.float32), X.reshape(6, 4), 1, 1.0, True, np.int64(1), np.float64(1), "1", b"1", None, 2**70,
    -0.0, 0.0, float("nan"), [], (), {}, [1], (1,), {"a": 1}, {"a": 2}, {1: "a"}, SGD(0.5), SGD(0.6), ClipNorm(SGD()),
    ClipNorm(), Conv2D(1), ReLU(), ReLU, here, there, Plain(3), Plain(4), Plain(3).method, np.sum, np.tanh, len,
    functools.partial(here, 2), functools.partial(here, 3), functools.partial(there, 2),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_values(one, other):
    assert digest(one, "x", "") == digest(other, "x", "")


def test_different_values():
    digests = [digest(value, "x", "") for value in DIFFERENT]
    assert len(set(digests)) == len(DIFFERENT)


def test_digests_do_not_change_from_version_to_version():
    value = [X.astype(np.float32), (1, 0.5, None), {"solver": SGD(0.5)}, here]
    assert digest(value, "x", "") == "b68a357db255289a78b23bc58c51569ea4c87ede06adc0158ede676e81f6e435"


def test_what_cannot_be_recognised():
    def local(value):
        return value

    itself = []
    itself.append(itself)
    for value in (local, lambda: 0, functools.partial(local), [{"a": local}], type("Local", (), {})(), object()):
        with pytest.raises(ValueError, match=r"do this: another process could not recognise solver"):
            describe(value, "solver", "do this")
    with pytest.raises(ValueError, match="solver contains itself"):
        describe(itself, "solver", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [((1, 2), "(1, 2)"), ((1,), "(1,)"), ("adam", "'adam'"), ([None, True], "[None, True]"), ({"a": 1}, "{'a': 1}"),
     (SGD(0.5), "SGD(momentum=0.5, nesterov=True)"), (here, "tests.storage.test_identity.here()")],
)  # fmt: skip
def test_readable(value, text):
    assert readable(describe(value, "x", "")) == text


def test_a_long_value_is_shortened():
    assert len(readable(describe(list(range(999)), "x", ""))) == 100
