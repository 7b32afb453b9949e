"""Reading images: some rows of X, converted and scaled in one pass."""

from __future__ import annotations

from typing import Any

from numba import uintp

from skcnn._kernels.compiled.compiler import compiled

__all__ = ["read"]


@compiled
def read(pixels: Any, indices: Any, center: float, width: float, out: Any) -> None:
    """Write (x - center) / width to out (n, p), for the rows at the indices (n,) of X, which is given as flat pixels.

    The operations are those of `skcnn._estimator.images.ImageFormat.read`, so the results are the same, bit for bit.
    """
    of, p, target = out.dtype.type, out.shape[1], out.reshape(-1)
    shift, scale = of(center), of(width)
    for row in range(indices.size):
        if indices[row] < 0 or indices[row] >= pixels.size // p:
            raise IndexError("no image has this index")
        start, source = uintp(row * p), uintp(indices[row] * p)
        for e in range(uintp(p)):
            target[start + e] = (of(pixels[source + e]) - shift) / scale
