"""Batch normalisation in training, with the ReLU and pool after it.

The sums over the batch are exchanged between the shards, so each pass is cut where they are needed. Pixels are added up
block by block, because long sums lose digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, uintp

from skcnn._kernels.compiled.compiler import compiled, kernel
from skcnn._kernels.compiled.epilogue import finish, finish_pool, repeated, start_back, start_back_pool
from skcnn._kernels.compiled.runs import clear_run

__all__ = ["add_gradient_sums", "gradients", "measure", "normalise", "to_gradients"]

BLOCK = 256  # pixels


@kernel
def measure(x: Any, first: int, images: int, sums: Any) -> None:
    """Write the mean of each channel of some images, and the sums of x - mean and of (x - mean)^2, to sums (n, 3, c).

    The sum of x - mean would be 0 without rounding errors, and corrects for them.
    """
    c, size, pixels = x.shape[3], x.shape[1] * x.shape[2], x.reshape(-1)
    share, part = x.dtype.type(1) / x.dtype.type(size), np.empty((2, c), x.dtype)
    of_block, squares_of_block, of_image = part[0], part[1], sums.reshape(-1)
    for image in range(first, first + images):
        mean, rest, squares = sums[image, 0], sums[image, 1], sums[image, 2]
        clear_run(of_image, image * 3 * c, 3 * c)
        for block in range(0, size, BLOCK):
            clear_run(of_block, int64(0), c)
            for pixel in range(block, min(block + BLOCK, size)):
                i = uintp((image * size + pixel) * c)
                for e in range(uintp(c)):
                    of_block[e] += pixels[i + e]
            for e in range(c):
                mean[e] += of_block[e]
        for e in range(c):
            mean[e] *= share
        for block in range(0, size, BLOCK):
            clear_run(part.reshape(-1), int64(0), 2 * c)
            for pixel in range(block, min(block + BLOCK, size)):
                i = uintp((image * size + pixel) * c)
                for e in range(uintp(c)):
                    centred = pixels[i + e] - mean[e]
                    of_block[e] += centred
                    squares_of_block[e] += centred * centred
            for e in range(c):
                rest[e] += of_block[e]
                squares[e] += squares_of_block[e]


@kernel
def normalise(x: Any, of_channels: Any, relu: bool, window: Any, out: Any, winners: Any) -> None:
    """Normalise x with the `affine` (4, c) of `skcnn._kernels.compiled.epilogue`, then apply ReLU and the pool."""
    affine = repeated(of_channels)
    if window[0] > 0:
        finish_pool(x, window, relu, affine, out, winners, int64(0))
    else:
        finish(x, affine, relu, out, int64(0))


@kernel
def add_gradient_sums(
    d_out: Any, out: Any, winners: Any, relu: bool, window: Any, x: Any, mean: Any, sums: Any
) -> None:
    """Add the sums over all pixels of d and of d * (x - mean) to sums (2, c).

    d is the gradient with respect to the output of batch normalisation, before ReLU and pool.
    """
    c, size, pixels = x.shape[3], x.shape[1] * x.shape[2], x.reshape(-1)
    part, of_block = np.empty((1, x.shape[1], x.shape[2], c), x.dtype), np.empty((2, c), x.dtype)
    gradients, shift, scale = part.reshape(-1), of_block[0], of_block[1]
    for image in range(x.shape[0]):
        if window[0] > 0:
            start_back_pool(d_out, winners, image, window, part)
        else:
            start_back(d_out, out, image, relu, part)
        for block in range(0, size, BLOCK):
            clear_run(of_block.reshape(-1), int64(0), 2 * c)
            for pixel in range(block, min(block + BLOCK, size)):
                i, j = uintp(pixel * c), uintp((image * size + pixel) * c)
                for e in range(uintp(c)):
                    shift[e] += gradients[i + e]
                    scale[e] += gradients[i + e] * (pixels[j + e] - mean[e])
            for row in range(2):
                for e in range(c):
                    sums[row, e] += of_block[row, e]


@kernel
def gradients(
    d_out: Any, out: Any, winners: Any, relu: bool, window: Any, x: Any, of_channels: Any, weight: Any, d_x: Any
) -> None:
    """Write the gradient with respect to x to d_x."""
    slopes = repeated(of_channels)
    for image in range(x.shape[0]):
        part = d_x[image : image + 1]
        if window[0] > 0:
            start_back_pool(d_out, winners, image, window, part)
        else:
            start_back(d_out, out, image, relu, part)
        to_gradients(x, image, slopes, weight, part)


@compiled
def to_gradients(x: Any, first: int, slopes: Any, weight: Any, d_y: Any) -> None:
    """Turn the gradients with respect to the outputs for some images of x into those with respect to x, in place.

    They become ``factor * d_y - weight * (slope * (x - mean) + constant)``. `slopes` holds mean, factor, slope and
    constant for each channel, repeated for several pixels: (4, repeats * c). `weight` has one number for each image of
    x, or is empty if all are 1. d_y may have more columns than x.
    """
    mean, factor, slope, constant = slopes[0], slopes[1], slopes[2], slopes[3]
    pixels, gradients, height = x.reshape(-1), d_y.reshape(-1), x.shape[1]
    row, wide = x.shape[2] * x.shape[3], d_y.shape[2] * x.shape[3]
    for image in range(d_y.shape[0]):
        of_image = weight[first + image] if weight.size else x.dtype.type(1)
        for y in range(height):
            for start in range(0, row, mean.size):
                i = uintp(((first + image) * height + y) * row + start)
                j = uintp((image * height + y) * wide + start)
                for e in range(uintp(min(mean.size, row - start))):
                    shared = slope[e] * (pixels[i + e] - mean[e]) + constant[e]
                    gradients[j + e] = factor[e] * gradients[j + e] - of_image * shared
