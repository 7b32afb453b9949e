"""Dropout: in training, random elements are set to 0, so that no element relies on another one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Rng, Shape, require_map

__all__ = ["Dropout", "SpatialDropout2D"]

LEVELS = 2**16


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training, set each element to 0 with probability `rate`, and divide the others by 1 - `rate`.

    This keeps the expected value, so in prediction the layer is the identity.

    Parameters
    ----------
    rate : float in [0, 1), default=0.5
        It is rounded to a multiple of 2**-16.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), Dropout: A simple way to prevent neural networks
    from overfitting.

    Examples
    --------
    >>> import numpy as np
    >>> Dropout(0.5).apply({}, np.ones((1, 6)), Context(train=True, rng=np.random.default_rng(3)))
    array([[2., 2., 0., 0., 2., 0.]])
    """

    always_shown = ("rate",)
    draws = True

    rate: float = 0.5

    def __post_init__(self) -> None:
        self._check_number("rate", 0, 1)

    def forward(self, params: Params, x: Array, context: Context = PREDICT) -> Forward:
        if not context.train or not self.rate:
            return x, None
        if context.rng is None:
            raise ValueError(
                "needs a random generator in training: pass Context(train=True, rng=np.random.default_rng())"
            )
        dropped = min(round(self.rate * LEVELS), LEVELS - 1)
        kept = _levels(self._mask_shape(x.shape), context.rng) >= dropped
        factors = kept / x.dtype.type(1 - dropped / LEVELS)
        return x * factors, factors

    def backward(self, params: Params, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        return d_out if cache is None else d_out * cache, {}

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True, repr=False)
class SpatialDropout2D(Dropout):
    """Dropout of whole channels.

    Neighbouring pixels of a feature map are similar, so dropping single pixels would hide little from the next layer.

    Parameters
    ----------
    rate : float in [0, 1), default=0.5

    Shape
    -----
    in and out (h, w, c).

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler (2015), Efficient object localization using convolutional networks.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((1, 2, 2, 6))
    >>> out = SpatialDropout2D(0.5).apply({}, x, Context(train=True, rng=np.random.default_rng(3)))
    >>> out[0, :, :, 1], out[0, :, :, 2]
    (array([[2., 2.],
           [2., 2.]]), array([[0., 0.],
           [0., 0.]]))
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        require_map(in_shape)
        return in_shape

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1, shape[3]


def _levels(shape: Shape, rng: Rng) -> Array:
    """Return random numbers from 0 to LEVELS - 1.

    Four of them are drawn at once, which takes a quarter of the time of drawing floats.
    """
    n = prod(shape)
    drawn = rng.integers(2**64 - 1, size=-(-n // 4), dtype=np.uint64, endpoint=True)
    return drawn.view(np.uint16)[:n].reshape(shape)
