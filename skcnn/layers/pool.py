"""Pooling: one element for each window of a feature map, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skcnn._kernels.feature_maps import output_size
from skcnn._kernels.pooling import pool, pool_extremum, unpool_extremum, unpool_mean
from skcnn._values import Pair, pair, times
from skcnn.layers.base import (
    PREDICT,
    TRAIN,
    Array,
    Backward,
    Context,
    Forward,
    Layer,
    Params,
    Shape,
    Window,
    require_map,
)

__all__ = ["AvgPool2D", "GlobalAvgPool2D", "GlobalMaxPool2D", "MaxPool2D", "MinPool2D"]


@dataclass(frozen=True, repr=False)
class _Pool2D(Layer):
    """Base class of the pools that slide a window."""

    always_shown = ("pool_size",)

    pool_size: int | Pair = 2
    stride: int | Pair | None = None

    def __post_init__(self) -> None:
        self._check_size("pool_size")
        if self.stride is not None:
            self._check_size("stride")

    def windows(self) -> Window:
        return pair(self.pool_size), pair(self.pool_size if self.stride is None else self.stride)

    def out_shape(self, in_shape: Shape) -> Shape:
        require_map(in_shape)
        size, stride = self.windows()
        if size[0] > in_shape[0] or size[1] > in_shape[1]:
            raise ValueError(f"window {times(size)} does not fit the {times(in_shape[:2])} feature map")
        oh, ow = (output_size(in_shape[axis], size[axis], stride[axis]) for axis in (0, 1))
        return oh, ow, in_shape[2]

    def window(self, in_shape: Shape) -> Window | None:
        return self.windows()


@dataclass(frozen=True, repr=False)
class _ExtremumPool2D(_Pool2D):
    """Base class of the pools that keep the largest or smallest pixel of each window, according to `extremum`."""

    extremum: ClassVar[np.ufunc]

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        if not context.train:
            return pool(x, *self.windows(), self.extremum), None
        return pool_extremum(x, *self.windows(), self.extremum)

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return unpool_extremum(d_out, cache, *self.windows()) if context.need_d_x else None, {}


@dataclass(frozen=True, repr=False)
class MaxPool2D(_ExtremumPool2D):
    """Keep the largest pixel of each window.

    If several pixels are equal, the first one in row order wins: only this pixel receives the gradient.

    Parameters
    ----------
    pool_size : int or (int, int), default=2
        Rows and columns of the window.
    stride : int or (int, int), default=None
        Distance from one window to the next. None: the size of the window, so that the windows neither overlap nor
        leave gaps.

    Shape
    -----
    in (h, w, c), out (oh, ow, c) with oh = floor((h - ph) / sh) + 1. Rows and columns that do not fill a window are
    ignored.

    Raises
    ------
    ValueError
        On creation, if a field is out of range. In `out_shape`, if the window is larger than the feature map.

    Examples
    --------
    >>> import numpy as np
    >>> MaxPool2D(2).apply({}, np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """

    extremum = np.maximum


@dataclass(frozen=True, repr=False)
class MinPool2D(_ExtremumPool2D):
    """Keep the smallest pixel of each window; parameters, shape and ties as in `MaxPool2D`.

    Examples
    --------
    >>> import numpy as np
    >>> MinPool2D(2).apply({}, np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 0.,  2.],
           [ 8., 10.]])
    """

    extremum = np.minimum


@dataclass(frozen=True, repr=False)
class AvgPool2D(_Pool2D):
    """Take the mean of each window; parameters and shape as in `MaxPool2D`.

    Examples
    --------
    >>> import numpy as np
    >>> AvgPool2D(2).apply({}, np.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        size, stride = self.windows()
        out = pool(x, size, stride, np.add)
        out /= size[0] * size[1]
        return out, x.shape if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return unpool_mean(cache, d_out, *self.windows()) if context.need_d_x else None, {}


@dataclass(frozen=True, repr=False)
class _GlobalPool2D(Layer):
    """Base class of the global pools, which return one element per channel."""

    def out_shape(self, in_shape: Shape) -> Shape:
        require_map(in_shape)
        return in_shape[2:]

    def window(self, in_shape: Shape) -> Window | None:
        return None


@dataclass(frozen=True, repr=False)
class GlobalAvgPool2D(_GlobalPool2D):
    """Take the mean of each channel over the whole feature map.

    Shape
    -----
    in (h, w, c), out (c,).

    Examples
    --------
    >>> import numpy as np
    >>> GlobalAvgPool2D().apply({}, np.arange(16.0).reshape(1, 4, 4, 1))
    array([[7.5]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        # NumPy adds one element after another along these axes, which in float32 loses digits on large feature maps
        return x.mean(axis=(1, 2), dtype=np.float64).astype(x.dtype, copy=False), x.shape if context.train else None

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        n, h, w, c = cache
        share = (d_out / (h * w)).reshape(n, 1, 1, c)
        return np.broadcast_to(share, cache).copy(), {}


@dataclass(frozen=True, repr=False)
class GlobalMaxPool2D(_GlobalPool2D):
    """Keep the largest pixel of each channel. If several pixels are equal, the first one in row order wins.

    Shape
    -----
    in (h, w, c), out (c,).

    Examples
    --------
    >>> import numpy as np
    >>> GlobalMaxPool2D().apply({}, np.arange(16.0).reshape(1, 4, 4, 1))
    array([[15.]])
    """

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        pixels = x.reshape(len(x), -1, x.shape[3])
        if not context.train:
            return pixels.max(axis=1), None
        winners = pixels.argmax(axis=1)[:, np.newaxis]
        return np.take_along_axis(pixels, winners, axis=1)[:, 0], (winners, x.shape)

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        winners, in_shape = cache
        d_x = np.zeros((in_shape[0], in_shape[1] * in_shape[2], in_shape[3]), dtype=d_out.dtype)
        np.put_along_axis(d_x, winners, d_out[:, np.newaxis], axis=1)
        return d_x.reshape(in_shape), {}
