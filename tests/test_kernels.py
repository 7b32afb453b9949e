"""Every way of computing a convolution against the slow loops of `tests.layers.reference`."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skcnn._kernels import convolution as module
from skcnn._kernels.convolution import Direct, Patches
from skcnn._kernels.maps import crop, pad
from skcnn._kernels.plan import convolution, cost, ways
from skcnn._kernels.products import _rows_at_a_time, narrow_gradient, narrow_product
from skcnn._kernels.winograd import MOST_PRODUCTS, Winograd, transforms
from tests.layers import reference

NO_FRAME = ((0, 0), (0, 0))


class Shapes(NamedTuple):
    """What `ways` is given."""

    in_size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    n_channels: int
    n_kernels: int


@st.composite
def shapes(draw):
    kernel_size = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    more = draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
    in_size = tuple(k + m for k, m in zip(kernel_size, more, strict=True))
    stride = draw(st.just((1, 1)) | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Shapes(in_size, kernel_size, stride, draw(st.integers(1, 3)), draw(st.integers(1, 3)))


def compare_all_ways(shapes, n_images, seed, dtype, unfolded_numbers):
    """Output and gradients of all ways, relative to the sum of the magnitudes of all terms."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_images, *shapes.in_size, shapes.n_channels)).astype(dtype)
    W = rng.normal(size=(*shapes.kernel_size, shapes.n_channels, shapes.n_kernels)).astype(dtype)
    geometry = (None, shapes.stride, NO_FRAME, 0)
    b = rng.normal(size=shapes.n_kernels).astype(dtype)
    out = reference.convolve(x.astype(float), W.astype(float), *geometry) + b
    d_out = rng.normal(size=out.shape).astype(dtype)
    _, d_W, _ = reference.convolve_backward(x.astype(float), W.astype(float), *geometry, d_out.astype(float))
    d_b, d_b_scale = (d.astype(float).sum(axis=(0, 1, 2)) for d in (d_out, np.abs(d_out)))
    out_scale = reference.convolve(np.abs(x), np.abs(W), *geometry).max() + np.abs(b).max()
    _, d_W_scale, _ = reference.convolve_backward(np.abs(x), np.abs(W), *geometry, np.abs(d_out))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "UNFOLDED_NUMBERS", unfolded_numbers)
        for way in ways(*shapes):
            placed = pad(x, NO_FRAME, 0, to=way.placed_size)
            results = way.forward(placed, way.prepare(W, b)), *way.gradients(way.backward(placed, d_out))
            scales = out_scale, d_W_scale.max(), d_b_scale.max()
            for result, expected, scale in zip(results, (out, d_W, d_b), scales, strict=True):
                assert result.dtype == dtype
                assert result.flags.c_contiguous
                np.testing.assert_allclose(result / scale, expected / scale, rtol=0, atol=tolerance, err_msg=str(way))


cases = {
    "shapes": shapes(),
    "n_images": st.integers(1, 3),
    "seed": st.integers(0, 2**32),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "unfolded_numbers": st.sampled_from([1, 200, 2**19]),
}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(**cases)
def test_every_way_gives_what_the_loops_give(shapes, n_images, seed, dtype, unfolded_numbers):
    compare_all_ways(shapes, n_images, seed, dtype, unfolded_numbers)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, derandomize=True)
@given(**cases)
def test_every_way_gives_what_the_loops_give_in_thousands_of_cases(shapes, n_images, seed, dtype, unfolded_numbers):
    compare_all_ways(shapes, n_images, seed, dtype, unfolded_numbers)


@pytest.mark.parametrize("unfolded_numbers", [1, 100, 1000, 2**19])
def test_bands_hold_every_row_once(unfolded_numbers, monkeypatch):
    monkeypatch.setattr(module, "UNFOLDED_NUMBERS", unfolded_numbers)
    for way in ways((13, 9), (3, 3), (1, 1), 2, 2):
        rows = [
            (image, tile)
            for band in way._bands(5)
            for image in range(band.first_image, band.first_image + band.n_images)
            for tile in range(band.first_tile, band.first_tile + band.n_tiles)
        ]
        assert rows == [(image, tile) for image in range(5) for tile in range(way.tiles[0])]


@pytest.mark.parametrize(
    ("m", "length"), [(m, length) for m in (2, 4) for length in range(2, 8) if m + length - 1 <= MOST_PRODUCTS]
)
def test_the_transforms_are_a_convolution(m, length):
    A, G, B = transforms(m, length, np.dtype(float))
    rng = np.random.default_rng(0)
    pixels, kernel = rng.normal(size=m + length - 1), rng.normal(size=length)
    np.testing.assert_allclose(A.T @ ((G @ kernel) * (B.T @ pixels)), np.correlate(pixels, kernel), atol=1e-12)


def test_the_cheapest_way_is_taken():
    for given_shapes in [((32, 32), (5, 5), (1, 1), 6, 6), ((16, 16), (3, 3), (2, 2), 64, 64)]:
        way = convolution(*given_shapes)
        assert cost(way) == min(cost(other) for other in ways(*given_shapes))


def test_few_channels_are_tiled_and_many_are_not():
    few, many = (convolution((30, 30), (3, 3), (1, 1), *c) for c in ((1, 16), (64, 64)))
    assert few.columns > 1
    assert many.columns == 1
    assert isinstance(few, Patches)
    assert isinstance(many, Winograd)
    assert isinstance(convolution((30, 30), (3, 3), (2, 2), 64, 64), Direct)


@given(
    some=st.sampled_from([(), (1,), (2, 3)]),
    m=st.sampled_from([1, 5, 24, 97, 128, 131, 3 * 98]),
    p=st.integers(1, 9),
    q=st.sampled_from([1, 5, 16, 32]),
)
@example(some=(2, 3), m=3 * 98, p=3, q=16)  # which is cut
def test_narrow_products_are_products(some, m, p, q):
    rng = np.random.default_rng(0)
    assert _rows_at_a_time(3 * 98, 3, 16, fewest=96, largest=10**6) == 98
    x, d_out, W = (rng.normal(size=(*some, *shape)) for shape in ((m, p), (m, q), (p, q)))
    out = np.full((*some, m, q), np.nan)
    np.testing.assert_allclose(narrow_product(x, W), x @ W, atol=1e-12)
    narrow_product(x, W, out=out)
    np.testing.assert_allclose(out, x @ W, atol=1e-12)
    np.testing.assert_allclose(narrow_gradient(d_out, x), d_out.swapaxes(-1, -2) @ x, atol=1e-12)


def test_a_map_is_padded_and_cropped_only_where_it_must_be():
    x = 100 + np.arange(24.0).reshape(1, 4, 3, 2)
    assert pad(x, NO_FRAME, 1.0, to=(4, 2)) is x
    assert np.shares_memory(crop(x, (4, 3)), x)
    padded = pad(x, ((1, 0), (0, 2)), 7.0, to=(6, 5))
    np.testing.assert_array_equal(padded[:, 1:5, :3], x)
    assert padded.shape == (1, 6, 5, 2)
    assert (padded == 7).sum() == padded.size - x.size
    np.testing.assert_array_equal(crop(padded[:, 1:], (4, 3)), x)
