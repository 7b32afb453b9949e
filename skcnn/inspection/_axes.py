"""The axes that a display draws on. Only this module imports matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["add_colorbar", "axes_for", "pyplot", "stacked_axes_for"]

TITLE, COLORBAR = 0.6, 1.6  # inches above and below an image, and beside it
RATIOS = 0.5, 1.3  # the lowest and the highest image, compared with its width, that a figure is made for


def pyplot(display: type) -> Any:
    """Return `matplotlib.pyplot`. Raise ImportError if it is not installed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{display.__name__} needs matplotlib: pip install "skcnn[plots]" ({error})') from error
    return plt


def axes_for(display: type, ax: Any) -> Any:
    """Return `ax`, or the axes of a new figure if it is None."""
    plt = pyplot(display)
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def add_colorbar(image: Any, label: str, *, is_own_figure: bool) -> None:
    """Add a colorbar beside an image.

    If the figure is our own, it gets the shape of the image. Then the image and the colorbar are equally high.
    """
    ax = image.axes
    if is_own_figure:
        left, right, bottom, top = image.get_extent()
        width, _ = ax.figure.get_size_inches()
        ratio = np.clip(abs((top - bottom) / (right - left)), *RATIOS)
        ax.figure.set_size_inches(width, TITLE + ratio * (width - COLORBAR))
    ax.figure.colorbar(image, ax=ax, label=label)


def stacked_axes_for(display: type, ax: Any, n_axes: int) -> Any:
    """Return an array of axes that share the x-axis, one below the other.

    Parameters
    ----------
    display : type
        The class that draws.
    ax : Axes, sequence of Axes or None
        None: the axes are in a new figure. A single object is replaced by the axes. A sequence is returned as it is.
    n_axes : int
        How many are needed.
    """
    plt = pyplot(display)
    if ax is None:
        size = (6.4, 1 + 1.9 * n_axes)
        return plt.subplots(n_axes, sharex=True, squeeze=False, layout="constrained", figsize=size)[1][:, 0]
    if isinstance(ax, Sequence | np.ndarray):
        if np.shape(ax) != (n_axes,):
            raise ValueError(f"ax must be one Axes or a sequence of {n_axes}, got an array of shape {np.shape(ax)}")
        return np.asarray(ax)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(f"ax must be from plt.subplots, which can be divided, or a sequence of {n_axes} Axes")
    ax.set_axis_off()
    return place.subgridspec(n_axes, 1).subplots(sharex=True, squeeze=False)[:, 0]
