"""Augmentation: images changed at random before each step, in ways that leave their class as it is.

An augmentation is a callable ``(images, rng) -> images`` of a batch (n, h, w, c); those here are values, as layers are.
Every image is changed by numbers of its own, all at once, and nothing is written to the images given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Value, is_real

__all__ = ["Augmentation", "Crop", "Cutout", "Flip", "Rotate", "Shift"]

Array = NDArray[Any]
Rng = np.random.Generator
Augmentation = Callable[[Array, Rng], Array]


@dataclass(frozen=True, repr=False)
class Flip(Value):
    """Mirror an image, with probability `probability`.

    Parameters
    ----------
    axis : {"horizontal", "vertical"}, default="horizontal"
        "horizontal": left and right change places.
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
        fits = is_real(self.probability) and 0 <= self.probability <= 1
        self._check("probability", fits, "a number in [0, 1]")

    def __call__(self, images: Array, rng: Rng) -> Array:
        chosen = rng.random(len(images)) < self.probability
        mirrored = images[:, :, ::-1] if self.axis == "horizontal" else images[:, ::-1]
        out = images.copy()
        out[chosen] = mirrored[chosen]
        return out


@dataclass(frozen=True, repr=False)
class Shift(Value):
    """Move an image by up to `pixels` whole pixels along both axes. Its edges are repeated in what becomes free.

    Parameters
    ----------
    pixels : int, default=2
        At least 0.

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
        moves = rng.integers(-int(self.pixels), int(self.pixels), (2, n, 1), endpoint=True)
        rows, columns = (np.clip(np.arange(size) + move, 0, size - 1) for size, move in zip((h, w), moves, strict=True))
        out: Array = images[np.arange(n)[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis]]
        return out


@dataclass(frozen=True, repr=False)
class Rotate(Value):
    """Turn an image around its middle by an angle of up to `degrees`; pixels between four others are interpolated.

    Parameters
    ----------
    degrees : float in [0, 180], default=10.0
        The largest angle, either way.
    """

    degrees: float = 10.0

    def __post_init__(self) -> None:
        self._check("degrees", is_real(self.degrees) and 0 <= self.degrees <= 180, "a number in [0, 180]")

    def __call__(self, images: Array, rng: Rng) -> Array:
        angle = np.radians(rng.uniform(-self.degrees, self.degrees, len(images)))
        middle_row, middle_column = ((size - 1) / 2 for size in images.shape[1:3])
        row = np.arange(images.shape[1])[:, np.newaxis] - middle_row
        column = np.arange(images.shape[2])[np.newaxis] - middle_column
        cos, sin = (f(angle)[:, np.newaxis, np.newaxis] for f in (np.cos, np.sin))
        return _interpolate(images, cos * row - sin * column + middle_row, sin * row + cos * column + middle_column)


@dataclass(frozen=True, repr=False)
class Crop(Value):
    """Keep a part of the image, anywhere in it, and enlarge it to the whole by interpolation.

    Parameters
    ----------
    smallest : float in (0, 1], default=0.8
        The sides of the part are at least this part of the image's.
    """

    smallest: float = 0.8

    def __post_init__(self) -> None:
        self._check("smallest", is_real(self.smallest) and 0 < self.smallest <= 1, "a number in (0, 1]")

    def __call__(self, images: Array, rng: Rng) -> Array:
        n, h, w, _ = images.shape
        part = rng.uniform(self.smallest, 1, (n, 1, 1))
        first = rng.random((2, n, 1, 1)) * (1 - part)
        rows = (first[0] + part * np.linspace(0, 1, h)[:, np.newaxis]) * (h - 1)
        columns = (first[1] + part * np.linspace(0, 1, w)[np.newaxis]) * (w - 1)
        return _interpolate(images, *np.broadcast_arrays(rows, columns))


@dataclass(frozen=True, repr=False)
class Cutout(Value):
    """Set a square of the image to 0, the middle of the range that `scaling` maps pixels to.

    Parameters
    ----------
    size : int, default=8
        Its sides in pixels, at least 1. Its middle is anywhere in the image, so part of it may lie outside.

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
            first = rng.integers(0, length, (n, 1)) - int(self.size) // 2
            places = np.arange(length)
            inside.append((first <= places) & (places < first + int(self.size)))
        cut = inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis]
        return np.where(cut[..., np.newaxis], images.dtype.type(0), images)


def augmentations_from(given: Any) -> tuple[Augmentation, ...]:
    """Read what `NumpyCNNClassifier` takes: None, an augmentation or a sequence of them.

    Raises
    ------
    ValueError
        If an item cannot be called, or is a class.
    """
    several = () if given is None else tuple(given) if isinstance(given, list | tuple) else (given,)
    for change in several:
        if isinstance(change, type) or not callable(change):
            hint = f"; write {change.__name__}()" if isinstance(change, type) else ""
            raise ValueError(f"augment must hold callables (images, rng) -> images, got {change!r}{hint}")
    return several


def augment(images: Array, augmentations: Sequence[Augmentation], rng: Rng) -> Array:
    """Apply augmentations in turn.

    Raises
    ------
    ValueError
        If one returns anything but images of the same shape and type.
    """
    for change in augmentations:
        changed = change(images, rng)
        if not isinstance(changed, np.ndarray) or (changed.shape, changed.dtype) != (images.shape, images.dtype):
            got = f"{changed.dtype} of {changed.shape}" if isinstance(changed, np.ndarray) else type(changed).__name__
            raise ValueError(f"augment: {change!r} must return {images.dtype} of {images.shape}, got {got}")
        images = changed
    return np.ascontiguousarray(images)


def _interpolate(images: Array, rows: Array, columns: Array) -> Array:
    """The images at places (n, h, w) between pixels, each the mean of four by their distance; edges are repeated."""
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
