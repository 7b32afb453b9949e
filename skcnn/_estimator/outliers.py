"""Outliers: pixel values so far from all others that scaling leaves hardly any difference between the others.

Standardisation divides by the standard deviation. If values such as -32768 or -9999 stand for missing pixels, they make
it so large that the image itself becomes almost constant.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._estimator.images import ImageFormat, extremes
from skcnn._estimator.warning import warn

__all__ = ["warn_of_outliers"]

Array = NDArray[Any]
NARROW = 0.5  # standard deviations: a network learns worse if its images vary by less than this, from black to white
FEW = 0.1  # outliers have at most this share of the distinct values
MINORITY = 0.5  # of the pixels: if more have the other values, these are not outliers
VALUES_THAT_TELL = 100_000
ROWS_THAT_TELL = 256


def warn_of_outliers(X: Array, indices: Array, format: ImageFormat) -> None:
    """Warn if some values dwarf all others, given the rows of X to train on, and their scaling.

    Only the images with the smallest and the largest value and a sample of all pixels are checked.
    """
    if isinstance(format.width, float):  # the range is given, so outliers do not change it
        return
    plain = ImageFormat(format.shape, format.data_format, np.dtype(np.float64))
    images = plain.read(X[_rows_that_tell(X, indices)])
    for channel, deviation in enumerate(np.broadcast_to(format.width, format.shape[2:])):
        with np.errstate(all="ignore"):  # differences of huge values are not an error here
            range_of_others = _dwarfed(images[..., channel], float(deviation))
        if range_of_others:
            low, high = range_of_others
            where = f" in channel {channel}" if format.shape[2] > 1 else ""
            warn(
                f"Some pixels{where} of X are so far from all others that scaling leaves hardly any difference between "
                f"the others: the pixels range from {images[..., channel].min():.6g} to "
                f"{images[..., channel].max():.6g}, but most lie between {low:.6g} and {high:.6g}. Replace the "
                "outliers, which may stand for missing values, or clip X"
            )


def _rows_that_tell(X: Array, indices: Array) -> Array:
    """Return the indices of some rows, among them those with the smallest and the largest value."""
    return np.concatenate([extremes(X, indices), indices[:: -(-len(indices) // ROWS_THAT_TELL)]])


def _dwarfed(values: Array, deviation: float) -> tuple[float, float] | None:
    """Return the range of the ordinary values of images (n, h, w), or None unless outliers dwarf them."""
    extreme, sample = values[:2].ravel(), values[2:].ravel()
    distinct = np.unique(np.concatenate([extreme, sample[:: -(-len(sample) // VALUES_THAT_TELL)]]))
    ends = [0, *np.flatnonzero(np.diff(distinct) > deviation) + 1, len(distinct)]
    groups = [distinct[start:end] for start, end in pairwise(ends)]
    main = max(groups, key=len)
    n_others = len(distinct) - len(main)
    low, high = float(main[0]), float(main[-1])
    if not 0 < n_others <= FEW * len(main) or high - low > NARROW * deviation:
        return None
    is_other = (sample < low) | (sample > high)
    return (low, high) if is_other.mean() < MINORITY else None
