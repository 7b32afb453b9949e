"""Every algorithm for a convolution against the slow loops of `tests.layers.reference`."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcnn._kernels import convolution as module
from skcnn._kernels.feature_maps import pad
from skcnn._kernels.plan import algorithms
from tests.layers import reference

NO_PADDING = ((0, 0), (0, 0))


class Shapes(NamedTuple):
    """What `algorithms` is given."""

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


def compare_all_algorithms(shapes, n_images, seed, dtype, unfolded_elements):
    """Output and gradients of all algorithms, relative to the sum of the magnitudes of all terms."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_images, *shapes.in_size, shapes.n_channels)).astype(dtype)
    W = rng.normal(size=(*shapes.kernel_size, shapes.n_channels, shapes.n_kernels)).astype(dtype)
    geometry = (None, shapes.stride, NO_PADDING, 0)
    b = rng.normal(size=shapes.n_kernels).astype(dtype)
    out = reference.convolve(x.astype(float), W.astype(float), *geometry) + b
    d_out = rng.normal(size=out.shape).astype(dtype)
    _, d_W, _ = reference.convolve_backward(x.astype(float), W.astype(float), *geometry, d_out.astype(float))
    d_b, d_b_scale = (d.astype(float).sum(axis=(0, 1, 2)) for d in (d_out, np.abs(d_out)))
    out_scale = reference.convolve(np.abs(x), np.abs(W), *geometry).max() + np.abs(b).max()
    _, d_W_scale, _ = reference.convolve_backward(np.abs(x), np.abs(W), *geometry, np.abs(d_out))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "UNFOLDED_ELEMENTS", unfolded_elements)
        for algorithm in algorithms(*shapes):
            padded = pad(x, NO_PADDING, 0, to=algorithm.padded_size)
            d_kernels = algorithm.backward(padded, d_out)
            results = algorithm.forward(padded, algorithm.prepare(W, b)), *algorithm.gradients(d_kernels)
            scales = out_scale, d_W_scale.max(), d_b_scale.max()
            for result, expected, scale in zip(results, (out, d_W, d_b), scales, strict=True):
                assert result.dtype == dtype
                assert result.flags.c_contiguous
                np.testing.assert_allclose(result / scale, expected / scale, 0, tolerance, err_msg=str(algorithm))


cases = {
    "shapes": shapes(),
    "n_images": st.integers(1, 3),
    "seed": st.integers(0, 2**32),
    "dtype": st.sampled_from([np.float32, np.float64]),
    "unfolded_elements": st.sampled_from([1, 200, 2**19]),
}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(**cases)
def test_every_algorithm_gives_what_the_loops_give(shapes, n_images, seed, dtype, unfolded_elements):
    compare_all_algorithms(shapes, n_images, seed, dtype, unfolded_elements)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, derandomize=True)
@given(**cases)
def test_every_algorithm_gives_what_the_loops_give_in_many_cases(shapes, n_images, seed, dtype, unfolded_elements):
    compare_all_algorithms(shapes, n_images, seed, dtype, unfolded_elements)


@pytest.mark.parametrize("unfolded_elements", [1, 100, 1000, 2**19])
def test_bands_hold_every_row_once(unfolded_elements, monkeypatch):
    monkeypatch.setattr(module, "UNFOLDED_ELEMENTS", unfolded_elements)
    for algorithm in algorithms((13, 9), (3, 3), (1, 1), 2, 2):
        rows = [
            (image, tile)
            for band in algorithm._bands(5)
            for image in range(band.first_image, band.first_image + band.n_images)
            for tile in range(band.first_tile, band.first_tile + band.n_tiles)
        ]
        assert rows == [(image, tile) for image in range(5) for tile in range(algorithm.tiles[0])]
