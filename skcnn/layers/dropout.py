"""Dropout: numbers that are left out at random in training, so that none relies on another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Rng, Shape, require_map

__all__ = ["Dropout", "SpatialDropout2D"]


@dataclass(frozen=True, repr=False)
class Dropout(Layer):
    """In training, set each number to 0 with probability `rate`, and divide the others by 1 - `rate`.

    So the expected value stays, and nothing is left to do in prediction.

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
    >>> out, _ = Dropout(0.5).forward({}, np.ones((1, 6)), train=True, rng=np.random.default_rng(0))
    >>> out
    array([[2., 2., 2., 0., 0., 0.]])
    """

    always_shown = ("rate",)
    is_random = True

    rate: float = 0.5

    def __post_init__(self) -> None:
        self._check_number("rate", 0, 1)

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        if not train or not self.rate:
            return x, None
        assert rng is not None
        # always in float32, so that the same numbers are left out in any precision
        kept = rng.random(self._mask_shape(x.shape), dtype=np.float32) >= self.rate
        factors = kept / x.dtype.type(1 - self.rate)
        return x * factors, factors

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        return d_out if cache is None else d_out * cache, {}

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape


@dataclass(frozen=True, repr=False)
class SpatialDropout2D(Dropout):
    """Dropout of whole channels: neighbouring pixels of a map tell the same, so leaving out some of them hides little.

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
    >>> out, _ = SpatialDropout2D(0.5).forward({}, x, train=True, rng=np.random.default_rng(0))
    >>> out[0, :, :, 2], out[0, :, :, 3]
    (array([[2., 2.],
           [2., 2.]]), array([[0., 0.],
           [0., 0.]]))
    """

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        require_map(in_shape)
        return {}, in_shape

    def _mask_shape(self, shape: Shape) -> Shape:
        return shape[0], 1, 1, shape[3]
