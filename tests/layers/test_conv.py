"""Convolutions against those of SciPy, with paddings and strides that are not symmetric."""

import math

import numpy as np
import pytest
from scipy.signal import correlate2d

from skcnn.layers import Conv2D, MaxPool2D
from tests.layers.table import made, passed


def drawn(layer, in_shape):
    return layer.init(in_shape, np.random.default_rng(0), np.float64)


@pytest.mark.parametrize("size", [2, 4, (2, 3), (4, 1), 6])
@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1)])
@pytest.mark.parametrize("map_size", [(5, 5), (6, 7), (9, 4)])
def test_same_padding_of_even_kernels(size, stride, map_size):
    layer = Conv2D(1, size, stride, "same", bias=False)
    params, out_shape = drawn(layer, (*map_size, 1)), layer.out_shape((*map_size, 1))
    (kh, kw), (sh, sw) = np.broadcast_to(size, 2), np.broadcast_to(stride, 2)
    assert out_shape == (math.ceil(map_size[0] / sh), math.ceil(map_size[1] / sw), 1)

    # the rule of TensorFlow puts the odd row and column of zeros last
    x, W = np.random.default_rng(1).normal(size=map_size), params["W"][:, :, 0, 0]
    total = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, s, k in zip(map_size, (sh, sw), (kh, kw), strict=True)]
    padded = np.pad(x, [(t // 2, t - t // 2) for t in total])
    out = layer.apply(params, x[np.newaxis, :, :, np.newaxis])
    np.testing.assert_allclose(out[0, :, :, 0], correlate2d(padded, W, "valid")[::sh, ::sw], atol=1e-12)


def test_the_extra_padding_is_at_the_bottom_and_right():
    layer = Conv2D(1, 2, bias=False)
    ones = np.ones((1, 3, 3, 1))
    out = layer.apply({"W": np.ones((2, 2, 1, 1))}, ones)
    assert out[0, :, :, 0].tolist() == [[4, 4, 2], [4, 4, 2], [2, 2, 1]]


GEOMETRIES = [
    # map, kernel, stride, padding; the two numbers of a pair differ
    ((7, 11), (3, 5), (2, 3), (1, 2)),
    ((11, 7), (5, 2), (1, 2), "valid"),
    ((8, 5), (1, 4), (3, 1), (0, 3)),
    ((5, 9), (4, 3), (2, 4), "same"),
    ((6, 10), (2, 3), (5, 4), (2, 0)),  # the steps are longer than the kernel, so some pixels are not used
]


@pytest.mark.parametrize(("map_size", "size", "stride", "padding"), GEOMETRIES)
def test_asymmetric_convolutions(map_size, size, stride, padding):
    rng = np.random.default_rng(2)
    layer = Conv2D(4, size, stride, padding)
    params, out_shape = drawn(layer, (*map_size, 3)), layer.out_shape((*map_size, 3))
    params["b"] = rng.normal(size=4)
    x = rng.normal(size=(2, *map_size, 3))
    out = layer.apply(params, x)
    assert out.shape == (2, *out_shape)

    # SciPy correlates one map at a time
    (top, bottom), (left, right) = _widths(map_size, size, stride, padding)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for image, result in zip(padded, out, strict=True):
        for k in range(4):
            full = sum(correlate2d(image[:, :, c], params["W"][:, :, c, k], "valid") for c in range(3))
            expected = full[:: stride[0], :: stride[1]] + params["b"][k]
            np.testing.assert_allclose(result[:, :, k], expected, rtol=0, atol=1e-9)

    # the layer is linear in x and in its weights, so its gradients are its adjoints, without a step size
    d_out = rng.normal(size=out.shape)
    d_x, grads = layer.gradient(params, x, d_out)
    other_x, other_W = rng.normal(size=x.shape), rng.normal(size=params["W"].shape)
    by_x = layer.apply({"W": params["W"]}, other_x)
    by_W = layer.apply({"W": other_W}, x)
    assert np.vdot(d_x, other_x) == pytest.approx(np.vdot(d_out, by_x), abs=1e-9)
    assert np.vdot(grads["W"], other_W) == pytest.approx(np.vdot(d_out, by_W), abs=1e-9)
    np.testing.assert_allclose(grads["b"], d_out.sum(axis=(0, 1, 2)), atol=1e-9)


def _widths(map_size, size, stride, padding):
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(map_size, stride, size, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((p, p) for p in padding)


@pytest.mark.parametrize("layer", [Conv2D(2), Conv2D(2, kernel_size=1, padding="valid"), MaxPool2D(2)], ids=repr)
def test_an_input_of_any_memory_layout_gives_the_same(layer):
    params, x, d_out = made(layer, (4, 5, 3))
    expected = passed(layer, params, x, d_out)
    results = passed(layer, params, np.asfortranarray(x), np.asfortranarray(d_out))
    for name, result in results.items():
        np.testing.assert_allclose(result, expected[name], rtol=1e-12, atol=1e-12, err_msg=name)
