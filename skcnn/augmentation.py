"""Augmentation: random changes to the images before each training step, which do not change the class.

An augmentation is a callable ``(images, rng) -> images`` for a batch (n, h, w, c). It returns floats of the same shape,
which are cast to the dtype of the network if necessary. The augmentations in this module are values, like layers. They
change a whole batch at once, with different random numbers for each image, and never write to their input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._functions import name_error, require_arguments
from skcnn._values import Value

__all__ = ["Augmentation", "Crop", "Cutout", "Flip", "Rotate", "Shift"]

Array = NDArray[Any]
Rng = np.random.Generator
Augmentation = Callable[[Array, Rng], Array]


@dataclass(frozen=True, repr=False)
class Flip(Value):
    """Mirror each image with probability `probability`.

    Parameters
    ----------
    axis : {"horizontal", "vertical"}, default="horizontal"
        "horizontal" swaps left and right, "vertical" swaps top and bottom.
    probability : float in [0, 1], default=0.5

    Examples
    --------
    >>> image = np.arange(3.0).reshape(1, 1, 3, 1)
    >>> Flip(probability=1.0)(image, np.random.default_rng(0)).ravel()
    array([2., 1., 0.])
    """

    axis: str = "horizontal"
    probability: float = 0.5

    def __post_init__(self) -> None:
        self._check("axis", self.axis in ("horizontal", "vertical"), "'horizontal' or 'vertical'")
        self._check_number("probability", 0, 1, closed="both")

    def __call__(self, images: Array, rng: Rng) -> Array:
        chosen = rng.random(len(images)) < self.probability
        mirrored = images[:, :, ::-1] if self.axis == "horizontal" else images[:, ::-1]
        out = images.copy()
        out[chosen] = mirrored[chosen]
        return out


@dataclass(frozen=True, repr=False)
class Shift(Value):
    """Shift each image by up to `pixels` whole pixels along both axes, and fill the gap by repeating the edge.

    Parameters
    ----------
    pixels : int, default=2
        The largest shift in either direction. At least 0.

    Examples
    --------
    >>> Shift(1)(np.arange(9.0).reshape(1, 3, 3, 1), np.random.default_rng(0))[0, :, :, 0]
    array([[3., 4., 5.],
           [6., 7., 8.],
           [6., 7., 8.]])
    """

    pixels: int = 2

    def __post_init__(self) -> None:
        self._check_count("pixels", 0)

    def __call__(self, images: Array, rng: Rng) -> Array:
        n, h, w, _ = images.shape
        moves = rng.integers(-self.pixels, self.pixels, (2, n, 1), endpoint=True)
        moves = np.clip(moves, -max(h, w), max(h, w))  # any farther, there are only copies of the edge
        rows, columns = (np.clip(np.arange(size) + move, 0, size - 1) for size, move in zip((h, w), moves, strict=True))
        out: Array = images[np.arange(n)[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis]]
        return out


@dataclass(frozen=True, repr=False)
class Rotate(Value):
    """Rotate each image around its centre by an angle of up to `degrees`, with bilinear interpolation.

    Parameters
    ----------
    degrees : float in [0, 180], default=10.0
        The largest angle in either direction.
    """

    degrees: float = 10.0

    def __post_init__(self) -> None:
        self._check_number("degrees", 0, 180, closed="both")

    def __call__(self, images: Array, rng: Rng) -> Array:
        angle = np.radians(rng.uniform(-self.degrees, self.degrees, len(images)))
        centre_row, centre_column = ((size - 1) / 2 for size in images.shape[1:3])
        row = np.arange(images.shape[1])[:, np.newaxis] - centre_row
        column = np.arange(images.shape[2])[np.newaxis] - centre_column
        cos, sin = (f(angle)[:, np.newaxis, np.newaxis] for f in (np.cos, np.sin))
        return _interpolate(images, cos * row - sin * column + centre_row, sin * row + cos * column + centre_column)


@dataclass(frozen=True, repr=False)
class Crop(Value):
    """Crop a random part of each image and enlarge it to the full size, with bilinear interpolation.

    Parameters
    ----------
    smallest : float in (0, 1], default=0.8
        The sides of the part are at least this fraction of the sides of the image.
    """

    smallest: float = 0.8

    def __post_init__(self) -> None:
        self._check_number("smallest", 0, 1, closed="right")

    def __call__(self, images: Array, rng: Rng) -> Array:
        n, h, w, _ = images.shape
        part = rng.uniform(self.smallest, 1, (n, 1, 1))
        first = rng.random((2, n, 1, 1)) * (1 - part)
        rows = (first[0] + part * np.linspace(0, 1, h)[:, np.newaxis]) * (h - 1)
        columns = (first[1] + part * np.linspace(0, 1, w)[np.newaxis]) * (w - 1)
        return _interpolate(images, *np.broadcast_arrays(rows, columns))


@dataclass(frozen=True, repr=False)
class Cutout(Value):
    """Set a square of each image to 0, the middle of the range to which `scaling` maps the pixels.

    Parameters
    ----------
    size : int, default=8
        The sides of the square in pixels. At least 1. Its centre is anywhere in the image, so part of the square may be
        outside.

    References
    ----------
    DeVries, Taylor (2017), Improved regularization of convolutional neural networks with cutout.
    """

    size: int = 8

    def __post_init__(self) -> None:
        self._check_count("size")

    def __call__(self, images: Array, rng: Rng) -> Array:
        n, h, w, _ = images.shape
        inside = []
        for length in (h, w):
            first = rng.integers(0, length, (n, 1)) - self.size // 2
            position = np.arange(length)
            inside.append((first <= position) & (position < first + self.size))
        cut = inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis]
        return np.where(cut[..., np.newaxis], images.dtype.type(0), images)


def augmentations_from(given: Any) -> tuple[Augmentation, ...]:
    """Read the parameter `augment` of `NumpyCNNClassifier`: None, an augmentation or a sequence of augmentations.

    Raises
    ------
    ValueError, TypeError
        If an item is a class, is not callable or does not take the arguments of an augmentation.
    """
    augmentations = () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
    for item in augmentations:
        if isinstance(item, type) or not callable(item):
            hint = f"; write {item.__name__}()" if isinstance(item, type) else ""
            raise ValueError(f"augment must contain callables (images, rng) -> images, got {item!r}{hint}")
        if not isinstance(item, Value):  # this runs in every call of partial_fit
            require_arguments("augment", item, "images", "rng")
    return augmentations


def augment(images: Array, augmentations: Sequence[Augmentation], rng: Rng) -> Array:
    """Apply augmentations one after another.

    Raises
    ------
    ValueError
        If an augmentation does not return an array of floats of the same shape.
    """
    for augmentation in augmentations:
        shape, dtype = images.shape, images.dtype
        try:
            changed = augmentation(images, rng)
        except Exception as error:
            name_error(error, f"augment: {augmentation!r}")
            raise
        if not isinstance(changed, np.ndarray) or changed.shape != shape or changed.dtype.kind != "f":
            wanted, got = f"an array of {dtype} and shape {shape}", _described(changed)
            raise ValueError(f"augment: {augmentation!r} must return {wanted}, got {got}")
        images = changed.astype(dtype, copy=False)
    return np.ascontiguousarray(images)


def _described(returned: Any) -> str:
    is_array = isinstance(returned, np.ndarray)
    return f"an array of {returned.dtype} and shape {returned.shape}" if is_array else type(returned).__name__


def _interpolate(images: Array, rows: Array, columns: Array) -> Array:
    """Interpolate the images bilinearly at positions (n, h, w). Outside an image, its edge is repeated."""
    n, h, w, _ = images.shape
    at = np.arange(n)[:, np.newaxis, np.newaxis]
    rows, columns = np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1)
    top, left = rows.astype(np.intp), columns.astype(np.intp)
    down, right = np.minimum(top + 1, h - 1), np.minimum(left + 1, w - 1)
    to_bottom, to_right = (
        (p - whole)[..., np.newaxis].astype(images.dtype) for p, whole in ((rows, top), (columns, left))
    )
    above = images[at, top, left] * (1 - to_right) + images[at, top, right] * to_right
    below = images[at, down, left] * (1 - to_right) + images[at, down, right] * to_right
    out: Array = above * (1 - to_bottom) + below * to_bottom
    return out
