"""What follows a convolution while its outputs are in the cache: bias, ReLU and a max or min pool.

ReLU follows the pool, which gives the same, see `skcnn._engine.lowering`. For each output of the pool, `winners` holds
which pixel of its window won, counted row by row, or NONE if ReLU lets no gradient pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uintp

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.runs import add_run, clear_run, copy_run

__all__ = ["finish", "finish_pool", "start_back", "start_back_pool", "sum_channels"]

NONE = 255  # so a window has at most 255 pixels
PIXELS_PER_BLOCK = 256


@compiled
def finish(y: Any, bias: Any, relu: bool) -> None:
    """Add the bias (k,) to all pixels of y, then apply ReLU if it is wanted."""
    k, zero = bias.size, y.dtype.type(0)
    for pixel in range(y.size // k):
        i = uintp(pixel * k)
        if relu:
            for e in range(uintp(k)):
                value = y[i + e] + bias[e]
                y[i + e] = zero if value < zero else value  # NaN stays
        else:
            for e in range(uintp(k)):
                y[i + e] += bias[e]


@compiled
def finish_pool(y: Any, window: Any, relu: bool, bias: Any, out: Any, winners: Any, first: int) -> None:
    """Pool the windows of y (images, h, w, k), then add the bias and apply ReLU, into images of out from `first` on."""
    ph, pw, sh, sw, sign = window
    h, w, k = y.shape[1], y.shape[2], y.shape[3]
    oh, ow = out.shape[1], out.shape[2]
    pixels, target, places = y.reshape(-1), out.reshape(-1), winners.reshape(-1)
    for image in range(y.shape[0]):
        for i in range(oh):
            for j in range(ow):
                s = ((image * h + i * sh) * w + j * sw) * k
                t = (((first + image) * oh + i) * ow + j) * k
                if ph == 2 and pw == 2:
                    _extremum_of_4(pixels, s, s + k, s + w * k, s + (w + 1) * k, sign, target, places, t, k)
                else:
                    _extremum(pixels, s, w * k, ph, pw, sign, target, places, t, k)
                _finish_pixel(target, places, t, bias, relu)


@compiled
def _extremum_of_4(
    x: Any, s0: int, s1: int, s2: int, s3: int, sign: int, out: Any, winners: Any, start: int, k: int
) -> None:
    i0, i1, i2, i3, t = uintp(s0), uintp(s1), uintp(s2), uintp(s3), uintp(start)
    one = x.dtype.type(sign)
    for e in range(uintp(k)):
        best, place = one * x[i0 + e], np.uint8(0)
        value = one * x[i1 + e]
        beats = value > best or value != value  # a NaN wins
        best, place = value if beats else best, np.uint8(1) if beats else place
        value = one * x[i2 + e]
        beats = value > best or value != value
        best, place = value if beats else best, np.uint8(2) if beats else place
        value = one * x[i3 + e]
        beats = value > best or value != value
        best, place = value if beats else best, np.uint8(3) if beats else place
        out[t + e] = one * best
        winners[t + e] = place


@compiled
def _extremum(
    x: Any, start: int, row: int, ph: int, pw: int, sign: int, out: Any, winners: Any, out_start: int, k: int
) -> None:
    copy_run(x, start, out, out_start, k)
    t, one = uintp(out_start), x.dtype.type(sign)
    for e in range(uintp(k)):
        winners[t + e] = np.uint8(0)
    for place in range(1, ph * pw):
        i = uintp(start + place // pw * row + place % pw * k)
        for e in range(uintp(k)):
            value, best = x[i + e], out[t + e]
            beats = one * value > one * best or value != value
            out[t + e] = value if beats else best
            winners[t + e] = np.uint8(place) if beats else winners[t + e]


@compiled
def _finish_pixel(out: Any, winners: Any, start: int, bias: Any, relu: bool) -> None:
    t, zero = uintp(start), out.dtype.type(0)
    if relu:
        for e in range(uintp(bias.size)):
            value = out[t + e] + bias[e]
            winners[t + e] = winners[t + e] if value > zero else np.uint8(NONE)
            out[t + e] = zero if value < zero else value
    else:
        for e in range(uintp(bias.size)):
            out[t + e] += bias[e]


@compiled
def start_back(d_out: Any, start: int, out: Any, relu: bool, d_y: Any) -> None:
    """Write the gradient before ReLU, for the elements of d_out and out from `start` on, to d_y."""
    i, zero = uintp(start), d_out.dtype.type(0)
    if relu:
        for e in range(uintp(d_y.size)):
            d_y[e] = d_out[i + e] if out[i + e] > zero else zero
    else:
        copy_run(d_out, start, d_y, 0, d_y.size)


@compiled
def start_back_pool(d_out: Any, winners: Any, first: int, window: Any, d_y: Any) -> None:
    """Write the gradient before pool and ReLU, for some images of d_out and winners, to d_y (images, h, w, k)."""
    ph, pw, sh, sw, _ = window
    oh, ow = d_out.shape[1], d_out.shape[2]
    h, w, k = d_y.shape[1], d_y.shape[2], d_y.shape[3]
    source, places, target = d_out.reshape(-1), winners.reshape(-1), d_y.reshape(-1)
    if not (ph == sh and pw == sw and oh * ph == h and ow * pw == w):
        clear_run(target, 0, target.size)  # otherwise every pixel is in one window
    for image in range(d_y.shape[0]):
        for i in range(oh):
            for j in range(ow):
                s = uintp((((first + image) * oh + i) * ow + j) * k)
                t = ((image * h + i * sh) * w + j * sw) * k
                for place in range(ph * pw):
                    target_start = uintp(t + (place // pw * w + place % pw) * k)
                    if ph <= sh and pw <= sw:
                        _put(source, places, s, place, target, target_start, k)
                    else:
                        _add(source, places, s, place, target, target_start, k)


@compiled
def _put(source: Any, winners: Any, s: int, place: int, target: Any, t: int, k: int) -> None:
    zero, wanted = source.dtype.type(0), np.uint8(place)
    for e in range(uintp(k)):
        target[t + e] = source[s + e] if winners[s + e] == wanted else zero


@compiled
def _add(source: Any, winners: Any, s: int, place: int, target: Any, t: int, k: int) -> None:
    zero, wanted = source.dtype.type(0), np.uint8(place)
    for e in range(uintp(k)):
        target[t + e] += source[s + e] if winners[s + e] == wanted else zero


@compiled
def sum_channels(y: Any, sums: Any, memory: Any) -> None:
    """Add the sums over all pixels of y to sums (k,). The memory has k elements."""
    k = sums.size
    n_pixels = y.size // k
    # long sums lose digits: the pixels are added up in blocks, and then the blocks
    for block in range(0, n_pixels, PIXELS_PER_BLOCK):
        clear_run(memory, 0, k)
        for pixel in range(block, min(block + PIXELS_PER_BLOCK, n_pixels)):
            add_run(y, pixel * k, memory, 0, k)
        add_run(memory, 0, sums, 0, k)
