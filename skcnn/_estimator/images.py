"""Images: from any accepted X to batches (n, h, w, c) of floats.

X keeps its own dtype, and is converted one batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf, isqrt, prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skcnn._caching import cached_property
from skcnn._estimator.warning import warn
from skcnn._values import as_float, is_count, power_of_two

__all__ = [
    "ImageFormat",
    "Images",
    "extremes",
    "image_format_for",
    "image_shape_for",
    "parts",
    "require_same_shape",
    "scaling_for",
]

Array = NDArray[Any]
ImageShape = tuple[int, int, int]
DataFormat = Literal["channels_last", "channels_first"]
Scaling = Literal["auto", "standard"] | tuple[float, float] | None
FEW_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
DARK = 64  # uint8 images with only values below this are probably not photographs
SAMPLES_AT_A_TIME = 1024


def image_shape_for(shape: tuple[int, ...], image_shape: Any, data_format: DataFormat) -> tuple[ImageShape, bool]:
    """Return the shape of one image, given the shape of X.

    Parameters
    ----------
    shape : tuple of int
        The shape of X: (n, p), (n, h, w), or four numbers in the order of `data_format`.
    image_shape : None, (h, w) or (h, w, c)
        The parameter of the classifier.
    data_format : {"channels_last", "channels_first"}

    Returns
    -------
    image_shape : (h, w, c)
    guessed : bool
        Whether the shape was guessed, because X is flat and `image_shape` is None. The guess is (s, s, 1) if p is a
        square number, otherwise (1, p, 1).

    Raises
    ------
    ValueError
        If `image_shape` is not a shape, or does not match X.
    """
    wanted = None if image_shape is None else _checked_image_shape(image_shape)
    if len(shape) == 2:
        if wanted is None:
            return _guess(shape[1]), True
        if prod(wanted) != shape[1]:
            raise ValueError(f"image_shape {wanted} needs {prod(wanted)} features, got {shape[1]}")
        _warn_if_channels_seem_first(wanted)
        return wanted, False
    h, w, c = _own_shape(shape, data_format)
    _warn_if_other_order_looks_right(shape, data_format)
    if wanted is not None and wanted != (h, w, c):
        raise ValueError(
            f"image_shape {wanted} does not match X of shape {shape}: read as {data_format}, its images have shape "
            f"{(h, w, c)}; image_shape is always (h, w, c)"
        )
    return (h, w, c), False


def _checked_image_shape(image_shape: Any) -> ImageShape:
    fits = isinstance(image_shape, tuple | list) and len(image_shape) in (2, 3) and all(map(is_count, image_shape))
    if not fits:
        raise ValueError(f"image_shape must be (h, w) or (h, w, c), ints of at least 1, got {image_shape!r}")
    h, w, *c = (int(size) for size in image_shape)
    return h, w, c[0] if c else 1


def _warn_if_channels_seem_first(image_shape: ImageShape) -> None:
    h, w, c = image_shape
    # images of one row with many channels are signals
    if h in FEW_CHANNELS and c > max(FEW_CHANNELS) and (h > 1 or w == c):
        warn(
            f"image_shape {image_shape} means {h}x{w} pixels with {c} channels, because it is always (h, w, c); "
            f"if the rows of X hold one channel after the other, pass image_shape={(w, c, h)} and "
            "data_format='channels_first'"
        )


def _own_shape(shape: tuple[int, ...], data_format: DataFormat) -> ImageShape:
    if len(shape) == 3:
        return shape[1], shape[2], 1
    h, w, c = shape[1:] if data_format == "channels_last" else (*shape[2:], shape[1])
    return h, w, c


def _warn_if_other_order_looks_right(shape: tuple[int, ...], data_format: DataFormat) -> None:
    channels, other = (shape[-1], shape[1]) if data_format == "channels_last" else (shape[1], shape[-1])
    # images of one row or column with many channels are signals
    if (
        len(shape) == 4
        and other in FEW_CHANNELS
        and channels > max(FEW_CHANNELS)
        and (other > 1 or shape[2] == channels)
    ):
        warn(
            f"X of shape {shape} is read as {data_format}, as images with {channels} channels; "
            f"if they have {other}, set data_format to the other order"
        )


def _guess(n_features: int) -> ImageShape:
    side = isqrt(n_features)
    if side * side == n_features:
        return side, side, 1
    if n_features >= 64:
        colour = isqrt(n_features // 3)
        hint = f" (perhaps image_shape={(colour, colour, 3)})" if 3 * colour**2 == n_features else ""
        warn(
            f"{n_features} features are not a square number, so each row of X is read as an image with one row of "
            f"{n_features} pixels; pass image_shape=(h, w) or (h, w, c){hint}"
        )
    return 1, n_features, 1


@dataclass(frozen=True, eq=False)
class ImageFormat:
    """How to turn rows of X into images: shape, order, dtype and the scaling ``(x - center) / width``.

    Attributes
    ----------
    shape : (h, w, c)
    data_format : {"channels_last", "channels_first"}
        The order of the numbers in a flat row.
    dtype : numpy.dtype
        The dtype of the images.
    center, width : float or ndarray (c,)
        0 and 1 without scaling.
    """

    shape: ImageShape
    data_format: DataFormat
    dtype: np.dtype[Any]
    center: Any = 0.0
    width: Any = 1.0

    @property
    def largest(self) -> float:
        """The largest magnitude to expect: the end of the range, or four standard deviations from the mean."""
        if isinstance(self.width, float):
            return float(abs(self.center) + self.width / 2)
        with np.errstate(over="ignore"):
            return float(np.max(np.abs(self.center) + 4 * self.width))

    def scale_of(self, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """Return center and width in the dtype in which X of a dtype is scaled."""
        # if X's dtype or the scale does not fit into the network's dtype, X is scaled in float64 and then rounded
        exact = self.dtype if np.can_cast(dtype, self.dtype) and self._scale_fits() else np.float64
        return np.asarray(self.center, dtype=exact), np.asarray(self.width, dtype=exact)

    def _scale_fits(self) -> bool:
        """Return whether center and width are neither too large nor too small for `dtype`. They always fit float64."""
        if self.dtype == np.float64:
            return True
        limits = np.finfo(self.dtype)
        fits = (limits.tiny <= self.width) & (self.width <= limits.max) & (np.abs(self.center) <= limits.max)
        return bool(np.all(fits))

    def read(self, rows: Array, scale: tuple[Array, Array] | None = None) -> Array:
        """Convert rows (n, h * w * c) of any numeric type to images (n, h, w, c), a C-contiguous copy."""
        center, width = scale or self.scale_of(rows.dtype)
        h, w, c = self.shape
        if self.data_format == "channels_last":
            images = rows.reshape(-1, h, w, c)
        else:
            images = rows.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
        scaled = images.astype(center.dtype, order="C")
        scaled -= center
        scaled /= width
        return scaled.astype(self.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Images:
    """Rows of X as images: ``images[indices]`` converts some rows to a batch (n, h, w, c)."""

    X: Array
    format: ImageFormat

    @cached_property
    def _scale(self) -> tuple[Array, Array]:
        return self.format.scale_of(self.X.dtype)

    def __getitem__(self, indices: slice | Array) -> Array:
        return self.format.read(self.X[indices], self._scale)


def require_same_shape(shape: tuple[int, ...], fitted: ImageFormat) -> None:
    """Raise ValueError if an array of this shape contains images of another shape than in training.

    Rows of another length are left to scikit-learn, unless X is a single image.
    """
    is_flat = len(shape) == 2
    if shape[1] == prod(fitted.shape) if is_flat else _own_shape(shape, fitted.data_format) == fitted.shape:
        return
    is_single = shape in _shapes_of_one(fitted)
    if is_flat and not is_single:
        return
    read_as = f"rows of {shape[1]} features" if is_flat else f"images of shape {_own_shape(shape, fitted.data_format)}"
    hint = "; for a single image, pass [X]" if is_single else ""
    raise ValueError(
        f"X of shape {shape} contains {read_as}, but the network was fitted on images of shape {fitted.shape}{hint}"
    )


def _shapes_of_one(fitted: ImageFormat) -> list[tuple[int, ...]]:
    """Return the shapes that a single image may have."""
    h, w, c = fitted.shape
    colour = (h, w, c) if fitted.data_format == "channels_last" else (c, h, w)
    return [colour, (h, w)] if c == 1 else [colour]


def image_format_for(
    X: Array,
    shape: tuple[int, ...],
    indices: Array,
    weight: Array | None,
    image_shape: Any,
    data_format: DataFormat,
    scaling: Any,
    dtype: str,
) -> tuple[ImageFormat, bool]:
    """Return how to read X as images.

    Parameters
    ----------
    X : ndarray (n, p)
    shape : tuple of int
        The shape of X before it was flattened.
    indices, weight
        The indices of the samples to train on, and the weights (n,) or None.
    image_shape, data_format, scaling, dtype
        The parameters of `NumpyCNNClassifier`.

    Returns
    -------
    format : ImageFormat
    guessed : bool
        Whether the shape was guessed, see `image_shape_for`.
    """
    if not is_scaling(scaling):
        raise ValueError(f"scaling must be 'auto', 'standard', (low, high) with low < high, or None, got {scaling!r}")
    resolved, guessed = image_shape_for(shape, image_shape, data_format)
    precision = np.dtype(("float64" if X.dtype == np.float64 else "float32") if dtype == "auto" else dtype)
    unscaled = ImageFormat(resolved, data_format, precision)
    with np.errstate(all="ignore"):
        center, width = scaling_for(scaling, Images(X, unscaled), indices, weight)
    return replace(unscaled, center=center, width=width), guessed


def scaling_for(scaling: Scaling, images: Images, indices: Array, weight: Array | None) -> tuple[Any, Any]:
    """Return (center, width) for the samples at `indices`, with weights (n,) or None.

    Parameters
    ----------
    scaling : {"auto", "standard"}, (low, high) or None
        "auto" maps 0..255 to -0.5..0.5 for uint8, and means "standard" for other types; "standard" scales each channel
        to mean 0 and standard deviation 1; (low, high) maps that range to -0.5..0.5; None means no scaling.

    Raises
    ------
    ValueError
        If the standard deviation is too large or too small for float64.
    """
    if scaling is None:
        return 0.0, 1.0
    center: Any
    width: Any
    if scaling == "auto" and images.X.dtype == np.uint8:
        _warn_if_dark(images.X, indices)
        scaling = 0.0, 255.0
    if isinstance(scaling, str):
        center, width = _moments(images, indices, weight)
    else:
        low, high = map(float, scaling)
        center, width = low / 2 + high / 2, high - low
    if not (np.isfinite(center).all() and np.isfinite(width).all()):
        raise ValueError(f"scaling={scaling!r}: X is spread too widely for float64; its scale would be {width}")
    if np.any(width < np.finfo(np.float64).tiny):
        raise ValueError(
            f"scaling={scaling!r}: the range of X is too small for float64; its scale would be {width}. "
            "Multiply X by a large number"
        )
    return center, width


def is_scaling(scaling: Any) -> bool:
    """Return whether `scaling` is a valid value of the parameter."""
    if scaling is None or isinstance(scaling, str):
        return scaling in (None, "auto", "standard")
    if not isinstance(scaling, tuple | list) or len(scaling) != 2:
        return False
    low, high = map(as_float, scaling)
    return -inf < low < high < inf


def _warn_if_dark(X: Array, indices: Array) -> None:
    """Warn if uint8 images seem to have another range than 0..255."""
    brightest = max(int(rows.max()) for rows in parts(X, indices))
    if 0 < brightest < DARK:
        warn(
            f"X is uint8, so it is scaled as 0 to 255, but its largest value is {brightest}; "
            f"if that is white, pass scaling=(0, {brightest})"
        )


def _moments(images: Images, indices: Array, weight: Array | None) -> tuple[Array, Array]:
    """Return each channel's weighted mean and standard deviation.

    A constant channel has the mean deviation of the other ones, so that it does not dwarf them if it varies in later
    images. If all are constant, the deviations are 1.
    """
    plain = ImageFormat(images.format.shape, images.format.data_format, np.dtype(np.float64))
    largest_weight = 1.0 if weight is None else weight[indices].max()

    def of_samples(function: Any) -> Iterator[tuple[Array, Array]]:
        for part in _parts(indices):
            w = np.ones(len(part)) if weight is None else weight[part] / largest_weight  # equal weights are exactly 1
            yield w, function(plain.read(images.X[part]))

    def mean(function: Any) -> Array:
        sums = [(w @ values.mean(axis=(1, 2)), w.sum()) for w, values in of_samples(function)]
        total, weights = (sum(numbers) for numbers in zip(*sums, strict=True))
        return np.asarray(total / weights)

    magnitudes = np.max([np.abs(values).max(axis=(0, 1, 2)) for _, values in of_samples(lambda x: x)], axis=0)
    unit = np.array([power_of_two(magnitude) for magnitude in magnitudes])  # in it, squares neither overflow nor vanish
    center = mean(lambda x: x / unit)
    deviation = np.sqrt(mean(lambda x: (x / unit - center) ** 2))
    # the differences from the mean must fit into float64 too
    width = np.where(np.isfinite(magnitudes + np.abs(center * unit)), deviation * unit, inf)
    constant = deviation <= 1e-12 * np.abs(center)  # the values differ only by rounding
    return center * unit, np.where(constant, 1.0 if constant.all() else width[~constant].mean(), width)


def parts(X: Array, indices: Array) -> Iterator[Array]:
    """Yield the rows of X at `indices`: all at once if `indices` are all rows, otherwise in parts, which are copies."""
    return iter([X]) if len(indices) == len(X) else (X[part] for part in _parts(indices))


def extremes(X: Array, indices: Array) -> Array:
    """Return those of the indices whose rows have the smallest and the largest number."""
    of_parts = [(rows.min(axis=1), rows.max(axis=1)) for rows in parts(X, indices)]
    lowest, highest = (np.concatenate(of_rows) for of_rows in zip(*of_parts, strict=True))
    return indices[[lowest.argmin(), highest.argmax()]]


def _parts(indices: Array) -> Iterator[Array]:
    return (indices[start : start + SAMPLES_AT_A_TIME] for start in range(0, len(indices), SAMPLES_AT_A_TIME))
