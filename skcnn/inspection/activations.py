"""ActivationsDisplay: the feature maps of a layer for an image."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skcnn._values import is_count, times
from skcnn.inspection._axes import add_colorbar, axes_for, pyplot
from skcnn.inspection._classifier import flat_rows, read_image, require_fitted, without_names
from skcnn.inspection._tiles import draw_images, draw_signals
from skcnn.layers.path import LayerIndex, describe, path_to

__all__ = ["ActivationsDisplay"]

Array = NDArray[Any]


class ActivationsDisplay:
    """The feature maps of a layer for an image, side by side.

    Use `from_estimator` to create one. All maps have the same scale. Those of signals are drawn as lines.

    Parameters
    ----------
    maps : ndarray of shape (k, h, w)
    title : str, default=""
    is_signal : bool, default=False
        Whether the maps, which then have a single row, are drawn as lines.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    image_ : AxesImage or None
        None for signals.
    lines_ : list of Line2D or None
        One line for each map. None for images.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.inspection import ActivationsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=1, random_state=0).fit(X, y)
    >>> ActivationsDisplay.from_estimator(clf, X[0], layer=1).maps.shape
    (16, 8, 8)
    """

    def __init__(self, maps: Array, *, title: str = "", is_signal: bool = False) -> None:
        self.maps = maps
        self.title = title
        self.is_signal = is_signal

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        layer: LayerIndex = 0,
        max_maps: int = 64,
        ax: Any = None,
        cmap: Any = "viridis",
        colorbar: bool = True,
    ) -> Self:
        """Draw the feature maps of a fitted classifier.

        Parameters
        ----------
        estimator : NumpyCNNClassifier
            A fitted classifier.
        image : array-like
            A single image of the fitted shape, flat or not, such as ``X[0]``.
        layer : int or tuple of int, default=0
            The index of the layer in ``network_.layers``, or its position inside `Sequential` or `Residual`, as in
            `NumpyCNNClassifier.activations`. It must be in front of `Flatten` or a global pool.
        max_maps : int, default=64
            Draw at most this many.
        ax, cmap, colorbar
            As in `plot`.

        Returns
        -------
        display : ActivationsDisplay

        Raises
        ------
        TypeError, NotFittedError
            If `estimator` is not a `NumpyCNNClassifier`, or is not fitted. Also if `image` is a path.
        ValueError, IndexError
            If the image has another shape, or if the layer has no feature maps or does not exist.
        ImportError
            If matplotlib is not installed.
        """
        require_fitted(estimator)
        pyplot(cls)
        if not is_count(max_maps):
            raise ValueError(f"max_maps must be an int of at least 1, got {max_maps!r}")
        network = estimator.network_
        name, shape = describe(network.layers, path_to(network.layers, layer)), network.up_to(layer).shapes[-1]
        if len(shape) != 3:
            raise ValueError(
                f"layer={layer!r} must return feature maps, but {name} returns rows of {times(shape)}; choose "
                "a layer before it"
            )
        rows = flat_rows(estimator, read_image(estimator, image)[np.newaxis])
        maps = np.moveaxis(without_names(estimator.activations, rows, layer=layer)[0], -1, 0)
        title = f"{name}, {times(maps.shape[1:])}"
        if len(maps) > max_maps:
            title += f"\n{max_maps} of {len(maps)} feature maps"
        display = cls(maps[:max_maps], title=title, is_signal=estimator.image_shape_[0] == 1)
        return display.plot(ax, cmap=cmap, colorbar=colorbar)

    def plot(self, ax: Any = None, *, cmap: Any = "viridis", colorbar: bool = True) -> Self:
        """Draw the feature maps.

        Parameters
        ----------
        ax : Axes or None, default=None
            None: draw in a new figure.
        cmap : str or Colormap, default="viridis"
            The colours. It has no effect on signals.
        colorbar : bool, default=True
            Whether to add a colorbar, if `cmap` has an effect.

        Returns
        -------
        self : ActivationsDisplay
        """
        self.ax_ = axes_for(type(self), ax)
        self.figure_ = self.ax_.figure
        self.ax_.set_title(self.title, fontsize="medium")
        self.image_ = self.lines_ = None
        if self.is_signal:
            self.lines_ = draw_signals(self.ax_, self.maps[:, 0, :, np.newaxis])
            return self
        self.image_ = draw_images(self.ax_, self.maps[..., np.newaxis], cmap=cmap)
        if colorbar:
            add_colorbar(self.image_, "activation", is_own_figure=ax is None)
        return self
