"""What compiled kernels receive: plain arrays, and what follows a convolution. Importing this imports no numba."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skcnn.layers.base import Array, Shape
from skcnn.layers.pool import MaxPool2D, MinPool2D

__all__ = ["NOTHING_AFTER", "After", "plain"]

NO_WINDOW = (0, 0, 0, 0, 0)


class After(NamedTuple):
    """What follows a convolution or batch normalisation."""

    relu: bool
    pool: MaxPool2D | MinPool2D | None

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.pool.out_shape(in_shape) if self.pool else in_shape

    def winners(self, out: Array) -> Array:
        """Return memory for the winners of the pool."""
        return np.empty(out.shape if self.pool else (0, 0, 0, 0), np.uint8)

    def window(self) -> tuple[int, int, int, int, int]:
        """Return how the pool moves and what it keeps, see `skcnn._kernels.compiled.convolution`."""
        if self.pool is None:
            return NO_WINDOW
        size, stride = self.pool.windows()
        return (*size, *stride, 1 if isinstance(self.pool, MaxPool2D) else -1)


NOTHING_AFTER = After(False, None)


def plain(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return x itself, or a writable and contiguous copy of a dtype, so that no kernel is compiled anew for it."""
    return x if type(x) is np.ndarray and x.flags.carray and x.dtype == dtype else np.array(x, dtype, order="C")
