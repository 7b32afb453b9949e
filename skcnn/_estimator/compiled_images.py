"""Images that a compiled kernel reads in one pass, for ``backend="numba"``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._caching import cached_property
from skcnn._estimator.images import ImageFormat, Images

__all__ = ["CompiledImages", "images_for"]

Array = NDArray[Any]
DTYPES = tuple(map(np.dtype, (np.uint8, np.float32, np.float64)))  # of X, in the byte order of the machine


def images_for(X: Array, image_format: ImageFormat, backend: str) -> Images:
    """Return rows of X as images, which are the same, bit for bit, with each backend."""
    is_compiled = backend == "numba" and _is_plain(X) and _is_simple(image_format, X.dtype)
    return (CompiledImages if is_compiled else Images)(X, image_format)


def _is_plain(X: Array) -> bool:
    return type(X) is np.ndarray and X.flags.c_contiguous and X.flags.aligned and X.dtype in DTYPES


def _is_simple(image_format: ImageFormat, dtype: np.dtype[Any]) -> bool:
    """Return whether all pixels are scaled alike, in the dtype of the images, and stay in their order."""
    center, width = image_format.scale_of(dtype)
    is_one_scale = center.ndim == width.ndim == 0
    return is_one_scale and center.dtype == image_format.dtype and image_format.data_format == "channels_last"


@dataclass(frozen=True, eq=False)
class CompiledImages(Images):
    """Images whose rows are plain, and whose format is simple."""

    @cached_property
    def _pixels(self) -> Array:
        pixels = self.X.reshape(-1)
        pixels.flags.writeable = False  # of this view only: so the kernel is not compiled anew if X is read-only
        return pixels

    def __getitem__(self, indices: slice | Array) -> Array:
        from skcnn._kernels.compiled.images import read  # imported here, because it imports numba

        rows = np.arange(*indices.indices(len(self.X))) if isinstance(indices, slice) else np.array(indices, np.intp)
        center, width = self._scale
        images = np.empty((len(rows), self.X.shape[1]), self.format.dtype)
        read(self._pixels, rows, float(center), float(width), images)
        return images.reshape(-1, *self.format.shape)
