"""Products of narrow matrices."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from skcnn._kernels.products import _rows_at_a_time, narrow_gradient, narrow_product


@given(
    batch_axes=st.sampled_from([(), (1,), (2, 3)]),
    m=st.sampled_from([1, 5, 24, 97, 128, 131, 3 * 98]),
    p=st.integers(1, 9),
    q=st.sampled_from([1, 5, 16, 32]),
)
@example(batch_axes=(2, 3), m=3 * 98, p=3, q=16)  # which is cut
def test_narrow_products_are_products(batch_axes, m, p, q):
    rng = np.random.default_rng(0)
    assert _rows_at_a_time(3 * 98, 3, 16, min_rows=96, max_multiply_adds=10**6) == 98
    x, d_out, W = (rng.normal(size=(*batch_axes, *shape)) for shape in ((m, p), (m, q), (p, q)))
    out = np.full((*batch_axes, m, q), np.nan)
    np.testing.assert_allclose(narrow_product(x, W), x @ W, atol=1e-12)
    narrow_product(x, W, out=out)
    np.testing.assert_allclose(out, x @ W, atol=1e-12)
    np.testing.assert_allclose(narrow_gradient(d_out, x), d_out.swapaxes(-1, -2) @ x, atol=1e-12)
