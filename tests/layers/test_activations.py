"""Activations at zero, at large inputs and on large maps."""

import numpy as np
import pytest

from skcnn.layers import LeakyReLU, ReLU, Sigmoid, Softmax
from tests.layers.table import both_precisions, passed


@pytest.mark.parametrize("shape", [(2, 3, 70_000), (2, 300, 300, 1), (1, 70_000), (3, 2, 70_000, 1), (0, 4, 4, 1)])
def test_relu_of_large_and_of_no_images(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(ReLU().apply({}, x), np.where(x > 0, x, 0))


def test_relu_has_no_gradient_at_zero():
    x = np.array([[-1.0, -0.0, 0.0, 1.0]])
    assert passed(ReLU(), {}, x, np.ones_like(x))["d_x"].tolist() == [[0, 0, 0, 1]]
    assert passed(LeakyReLU(0.25), {}, x, np.ones_like(x))["d_x"].tolist() == [[0.25, 0.25, 0.25, 1]]


@both_precisions
def test_links_are_stable_at_large_inputs(dtype, tolerance):
    x = np.array([[-1e4, 0, 1e4], [1e4, 1e4, -1e4]], dtype)
    np.testing.assert_allclose(Softmax().apply({}, x), [[0, 0, 1], [0.5, 0.5, 0]], atol=tolerance)
    np.testing.assert_allclose(Sigmoid().apply({}, x), [[0, 0.5, 1], [1, 1, 0]], atol=tolerance)
