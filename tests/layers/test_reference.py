"""Layers against the slow loops of `tests.layers.reference`, and against PyTorch where it is installed."""

from typing import NamedTuple

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skcnn.layers import TRAIN, AvgPool2D, Conv2D, Dense, Layer, MaxPool2D, MinPool2D
from tests.layers import reference

thoroughly = settings(deadline=None, max_examples=300, derandomize=True)
REDUCE = {MaxPool2D: np.max, MinPool2D: np.min, AvgPool2D: np.mean}


class Case(NamedTuple):
    """A layer and the arguments of its two passes, in float64."""

    layer: Layer
    params: dict
    x: np.ndarray
    d_out: np.ndarray

    def results(self):
        d_x, grads = self.layer.gradient(self.params, self.x, self.d_out)
        return {"out": self.layer.apply(self.params, self.x, TRAIN), "d_x": d_x, **grads}


def case(layer, in_shape, n, seed, whole):
    """Fill a layer with random numbers. Whole numbers tie often, so it matters which pixel wins."""
    rng = np.random.default_rng(seed)
    try:
        out_shape = layer.out_shape(in_shape)
    except ValueError:
        assume(False)
    params = {name: rng.normal(size=p.shape) for name, p in layer.init(in_shape, rng, np.float64).items()}
    x = rng.integers(-2, 3, (n, *in_shape)).astype(float) if whole else rng.normal(size=(n, *in_shape))
    return Case(layer, params, x, rng.normal(size=(n, *out_shape)))


def sizes(low, high):
    return st.integers(low, high) | st.tuples(st.integers(low, high), st.integers(low, high))


cases = {
    "in_shape": st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)),
    "n": st.integers(1, 3),
    "seed": st.integers(0, 2**32),
    "whole": st.booleans(),
}
convolutions = st.builds(
    case,
    st.builds(
        Conv2D,
        n_kernels=st.integers(1, 3),
        kernel_size=sizes(1, 4),
        stride=sizes(1, 4),
        padding=st.sampled_from(["same", "valid"]) | sizes(0, 4),
        pad_value=st.sampled_from([0.0, -1.5, 2.0]),
        bias=st.sampled_from([True, "position", False]),
    ),
    **cases,
)
pools = st.builds(
    case,
    st.builds(lambda pool, *sizes: pool(*sizes), st.sampled_from(list(REDUCE)), sizes(1, 4), st.none() | sizes(1, 4)),
    **cases,
)
dense = st.builds(
    case,
    st.builds(Dense, st.integers(1, 5), bias=st.booleans()),
    **{**cases, "in_shape": st.tuples(st.integers(1, 8))},
)


def as_pair(size):
    return size if isinstance(size, tuple) else (size, size)


def pool_windows(layer):
    return as_pair(layer.pool_size), as_pair(layer.pool_size if layer.stride is None else layer.stride)


def conv_widths(layer, in_shape):
    return reference.padding_widths(layer.padding, in_shape, as_pair(layer.kernel_size), as_pair(layer.stride))


def assert_same(results, expected, tolerance):
    assert results.keys() == expected.keys()
    for name, result in results.items():
        assert result.shape == expected[name].shape, name
        np.testing.assert_allclose(result, expected[name], rtol=0, atol=tolerance, err_msg=name)


@thoroughly
@given(convolutions)
def test_convolution_is_that_of_the_loops(case):
    layer, params, x, d_out = case
    W, b = params["W"], params.get("b")
    given_alike = (x, W, b, as_pair(layer.stride), conv_widths(layer, x.shape[1:]), layer.pad_value)
    d_x, d_W, d_b = reference.convolve_backward(*given_alike, d_out)
    expected = {"out": reference.convolve(*given_alike), "d_x": d_x, "W": d_W, "b": d_b}
    assert_same(case.results(), {name: e for name, e in expected.items() if e is not None}, 1e-12)


@thoroughly
@given(pools)
def test_pooling_is_that_of_the_loops(case):
    layer, _, x, d_out = case
    given_alike = (x, *pool_windows(layer), REDUCE[type(layer)])
    expected = {"out": reference.pool(*given_alike), "d_x": reference.pool_backward(*given_alike, d_out)}
    assert_same(case.results(), expected, 1e-12)


def torch_results(torch, case, function):
    """Differentiate function(x, **params) as PyTorch does."""
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in {"d_x": case.x, **case.params}.items()}
    out = function(tensors["d_x"], *[tensors.get(name) for name in ("W", "b") if case.params])
    out.backward(torch.tensor(case.d_out))
    return {"out": out.detach().numpy(), **{name: tensor.grad.numpy() for name, tensor in tensors.items()}}


@thoroughly
@given(case=convolutions)
def test_convolution_is_that_of_torch(torch, case):
    layer = case.layer
    (top, bottom), (left, right) = conv_widths(layer, case.x.shape[1:])

    def convolve(x, W, b):
        # PyTorch has no "same" with a stride, and no padding that differs on two sides
        padded = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=layer.pad_value)
        out = torch.nn.functional.conv2d(padded, W.permute(3, 2, 0, 1).contiguous(), stride=as_pair(layer.stride))
        return out.permute(0, 2, 3, 1) + (0 if b is None else b)

    assert_same(case.results(), torch_results(torch, case, convolve), 1e-9)


@thoroughly
@given(case=pools)
def test_pooling_is_that_of_torch(torch, case):
    size, stride = pool_windows(case.layer)

    def pool(x):
        x, F = x.permute(0, 3, 1, 2), torch.nn.functional
        if isinstance(case.layer, AvgPool2D):
            out = F.avg_pool2d(x, size, stride)
        else:  # PyTorch has no pool of the smallest number
            sign = 1 if isinstance(case.layer, MaxPool2D) else -1
            out = sign * F.max_pool2d(sign * x, size, stride)
        return out.permute(0, 2, 3, 1)

    assert_same(case.results(), torch_results(torch, case, pool), 1e-9)


@thoroughly
@given(case=dense)
def test_dense_is_that_of_torch(torch, case):
    def linear(x, W, b):
        return torch.nn.functional.linear(x, W.T, b)

    assert_same(case.results(), torch_results(torch, case, linear), 1e-9)
