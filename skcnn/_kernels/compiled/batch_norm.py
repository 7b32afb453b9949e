"""Batch normalisation in training, with the ReLU and pool after it.

The sums over the batch are exchanged between the shards, so each pass is cut where they are needed. Each image is added
up by itself first, because long sums lose digits. `weight` has one number for each image, or is empty if all are 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, uintp

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.epilogue import finish, finish_pool, start_back, start_back_pool
from skcnn._kernels.compiled.runs import clear_run

__all__ = ["add_gradient_sums", "add_squares", "add_sums", "normalise", "to_gradients"]


@compiled
def add_sums(x: Any, weight: Any, sums: Any) -> None:
    """Add the weighted sums over all pixels of x (n, h, w, c) to sums (c,)."""
    c, pixels = x.shape[3], x.reshape(-1)
    of_image = np.empty(c, x.dtype)
    for image in range(x.shape[0]):
        clear_run(of_image, 0, c)
        for pixel in range(x.shape[1] * x.shape[2]):
            i = uintp((image * x.shape[1] * x.shape[2] + pixel) * c)
            for e in range(uintp(c)):
                of_image[e] += pixels[i + e]
        _add(of_image, weight, image, sums)


@compiled
def add_squares(x: Any, mean: Any, weight: Any, sums: Any) -> None:
    """Add the weighted sums of (x - mean)^2 over all pixels to sums (c,)."""
    c, pixels = x.shape[3], x.reshape(-1)
    of_image = np.empty(c, x.dtype)
    for image in range(x.shape[0]):
        clear_run(of_image, 0, c)
        for pixel in range(x.shape[1] * x.shape[2]):
            i = uintp((image * x.shape[1] * x.shape[2] + pixel) * c)
            for e in range(uintp(c)):
                centred = pixels[i + e] - mean[e]
                of_image[e] += centred * centred
        _add(of_image, weight, image, sums)


@compiled
def normalise(x: Any, affine: Any, relu: bool, window: Any, out: Any, winners: Any) -> None:
    """Normalise x by `affine`, see `skcnn._kernels.compiled.epilogue`, then apply ReLU and the pool."""
    if window[0] > 0:
        finish_pool(x, window, relu, affine, out, winners, int64(0))
    else:
        finish(x, affine, relu, out, int64(0))


@compiled
def add_gradient_sums(
    d_out: Any, out: Any, winners: Any, relu: bool, window: Any, x: Any, mean: Any, d_x: Any, d_shift: Any, d_scale: Any
) -> None:
    """Write the gradient before ReLU and pool to d_x, and add its sums, and those of its products with x - mean."""
    c, pixels, gradients = x.shape[3], x.reshape(-1), d_x.reshape(-1)
    size = x.shape[1] * x.shape[2]
    shift, scale, no_weight = np.empty(c, x.dtype), np.empty(c, x.dtype), np.empty(0, x.dtype)
    for image in range(x.shape[0]):
        part = d_x[image : image + 1]
        if window[0] > 0:
            start_back_pool(d_out, winners, image, window, part)
        else:
            start_back(d_out, out, image, relu, part)
        clear_run(shift, 0, c)
        clear_run(scale, 0, c)
        for pixel in range(size):
            i = uintp((image * size + pixel) * c)
            for e in range(uintp(c)):
                shift[e] += gradients[i + e]
                scale[e] += gradients[i + e] * (pixels[i + e] - mean[e])
        _add(shift, no_weight, image, d_shift)
        _add(scale, no_weight, image, d_scale)


@compiled
def to_gradients(x: Any, mean: Any, factor: Any, slope: Any, constant: Any, weight: Any, d_x: Any) -> None:
    """Turn d_x into the gradient with respect to x: factor * d_x - weight * (slope * (x - mean) + constant)."""
    c, pixels, gradients = x.shape[3], x.reshape(-1), d_x.reshape(-1)
    size = x.shape[1] * x.shape[2]
    for image in range(x.shape[0]):
        of_image = weight[image] if weight.size else x.dtype.type(1)
        for pixel in range(size):
            i = uintp((image * size + pixel) * c)
            for e in range(uintp(c)):
                shared = slope[e] * (pixels[i + e] - mean[e]) + constant[e]
                gradients[i + e] = factor[e] * gradients[i + e] - of_image * shared


@compiled
def _add(of_image: Any, weight: Any, image: int, sums: Any) -> None:
    factor = weight[image] if weight.size else sums.dtype.type(1)
    for e in range(sums.size):
        sums[e] += factor * of_image[e]
