"""Dropout: in training, random elements are set to 0, so that no element relies on another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcnn.layers.base import PREDICT, TRAIN, Array, Backward, Context, Forward, Layer, Params, Shape, require_map

__all__ = ["Dropout", "SpatialDropout2D"]


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training, set each element to 0 with probability `rate`, and divide the others by 1 - `rate`.

    This keeps the expected value, so in prediction the layer is the identity.

    Parameters
    ----------
    rate : float in [0, 1), default=0.5

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), Dropout: A simple way to prevent neural networks
    from overfitting.

    Examples
    --------
    >>> import numpy as np
    >>> Dropout(0.5).apply({}, np.ones((1, 6)), Context(train=True, rng=np.random.default_rng(0)))
    array([[2., 2., 2., 0., 0., 0.]])
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
        # always drawn in float32, so that the same elements are set to 0 in any precision
        kept = context.rng.random(self._mask_shape(x.shape), dtype=np.float32) >= self.rate
        factors = kept / x.dtype.type(1 - self.rate)
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
    >>> out = SpatialDropout2D(0.5).apply({}, x, Context(train=True, rng=np.random.default_rng(0)))
    >>> out[0, :, :, 2], out[0, :, :, 3]
    (array([[2., 2.],
           [2., 2.]]), array([[0., 0.],
           [0., 0.]]))
    """

    def out_shape(self, in_shape: Shape) -> Shape:
        require_map(in_shape)
        return in_shape

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1, shape[3]
