"""Maps that are padded and cropped."""

import numpy as np

from skcnn._kernels.feature_maps import crop, pad

NO_PADDING = ((0, 0), (0, 0))


def test_a_map_is_padded_and_cropped_only_where_it_must_be():
    x = 100 + np.arange(24.0).reshape(1, 4, 3, 2)
    assert pad(x, NO_PADDING, 1.0, to=(4, 2)) is x
    assert np.shares_memory(crop(x, (4, 3)), x)
    padded = pad(x, ((1, 0), (0, 2)), 7.0, to=(6, 5))
    np.testing.assert_array_equal(padded[:, 1:5, :3], x)
    assert padded.shape == (1, 6, 5, 2)
    assert (padded == 7).sum() == padded.size - x.size
    np.testing.assert_array_equal(crop(padded[:, 1:], (4, 3)), x)
