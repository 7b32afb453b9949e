"""Initializers: the distribution of the weights that a network starts from."""

import re

import numpy as np
import pytest

from skcnn.initializers import INITIALIZERS, draw, is_initializer

# shape, fan_in, fan_out: the numbers that one output sums, and the outputs that one input reaches
CONV, CONV_FANS = (5, 3, 40, 80), (5 * 3 * 40, 5 * 3 * 80)
DENSE, DENSE_FANS = (300, 150), (300, 150)
VARIANCES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}


def drawn(initializer, shape=DENSE, dtype=np.float64, seed=0):
    return draw(initializer, shape, np.random.default_rng(seed), dtype)


def test_every_name_is_known():
    named = {f"{family}_{kind}" for family in VARIANCES for kind in ("normal", "uniform")}
    assert set(INITIALIZERS) == named | {"zeros"}


@pytest.mark.parametrize(("shape", "fans"), [(CONV, CONV_FANS), (DENSE, DENSE_FANS)], ids=["conv", "dense"])
@pytest.mark.parametrize("family", VARIANCES)
@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_mean_and_variance(family, kind, shape, fans):
    weights = drawn(f"{family}_{kind}", shape)
    variance = VARIANCES[family](*fans)
    assert weights.shape == shape
    # there are 45,000 draws or more, so the variance of the sample is within 1 % or so
    assert weights.var() == pytest.approx(variance, rel=0.03)
    assert abs(weights.mean()) < 4 * np.sqrt(variance / weights.size)


@pytest.mark.parametrize("family", VARIANCES)
def test_the_kind_of_distribution(family):
    deviation = np.sqrt(VARIANCES[family](*DENSE_FANS))
    limit = np.sqrt(3) * deviation
    uniform, normal = np.abs(drawn(f"{family}_uniform")), np.abs(drawn(f"{family}_normal"))
    assert 0.999 * limit < uniform.max() <= limit
    # of a normal distribution 68.3 % lie within one deviation, of a uniform one 57.7 %
    assert (uniform < deviation).mean() == pytest.approx(0.577, abs=0.01)
    assert (normal < deviation).mean() == pytest.approx(0.683, abs=0.01)


@pytest.mark.parametrize("name", INITIALIZERS)
@pytest.mark.parametrize("shape", [(3, 3, 2, 5), (4, 6), (1, 1)])
def test_both_precisions_start_from_the_same_weights(name, shape):
    single, double = drawn(name, shape, np.float32), drawn(name, shape)
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double.astype(np.float32))
    assert single.flags.c_contiguous
    assert single.flags.writeable


@pytest.mark.parametrize("name", sorted({*INITIALIZERS} - {"zeros"}))
def test_weights_are_the_generator_s(name):
    np.testing.assert_array_equal(drawn(name, seed=1), drawn(name, seed=1))
    assert (drawn(name, seed=1) != drawn(name, seed=2)).all()
    rng = np.random.default_rng(1)
    assert (draw(name, DENSE, rng, float) != draw(name, DENSE, rng, float)).all()


def test_zeros():
    assert not drawn("zeros", CONV).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_callable_is_given_shape_and_generator(dtype):
    weights = drawn(lambda shape, rng: rng.integers(0, 9, shape).T.reshape(shape, order="F"), (3, 4), dtype)
    np.testing.assert_array_equal(weights, np.random.default_rng(0).integers(0, 9, (3, 4)).T.reshape((3, 4), order="F"))
    assert weights.dtype == dtype
    assert weights.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_callable_s_own_array_is_not_trained_on(dtype):
    """Training writes to its weights in place, and must not write to those that the user passes."""
    pretrained = np.ones((3, 4), dtype)
    weights = drawn(lambda shape, rng: pretrained, (3, 4), dtype)
    assert not np.shares_memory(weights, pretrained)
    pretrained.flags.writeable = False
    assert drawn(lambda shape, rng: pretrained, (3, 4), dtype).flags.writeable


@pytest.mark.parametrize("returned", [np.ones((4, 3)), np.ones(12), np.ones((1, 3, 4)), 1.0], ids=np.shape)
def test_a_callable_s_wrong_shape_is_named(returned):
    def mine(shape, rng):
        return returned

    text = f"initializer {mine!r} returned shape {np.shape(returned)}, needed (3, 4)"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        drawn(mine, (3, 4))


@pytest.mark.parametrize(
    ("value", "expected"), [("he", False), ("", False), (None, False), (1, False), (np.ones, True)]
)
def test_what_an_initializer_is(value, expected):
    assert is_initializer(value) is expected
    assert all(is_initializer(name) for name in INITIALIZERS)
