"""KernelsDisplay: the kernels of a convolution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skcnn._values import is_count
from skcnn.inspection._axes import add_colorbar, axes_for, pyplot
from skcnn.inspection._classifier import require_fitted
from skcnn.inspection._tiles import draw_images, draw_signals
from skcnn.layers.base import Layer, Params
from skcnn.layers.path import LayerIndex, describe, inner_layers, path_to
from skcnn.network import Network

__all__ = ["KernelsDisplay"]

Array = NDArray[Any]
RGB = 3


class KernelsDisplay:
    """The kernels of a convolution, side by side.

    Use `from_estimator` to create one. Kernels for colour images are drawn in colour, where grey is 0. Other kernels
    are drawn from blue (negative) over white (0) to red (positive), and those for signals as lines. All kernels have
    the same scale.

    Parameters
    ----------
    kernels : ndarray of shape (k, rows, columns, c)
        c is 1, or 3 for colours. For signals, `rows` is 1 and c is any number.
    title : str, default=""
    is_signal : bool, default=False
        Whether the kernels are drawn as lines.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure
    image_ : AxesImage or None
        None for signals.
    lines_ : list of Line2D or None
        One line for each kernel and channel. None for images.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skcnn import NumpyCNNClassifier
    >>> from skcnn.inspection import KernelsDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = NumpyCNNClassifier(max_iter=1, random_state=0).fit(X, y)
    >>> KernelsDisplay.from_estimator(clf).kernels.shape
    (16, 3, 3, 1)
    """

    def __init__(self, kernels: Array, *, title: str = "", is_signal: bool = False) -> None:
        self.kernels = kernels
        self.title = title
        self.is_signal = is_signal

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: LayerIndex | None = None,
        channel: int | None = None,
        max_kernels: int = 64,
        ax: Any = None,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
    ) -> Self:
        """Draw kernels of a fitted classifier.

        Parameters
        ----------
        estimator : NumpyCNNClassifier
            A fitted classifier.
        layer : int, tuple of int or None, default=None
            The index of a convolution in ``network_.layers``, or its position inside `Sequential` or `Residual`, as in
            `NumpyCNNClassifier.activations`. None: the first convolution.
        channel : int or None, default=None
            Draw the weights for this channel of the layer's input only. None: the weights for all channels, if they can
            be drawn in one picture: if there is one channel, or if the first layer is applied to colour images or to
            signals. Otherwise, the weights for channel 0.
        max_kernels : int, default=64
            Draw at most this many.
        ax, cmap, colorbar
            As in `plot`.

        Returns
        -------
        display : KernelsDisplay

        Raises
        ------
        TypeError, NotFittedError
            If `estimator` is not a `NumpyCNNClassifier`, or is not fitted.
        ValueError, IndexError
            If the layer is not a convolution, or does not exist. Also if it has no such channel.
        ImportError
            If matplotlib is not installed.
        """
        require_fitted(estimator)
        pyplot(cls)
        if not is_count(max_kernels):
            raise ValueError(f"max_kernels must be an int of at least 1, got {max_kernels!r}")
        path, W = _convolution(estimator.network_, layer)
        is_signal = estimator.image_shape_[0] == 1 and W.shape[0] == 1
        n_channels, n_kernels = W.shape[2:]
        whole = n_channels == 1 or (not any(path) and (is_signal or n_channels == RGB))
        title = describe(estimator.network_.layers, path)
        if channel is not None or not whole:
            chosen = _checked_channel(0 if channel is None else channel, n_channels)
            W = W[:, :, chosen : chosen + 1]
            title += f"\nchannel {chosen} of {n_channels}"
        if n_kernels > max_kernels:
            title += f"\n{max_kernels} of {n_kernels} kernels"
        kernels = np.moveaxis(W, -1, 0)[:max_kernels]
        return cls(kernels, title=title, is_signal=is_signal).plot(ax, cmap=cmap, colorbar=colorbar)

    def plot(self, ax: Any = None, *, cmap: Any = "RdBu_r", colorbar: bool = True) -> Self:
        """Draw the kernels.

        Parameters
        ----------
        ax : Axes or None, default=None
            None: draw in a new figure.
        cmap : str or Colormap, default="RdBu_r"
            The colours of weights, where its middle is 0. It has no effect on colour images and signals.
        colorbar : bool, default=True
            Whether to add a colorbar, if `cmap` has an effect.

        Returns
        -------
        self : KernelsDisplay
        """
        self.ax_ = axes_for(type(self), ax)
        self.figure_ = self.ax_.figure
        self.ax_.set_title(self.title, fontsize="medium")
        self.image_ = self.lines_ = None
        if self.is_signal:
            self.lines_ = draw_signals(self.ax_, self.kernels[:, 0])
            return self
        largest = float(np.abs(self.kernels).max()) or 1.0
        if self.kernels.shape[-1] == RGB:
            self.image_ = draw_images(self.ax_, 0.5 + self.kernels / (2 * largest))
            return self
        self.ax_.set_facecolor("0.8")  # of the gaps, because 0 is white
        self.image_ = draw_images(self.ax_, self.kernels, cmap=cmap, vmin=-largest, vmax=largest)
        if colorbar:
            add_colorbar(self.image_, "weight", is_own_figure=ax is None)
        return self


def _convolution(network: Network, layer: LayerIndex | None) -> tuple[tuple[int, ...], Array]:
    """Return the path of a convolution and its kernels (rows, columns, channels, k)."""
    found = dict(_convolutions(network.layers, {str(i): params for i, params in enumerate(network.params)}))
    if not found:
        raise ValueError("the network has no convolutions, so there are no kernels to draw")
    path = next(iter(found)) if layer is None else path_to(network.layers, layer)
    if path not in found:
        convolutions = ", ".join(str(path if len(path) > 1 else path[0]) for path in found)
        raise ValueError(
            f"layer={layer!r} must be a convolution, got {describe(network.layers, path)}; the convolutions are "
            f"{convolutions}"
        )
    return path, found[path]


def _convolutions(layers: Sequence[Layer], params: Params) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield the path and the kernels of each convolution. A layer of your own is one if its `W` has four axes."""
    for index, layer in enumerate(layers):
        own = params.get(str(index), {})
        if "W" in own and np.ndim(own["W"]) == 4:
            yield (index,), own["W"]
        for path, W in _convolutions(inner_layers(layer), own):
            yield (index, *path), W


def _checked_channel(channel: Any, n_channels: int) -> int:
    if not is_count(channel, 0) or channel >= n_channels:
        raise ValueError(f"channel must be an int from 0 to {n_channels - 1}, got {channel!r}")
    return int(channel)
