"""Pools: pixels that tie, and means of large maps."""

import numpy as np
import pytest

from skcnn.layers import TRAIN, GlobalAvgPool2D, MaxPool2D, MinPool2D
from tests.layers.table import made


@pytest.mark.parametrize("layer", [MaxPool2D(2), MinPool2D(2), MaxPool2D(3, 1), MinPool2D((3, 2), (2, 1))], ids=repr)
@pytest.mark.parametrize("constant", [0.0, -1.0, 1.0])
def test_each_window_of_equal_pixels_has_one_winner(layer, constant):
    in_shape, size = (7, 6, 2), np.atleast_1d(layer.pool_size)
    params, x, d_out = made(layer, in_shape)
    x = np.full_like(x, constant)
    d_x, _ = layer.gradient(params, x, np.ones_like(d_out))
    step = size if layer.stride is None else np.atleast_1d(layer.stride)
    # the winner is the first corner, and different windows have different corners
    expected = np.zeros_like(x)
    expected[:, : d_out.shape[1] * step[0] : step[0], : d_out.shape[2] * step[-1] : step[-1]] = 1
    np.testing.assert_array_equal(d_x, expected)
    weighted, _ = layer.gradient(params, x, d_out)
    assert weighted.sum() == pytest.approx(d_out.sum(), rel=1e-12)


@pytest.mark.parametrize("pool", [MaxPool2D, MinPool2D])
@pytest.mark.parametrize(("size", "stride"), [(2, None), ((2, 3), None), (3, 1), (2, 3), ((3, 2), (1, 2))])
def test_ties_have_one_winner(pool, size, stride):
    layer = pool(size, stride)
    x = np.random.default_rng(4).integers(0, 2, (3, 6, 6, 2)).astype(float)  # nothing but ties
    out = layer.apply({}, x, TRAIN)
    d_out = np.random.default_rng(5).normal(size=out.shape)
    d_x, _ = layer.gradient({}, x, d_out)
    assert d_x.sum() == pytest.approx(d_out.sum(), abs=1e-12)

    # in every window, one pixel takes the whole gradient, and this pixel is the result of the window
    for window in np.ndindex(*out.shape[1:3]):
        alone = np.zeros_like(d_out)
        alone[:, window[0], window[1]] = 1
        won, _ = layer.gradient({}, x, alone)
        assert (won != 0).sum(axis=(1, 2)).tolist() == [[1, 1]] * 3
        assert np.array_equal((won * x).sum(axis=(1, 2)), out[:, window[0], window[1]])


def test_a_global_mean_keeps_its_digits_on_large_maps():
    x = np.full((1, 600, 600, 2), 0.1, dtype=np.float32)
    np.testing.assert_allclose(GlobalAvgPool2D().apply({}, x), 0.1, rtol=1e-6)
