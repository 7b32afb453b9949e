"""OcclusionDisplay: how the probability of a class changes when a part of the image is covered."""

from __future__ import annotations

from math import ceil
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Pair, as_float, is_count, is_number, is_size, pair
from skcnn.inspection._axes import add_colorbar, axes_for, pyplot
from skcnn.inspection._classifier import flat_rows, read_image, require_fitted, without_names

__all__ = ["OcclusionDisplay"]

Array = NDArray[Any]


class OcclusionDisplay:
    """How the probability of a class changes when a patch of the image is covered.

    Use `from_estimator` to create one. Red: the probability falls when a patch centred there is covered, so this part
    of the image speaks for the class. Blue: the probability rises. Signals are drawn as lines.

    Parameters
    ----------
    change : ndarray of shape (rows, columns)
        The change of the probability, in [-1, 1], for each position of the patch.
    image : ndarray of shape (h, w, c)
    probability : float
        The probability for the whole image.
    stride : int
        The pixels between two positions of the patch.
    label : object
        The class.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    heatmap_ : AxesImage
        The changes of the probability.
    image_ : AxesImage or None
        The image. None for signals.
    lines_ : list of Line2D or None
        The signal, one line for each channel. None for images.

    References
    ----------
    Zeiler, Fergus (2014), Visualizing and understanding convolutional networks, section 4.2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.inspection import OcclusionDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=1, random_state=0).fit(X, y)
    >>> OcclusionDisplay.from_estimator(clf, X[0]).change.shape
    (8, 8)
    """

    def __init__(self, change: Array, image: Array, *, probability: float, stride: int, label: Any) -> None:
        self.change = change
        self.image = image
        self.probability = probability
        self.stride = stride
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        class_of_interest: Any = None,
        patch_size: int | Pair | None = None,
        stride: int | None = None,
        fill: float | None = None,
        ax: Any = None,
        cmap: Any = "RdBu",
        alpha: float = 0.6,
        colorbar: bool = True,
    ) -> Self:
        """Cover one patch of an image after the other, predict, and draw the change of a probability.

        Parameters
        ----------
        estimator : NumpyCNNClassifier
            A fitted classifier.
        image : array-like
            A single image of the fitted shape, flat or not, such as ``X[0]``.
        class_of_interest : label or None, default=None
            The class whose probability is drawn. None: the class that is predicted for the image.
        patch_size : int, (int, int) or None, default=None
            The rows and columns of the patch, which is cut off at the sides of the image. A pair must fit the image.
            None: a quarter of the longer side.
        stride : int or None, default=None
            The pixels between two positions of the patch. There is one prediction per position. None: a quarter of the
            patch.
        fill : float or None, default=None
            The value of covered pixels. None: the mean of the image, for each channel.
        ax, cmap, alpha, colorbar
            As in `plot`.

        Returns
        -------
        display : OcclusionDisplay

        Raises
        ------
        TypeError, NotFittedError
            If `estimator` is not a `NumpyCNNClassifier`, or is not fitted. Also if `image` is a path.
        ValueError
            If the image has another shape, or if another argument is invalid.
        ImportError
            If matplotlib is not installed.
        """
        require_fitted(estimator)
        pyplot(cls)
        pixels = read_image(estimator, image)
        patch = _checked_patch(patch_size, pixels.shape[:2])
        step = max(1, max(patch) // 4) if stride is None else stride
        if not is_count(step):
            raise ValueError(f"stride must be an int of at least 1 or None, got {stride!r}")
        before = without_names(estimator.predict_proba, flat_rows(estimator, pixels[np.newaxis]))[0]
        index = _class_index(estimator.classes_, class_of_interest, before)
        value = _fill_value(pixels, fill)
        rows = [
            without_names(estimator.predict_proba, flat_rows(estimator, covered))[:, index]
            for covered in _covered(pixels, patch, int(step), value)
        ]
        change = np.stack(rows) - before[index]
        label = estimator.classes_[index]
        display = cls(change, pixels, probability=float(before[index]), stride=int(step), label=label)
        return display.plot(ax, cmap=cmap, alpha=alpha, colorbar=colorbar)

    def plot(self, ax: Any = None, *, cmap: Any = "RdBu", alpha: float = 0.6, colorbar: bool = True) -> Self:
        """Draw the changes over the image.

        Parameters
        ----------
        ax : Axes or None, default=None
            None: draw in a new figure.
        cmap : str or Colormap, default="RdBu"
            The colours of the changes, where its middle is 0.
        alpha : float in [0, 1], default=0.6
            The opacity of the changes.
        colorbar : bool, default=True
            Whether to add a colorbar.

        Returns
        -------
        self : OcclusionDisplay
        """
        self.ax_ = axes_for(type(self), ax)
        self.figure_ = self.ax_.figure
        self.ax_.set_title(f"probability of {self.label}: {self.probability:.3f}", fontsize="medium")
        self.image_ = self.lines_ = None
        h, w, _ = self.image.shape
        limits = (-0.5, w - 0.5, h - 0.5, -0.5)
        if h == 1:
            self.lines_ = self.ax_.plot(np.arange(w), self.image[0], zorder=2)
            limits = (-0.5, w - 0.5, *self.ax_.get_ylim())
            self.ax_.set_xlabel("position")
        else:
            self.image_ = self.ax_.imshow(self.image.mean(axis=-1), cmap="gray")
        # the cells cover `stride` pixels each, so the last ones may reach beyond the image
        rows, columns = (n * self.stride for n in self.change.shape)
        extent = (-0.5, columns - 0.5, *(limits[2:] if h == 1 else (rows - 0.5, -0.5)))
        largest = float(np.abs(self.change).max()) or 1.0
        style = {"cmap": cmap, "vmin": -largest, "vmax": largest, "alpha": alpha, "interpolation": "nearest"}
        aspect = "auto" if h == 1 else "equal"
        self.heatmap_ = self.ax_.imshow(self.change, extent=extent, aspect=aspect, zorder=1, **style)
        self.ax_.set(xlim=limits[:2], ylim=limits[2:])
        if colorbar:
            label = f"change of the probability of {self.label}"
            add_colorbar(self.heatmap_, label, is_own_figure=ax is None and h > 1)
        return self


def _checked_patch(patch_size: Any, shape: tuple[int, ...]) -> Pair:
    """Return the rows and columns of the patch."""
    h, w = shape
    size = max(1, max(h, w) // 4) if patch_size is None else patch_size
    if not is_size(size):
        raise ValueError(f"patch_size must be an int, a pair (rows, columns) of ints or None, got {patch_size!r}")
    rows, columns = pair(size)
    if isinstance(size, tuple) and (rows > h or columns > w):
        raise ValueError(f"patch_size={patch_size} does not fit the image of {h}x{w} pixels")
    return rows, columns


def _class_index(classes: Array, label: Any, probabilities: Array) -> int:
    if label is None:
        return int(probabilities.argmax())
    found = np.flatnonzero(classes == label)
    if not len(found):
        raise ValueError(f"class_of_interest={label!r} must be one of the classes {classes.tolist()}")
    return int(found[0])


def _fill_value(image: Array, fill: Any) -> Array:
    """Return the value of covered pixels, for each channel."""
    if fill is not None and not is_number(fill):
        raise ValueError(f"fill must be a finite number or None, got {fill!r}")
    value = image.mean(axis=(0, 1)) if fill is None else np.full(image.shape[-1], as_float(fill))
    return (np.rint(value) if image.dtype.kind in "biu" else value).astype(image.dtype)


def _covered(image: Array, patch: Pair, stride: int, value: Array) -> Any:
    """Yield copies of the image with a patch covered, (columns, h, w, c) for each row of positions."""
    h, w, _ = image.shape
    for top, bottom in _ranges(h, patch[0], stride):
        ranges = _ranges(w, patch[1], stride)
        copies = np.repeat(image[np.newaxis], len(ranges), axis=0)
        for copy, (left, right) in zip(copies, ranges, strict=True):
            copy[top:bottom, left:right] = value
        yield copies


def _ranges(length: int, size: int, stride: int) -> list[tuple[int, int]]:
    """Return the start and the end of each position of a patch. Patches at the sides are cut off."""
    centers = (min(i * stride + stride // 2, length - 1) for i in range(ceil(length / stride)))
    return [(max(0, center - size // 2), center - size // 2 + size) for center in centers]
