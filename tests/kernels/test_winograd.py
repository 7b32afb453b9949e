"""The transforms of Winograd's convolution."""

import numpy as np
import pytest

from skcnn._kernels.winograd import MAX_PRODUCTS, transforms


@pytest.mark.parametrize(
    ("m", "length"), [(m, length) for m in (2, 4) for length in range(2, 8) if m + length - 1 <= MAX_PRODUCTS]
)
def test_the_transforms_are_a_convolution(m, length):
    A, G, B = transforms(m, length, np.dtype(float))
    rng = np.random.default_rng(0)
    pixels, kernel = rng.normal(size=m + length - 1), rng.normal(size=length)
    np.testing.assert_allclose(A.T @ ((G @ kernel) * (B.T @ pixels)), np.correlate(pixels, kernel), atol=1e-12)
