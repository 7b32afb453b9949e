"""Many small images, or signals, in one picture."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_images", "draw_signals", "n_columns_for"]

Array = NDArray[Any]
TILES_PER_GAP = 14  # a gap is this fraction of a tile, but at least one pixel


def n_columns_for(n: int, aspect: float) -> int:
    """Return the number of columns for n tiles, so that the picture is about square and the last row is full if it can.

    Examples
    --------
    >>> [n_columns_for(n, 1.0) for n in (1, 6, 7, 16, 32, 64)]
    [1, 3, 3, 4, 8, 8]
    """
    least = min(n, max(1, ceil(sqrt(n * aspect))))
    return next((columns for columns in range(least, 2 * least) if n % columns == 0), least)


def draw_images(ax: Any, images: Array, **style: Any) -> Any:
    """Draw images (n, h, w, c), with c of 1 or 3, side by side in rows, and return the artist.

    The numbers at the left are the indices of the first image in each row. Those below are to be added.
    """
    n, h, w, c = images.shape
    gap = max(1, max(h, w) // TILES_PER_GAP)
    n_columns = n_columns_for(n, h / w)
    n_rows = ceil(n / n_columns)
    empty = np.nan if c == 1 else 1.0  # a colour has no NaN
    whole = np.full((n_rows * n_columns, h + gap, w + gap, c), empty)
    whole[:n, :h, :w] = images
    whole = whole.reshape(n_rows, n_columns, h + gap, w + gap, c).transpose(0, 2, 1, 3, 4)
    whole = whole.reshape(n_rows * (h + gap), n_columns * (w + gap), c)[:-gap, :-gap]
    artist = ax.imshow(whole[..., 0] if c == 1 else whole, interpolation="nearest", **style)
    ax.set_xticks((w - 1) / 2 + np.arange(n_columns) * (w + gap), np.arange(n_columns))
    ax.set_yticks((h - 1) / 2 + np.arange(n_rows) * (h + gap), np.arange(n_rows) * n_columns)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return artist


def draw_signals(ax: Any, signals: Array) -> list[Any]:
    """Draw signals (n, p, c) as lines, one signal below the other, and return the lines. Channels have colours."""
    n, p, c = signals.shape
    largest = np.abs(signals).max(initial=0)
    scaled = signals / (2.2 * largest if largest else 1.0)  # neighbours do not overlap
    lines = []
    for index, signal in enumerate(scaled):
        ax.axhline(index, color="0.8", linewidth=0.5)
        for channel in range(c):
            lines += ax.plot(np.arange(p), index - signal[:, channel], color=f"C{channel}", linewidth=1)
    ax.set_yticks(np.arange(n), np.arange(n))
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_xlabel("position")
    ax.xaxis.get_major_locator().set_params(integer=True)
    return lines
