"""Dropout of numbers and of maps."""

import numpy as np
import pytest

from skcnn.layers import TRAIN, Dropout, SpatialDropout2D
from tests.layers.table import trained


def test_dropout_of_nothing_and_of_all():
    x = np.ones((2, 3))
    np.testing.assert_array_equal(trained(Dropout(0.0), {}, x), x)
    for rate in (1, 1.5):
        with pytest.raises(ValueError, match="rate must be a number in"):
            Dropout(rate)


@pytest.mark.parametrize("layer", [Dropout(0.25), SpatialDropout2D(0.25)], ids=repr)
def test_dropout_leaves_out_its_part_and_keeps_the_expected_value(layer):
    x = np.ones((40, 5, 5, 40))
    out = trained(layer, {}, x)
    assert set(np.unique(out)) == {0.0, 1 / 0.75}
    assert out.mean() == pytest.approx(1, abs=0.05)
    of_maps = out.reshape(40, 25, 40)
    assert (of_maps == of_maps[:, :1]).all() == isinstance(layer, SpatialDropout2D)
    np.testing.assert_array_equal(trained(layer, {}, x.astype(np.float32)) > 0, out > 0)
    np.testing.assert_array_equal(layer.apply({}, x), x)


@pytest.mark.parametrize(("rate", "values"), [(1e-9, {1.0}), (1 - 1e-9, {0.0, 2.0**16})])
def test_a_rate_is_rounded_but_never_to_one(rate, values):
    out = trained(Dropout(rate), {}, np.ones((1023, 331)))
    assert set(np.unique(out)) == values


def test_dropout_in_training_needs_a_generator():
    with pytest.raises(ValueError, match="needs a random generator in training"):
        Dropout().apply({}, np.ones((2, 3)), TRAIN)
