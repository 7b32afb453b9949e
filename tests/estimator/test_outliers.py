"""Pixels that dwarf all others: a warning, but only if there are few of them and they hide the others."""

import re
import warnings

import numpy as np
import pytest

from tests.estimator.helpers import same_bits


@pytest.fixture
def images(rng):
    return rng.normal(100, 20, (40, 6, 6)), np.arange(40) % 3


def caught(clf, X, y):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        clf.fit(X, y)
    return [str(warning.message) for warning in found if "so far from all others" in str(warning.message)]


@pytest.mark.parametrize("missing", [-9999.0, -32768.0, 1e30])
def test_a_value_that_stands_for_missing_pixels_warns(missing, make, images, rng):
    X, y = images
    X[rng.random(X.shape) < 0.1] = missing
    (text,) = caught(make(), X, y)
    assert f"{missing:.6g}" in text
    low, high = map(float, re.search(r"most lie between (\S+) and (\S+)\. Replace", text).groups())
    assert 0 < low < 100 < high < 250


def test_the_channel_is_named_and_the_images_are_read_as_they_are(make, images):
    grey, y = images
    X = np.stack([grey, grey, grey], axis=-1)
    X[3, 2, 2, 1] = 1e9
    clf = make()
    (text,) = caught(clf, X, y)
    assert "Some pixels in channel 1 of X" in text
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert same_bits(clf.predict_proba(X), make().fit(X.copy(), y).predict_proba(X))


def test_ordinary_images_warn_of_nothing(make, images, rng, split_digits):
    X, y = images
    masked = np.where(rng.random(X.shape) < 0.95, 0, X)  # nearly all pixels have the value that is far from the others
    heavy = rng.standard_t(3, X.shape)
    lines = np.where(rng.random(X.shape) < 0.97, 0, 1 + 0.002 * rng.normal(size=X.shape))
    for ordinary in (X, masked, heavy, lines, np.exp(rng.normal(0, 2, X.shape)), (X > 100).astype(float)):
        assert caught(make(), ordinary, y) == []
    assert caught(make(max_iter=1), split_digits[0], split_digits[2]) == []


def test_a_given_range_needs_no_warning(make, images):
    X, y = images
    X[0, 0, 0] = -9999
    assert caught(make(scaling=(0, 200)), X, y) == []
