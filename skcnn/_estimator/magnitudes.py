"""Magnitudes: how large the pixels of images are, and warnings if images seem to have the wrong scale.

The magnitude of an image is the largest absolute value of its pixels. Black images are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._estimator.images import ImageFormat, parts
from skcnn._estimator.warning import warn

__all__ = [
    "ANY",
    "NONE_SEEN",
    "ROWS_THAT_TELL",
    "Magnitudes",
    "magnitudes",
    "warn_if_scale_is_off",
    "warn_if_scales_are_mixed",
]

Array = NDArray[Any]
ROWS_THAT_TELL = 256  # how many images are compared with those in training
SCALE_IS_OFF = 10  # factor from which the scale is probably wrong

# two groups of images have different scales, rather than being dark and bright images, if all this holds:
RATIO_OF_MAGNITUDES = 64  # the least ratio of the groups' medians. For 0..1 and 0..255, it is about 255
RATIO_OF_MEANS = 16  # the least ratio of the groups' typical mean pixels, which a few hot pixels change less
GAP = 10  # hardly any magnitude lies between the largest one of the lower group and this multiple of it
SHARE, COUNT = 0.05, 3  # each group has at least this share of the images, and at least this many
SHARE_IN_GAP = 0.01  # of the images, at most


@dataclass(frozen=True)
class Magnitudes:
    """The range of the magnitudes of all images that a model was trained on.

    Attributes
    ----------
    smallest, largest : float
        Infinity and 0 if all images were black.
    log_sum : float
        The sum of the logarithms of the magnitudes.
    count : int
        The number of images that were not black.
    """

    smallest: float = inf
    largest: float = 0.0
    log_sum: float = 0.0
    count: int = 0

    @property
    def typical(self) -> float:
        """The geometric mean of the magnitudes."""
        return float(np.exp(self.log_sum / self.count)) if self.count else 0.0

    def including(self, found: Array) -> Magnitudes:
        """Return the range including more images, given their magnitudes (n,)."""
        found = found[found > 0]
        if not len(found):
            return self
        return Magnitudes(
            smallest=min(self.smallest, float(found.min())),
            largest=max(self.largest, float(found.max())),
            log_sum=self.log_sum + float(np.log(found).sum()),
            count=self.count + len(found),
        )


NONE_SEEN = Magnitudes()
ANY = Magnitudes(smallest=0.0, largest=inf)


def magnitudes(X: Array, indices: Array) -> Array:
    """Return the magnitudes (n,) of the rows of X at `indices`, as float64."""
    # converted to float64 first, because -(-128) overflows in int8
    found = [np.maximum(rows.max(axis=1), -rows.min(axis=1).astype(np.float64)) for rows in parts(X, indices)]
    return np.concatenate(found)


def warn_if_scale_is_off(X: Array, seen: Magnitudes, format: ImageFormat, name: str) -> None:
    """Warn if the magnitudes of images are much larger or smaller than in training. Only the first rows are checked.

    They are too large if one is at least ten times the largest one in training. They are too small if all are smaller
    than the smallest one in training, and at most a tenth of the typical one. So images from the training data never
    cause a warning. Neither do dark uint8 images, because the range of uint8 is always 0 to 255.

    Parameters
    ----------
    X : ndarray (n, h * w * c)
    seen : Magnitudes
        The magnitudes of the images in training.
    format : ImageFormat
    name : str
        What to call X in the warning.
    """
    rows = X[:ROWS_THAT_TELL]
    largest = max(float(rows.max()), -float(rows.min()))
    is_large = largest / SCALE_IS_OFF >= max(seen.largest, format.largest)
    is_small = 0 < largest < seen.smallest and largest <= seen.typical / SCALE_IS_OFF and X.dtype != np.uint8
    if is_large or is_small:
        usual = f"reached about {seen.largest if is_large else seen.typical:.3g}" if seen.count else "were all 0"
        warn(
            f"the pixels of {name} reach {largest:.3g}, but those in training {usual}; check that both have the same "
            "scale"
        )


def warn_if_scales_are_mixed(X: Array, indices: Array, found: Array) -> None:
    """Warn if the rows of X at `indices`, with the magnitudes `found`, form two groups with different scales.

    This happens if some images were read as 0..1 and others as 0..255. uint8 images never cause this warning, because
    their range is always 0 to 255.
    """
    limit = _largest_of_lower_group(found)
    if X.dtype == np.uint8 or limit is None:
        return
    small, large = np.flatnonzero((found > 0) & (found <= limit)), np.flatnonzero(found > limit)
    with np.errstate(all="ignore"):  # sums of huge values are not an error here
        if _typical_mean(X, indices[large]) / RATIO_OF_MEANS < _typical_mean(X, indices[small]):
            return
    groups = (f"{len(group)} images reach about {np.median(found[group]):.3g}" for group in (small, large))
    both = ", and those of ".join(groups)
    warn(f"X seems to contain images of two scales: the pixels of {both}; give all images the same scale")


def _largest_of_lower_group(found: Array) -> float | None:
    """Return the largest magnitude in the lower of two groups, or None if there are not two groups."""
    ordered = np.sort(found[found > 0])
    n = len(ordered)
    least = max(COUNT, round(SHARE * n))
    if n < 2 * least or ordered[-1] / RATIO_OF_MAGNITUDES < ordered[0]:
        return None
    lower = np.arange(least, n - least + 1)  # possible sizes of the lower group
    upper = np.searchsorted(ordered / GAP, ordered[lower - 1])  # where the upper group begins
    fits = (upper - lower <= SHARE_IN_GAP * n) & (upper <= n - least)
    lower, upper = lower[fits], upper[fits]
    fits = ordered[(upper + n) // 2] / RATIO_OF_MAGNITUDES >= ordered[lower // 2]
    lower = lower[fits]
    if not len(lower):
        return None
    return float(ordered[lower[np.argmax(ordered[lower] / ordered[lower - 1])] - 1])


def _typical_mean(X: Array, indices: Array) -> float:
    """Return the median, over some of the rows of X at `indices`, of the mean magnitude of the pixels."""
    some = X[indices[:: -(-len(indices) // ROWS_THAT_TELL)]].astype(np.float64)
    return float(np.median(np.abs(some).mean(axis=1)))
