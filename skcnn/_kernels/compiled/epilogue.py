"""What follows a convolution while its outputs are in the cache: bias, ReLU and a max or min pool.

Batch normalisation needs the same steps. Therefore the bias is generalised to ``(y - mean) * factor + shift``. `affine`
holds four numbers for each channel: mean, factor, shift, and the sign of the factor, called direction. For a
convolution, they are 0, 1, the bias and 1. They are repeated for several pixels, (4, repeats * k), because loops over
short runs are slow.

ReLU is applied after the pool, with the same result, see `skcnn._engine.lowering`. For each output of the pool,
`winners` holds the number of the chosen pixel in its window, counted row by row, or NONE if ReLU stops the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64, uintp

from skcnn._kernels.compiled.compiler import compiled
from skcnn._kernels.compiled.runs import add_run, clear_run, copy_run

__all__ = ["RUN", "finish", "finish_pool", "repeated", "start_back", "start_back_pool", "sum_channels"]

NONE = 255  # so a window has at most 255 pixels
FEW_CHANNELS = 16
RUN = 256  # elements: loops over shorter runs are slow
BLOCK = 256  # runs


@compiled
def repeated(of_channels: Any) -> Any:
    """Repeat numbers for each channel (rows, k) for several pixels: (rows, repeats * k)."""
    rows, k = of_channels.shape
    repeats = -(-RUN // k)
    result = np.empty((rows, repeats * k), of_channels.dtype)
    source, target, t = of_channels.reshape(-1), result.reshape(-1), uintp(0)
    for i in range(rows):
        s = uintp(i * k)
        for _ in range(repeats):
            for e in range(uintp(k)):
                target[t + e] = source[s + e]
            t += uintp(k)
    return result


@compiled
def finish(y: Any, affine: Any, relu: bool, out: Any, first: int) -> None:
    """Apply the affine map and ReLU, if it is wanted, to y (images, h, w, k), into images of out from `first` on.

    y may have more columns than out.
    """
    zero, mean, factor, shift = y.dtype.type(0), affine[0], affine[1], affine[2]
    pixels, target, k = y.reshape(-1), out.reshape(-1), y.shape[3]
    n_rows, row, wide = y.shape[0] * y.shape[1], out.shape[2] * k, y.shape[2] * k
    if row == wide:
        n_rows, row, wide = 1, y.size, y.size
    to = first * out.shape[1] * out.shape[2] * k
    for r in range(n_rows):
        for start in range(0, row, mean.size):
            i, j, length = uintp(r * wide + start), uintp(to + r * row + start), uintp(min(mean.size, row - start))
            if relu:
                for e in range(length):
                    value = (pixels[i + e] - mean[e]) * factor[e] + shift[e]
                    target[j + e] = zero if value < zero else value  # NaN stays
            else:
                for e in range(length):
                    target[j + e] = (pixels[i + e] - mean[e]) * factor[e] + shift[e]


@compiled
def finish_pool(y: Any, window: Any, relu: bool, affine: Any, out: Any, winners: Any, first: int) -> None:
    """Apply the affine map, the pool and ReLU to y (images, h, w, k), into images of out from `first` on.

    The pool comes first, because it leaves fewer pixels. If the factor is negative, the smallest pixel becomes the
    largest, so `direction` is part of the comparison.
    """
    ph, pw, sh, sw, sign = window
    h, w, k = y.shape[1], y.shape[2], y.shape[3]
    oh, ow = out.shape[1], out.shape[2]
    pixels, target, places = y.reshape(-1), out.reshape(-1), winners.reshape(-1)
    directions, offsets = y.dtype.type(sign) * affine[3, :k], _offsets(window, w * k, k)
    for image in range(y.shape[0]):
        for i in range(oh):
            s, t = (image * h + i * sh) * w * k, ((first + image) * oh + i) * ow * k
            if ph == 2 and pw == 2:
                _find_in_2x2_windows(pixels, s, w * k, sw * k, directions, target, places, t, ow)
            else:
                _find_in_windows(pixels, s, sw * k, directions, offsets, target, places, t, ow)
            _finish_pooled(affine, relu, target, places, t, ow * k)


@compiled
def _find_in_2x2_windows(
    y: Any, start: int, row: int, step: int, directions: Any, out: Any, winners: Any, t0: int, ow: int
) -> None:
    """Write the largest pixel of each 2x2 window of a row, and its place in the window. The first of equals wins."""
    s, t, k, down = uintp(start), uintp(t0), uintp(directions.size), uintp(row)
    for _ in range(ow):
        for e in range(k):
            direction = directions[e]
            best, place = direction * y[s + e], np.uint8(0)
            value = direction * y[s + k + e]
            beats = value > best or value != value  # NaN wins
            best, place = value if beats else best, np.uint8(1) if beats else place
            value = direction * y[s + down + e]
            beats = value > best or value != value
            best, place = value if beats else best, np.uint8(2) if beats else place
            value = direction * y[s + down + k + e]
            beats = value > best or value != value
            best, place = value if beats else best, np.uint8(3) if beats else place
            out[t + e], winners[t + e] = direction * best, place
        s += uintp(step)
        t += k


@compiled
def _find_in_windows(
    y: Any, start: int, step: int, directions: Any, offsets: Any, out: Any, winners: Any, t0: int, ow: int
) -> None:
    """Do the same for windows of any size, whose pixels start at the given offsets, in elements."""
    s, t, k = uintp(start), uintp(t0), uintp(directions.size)
    for _ in range(ow):
        for e in range(k):
            out[t + e], winners[t + e] = directions[e] * y[s + e], np.uint8(0)
        for i in range(1, offsets.size):
            at, place = s + uintp(offsets[i]), np.uint8(i)
            for e in range(k):
                value = directions[e] * y[at + e]
                beats = value > out[t + e] or value != value
                out[t + e] = value if beats else out[t + e]
                winners[t + e] = place if beats else winners[t + e]
        for e in range(k):
            out[t + e] *= directions[e]
        s += uintp(step)
        t += k


@compiled
def _offsets(window: Any, row: int, k: int) -> Any:
    """Return where each pixel of a window starts after its first one, in elements."""
    offsets = np.empty(window[0] * window[1], np.int64)
    for i in range(offsets.size):
        offsets[i] = i // window[1] * row + i % window[1] * k
    return offsets


@compiled
def _finish_pooled(affine: Any, relu: bool, out: Any, winners: Any, first: int, size: int) -> None:
    """Apply the affine map and ReLU, if it is wanted, to a row of outputs, and let ReLU stop gradients."""
    mean, factor, shift, zero = affine[0], affine[1], affine[2], out.dtype.type(0)
    for start in range(0, size, mean.size):
        i, length = uintp(first + start), uintp(min(mean.size, size - start))
        for e in range(length):
            value = (out[i + e] - mean[e]) * factor[e] + shift[e]
            is_cut = relu and not value > zero
            out[i + e] = zero if relu and value < zero else value  # NaN stays
            winners[i + e] = np.uint8(NONE) if is_cut else winners[i + e]


@compiled
def start_back(d_out: Any, out: Any, first: int, relu: bool, d_y: Any) -> None:
    """Write the gradient with respect to the input of ReLU to d_y (images, h, w, k), for images from `first` on.

    d_y may have more columns than d_out. The gradients in them are 0.
    """
    source, outputs, target, zero = d_out.reshape(-1), out.reshape(-1), d_y.reshape(-1), d_out.dtype.type(0)
    k = d_y.shape[3]
    n_rows, row, wide = d_y.shape[0] * d_y.shape[1], d_out.shape[2] * k, d_y.shape[2] * k
    if row == wide:
        n_rows, row, wide = 1, d_y.size, d_y.size
    start = first * d_out.shape[1] * d_out.shape[2] * k
    for r in range(n_rows):
        i, j = uintp(start + r * row), uintp(r * wide)
        if relu:
            for e in range(uintp(row)):
                target[j + e] = source[i + e] if outputs[i + e] > zero else zero
        else:
            copy_run(source, start + r * row, target, r * wide, row)
        clear_run(target, r * wide + row, wide - row)


@compiled
def start_back_pool(d_out: Any, winners: Any, first: int, window: Any, d_y: Any) -> None:
    """Write the gradient with respect to the input of the pool to d_y (images, h, w, k), for images from `first` on."""
    ph, pw, sh, sw, _ = window
    oh, ow = d_out.shape[1], d_out.shape[2]
    h, w, k = d_y.shape[1], d_y.shape[2], d_y.shape[3]
    source, places, target = d_out.reshape(-1), winners.reshape(-1), d_y.reshape(-1)
    offsets, step = _offsets(window, w * k, k), sw * k
    are_apart, of_2x2 = ph == sh and pw == sw, ph == 2 and pw == 2
    are_written = are_apart and (of_2x2 or k >= FEW_CHANNELS)  # otherwise, gradients are added to zeros
    # windows that do not overlap and cover the image write every pixel anyway
    if not (are_written and ph * oh == h and pw * ow == w):
        clear_run(target, 0, target.size)
    for image in range(d_y.shape[0]):
        for i in range(oh):
            s, t = ((first + image) * oh + i) * ow * k, (image * h + i * sh) * w * k
            if not are_written:
                _add_windows(source, places, s, target, t, step, offsets, k, ow)
            elif of_2x2:
                _put_2x2_windows(source, places, s, target, t, w * k, k, ow)
            else:
                _put_windows(source, places, s, target, t, step, offsets, k, ow)


@compiled
def _put_2x2_windows(source: Any, winners: Any, s0: int, target: Any, t0: int, row: int, n: int, ow: int) -> None:
    """Write the gradients to all pixels of windows of 2x2 that are apart."""
    s, t, k, down, zero = uintp(s0), uintp(t0), uintp(n), uintp(row), source.dtype.type(0)
    right, below, last = k, down, down + k
    for _ in range(ow):
        if n < FEW_CHANNELS:  # one loop is faster for short runs, and four are for long ones
            for e in range(k):
                value, place = source[s + e], winners[s + e]
                target[t + e] = value if place == 0 else zero
                target[t + right + e] = value if place == 1 else zero
                target[t + below + e] = value if place == 2 else zero
                target[t + last + e] = value if place == 3 else zero
        else:
            for e in range(k):
                target[t + e] = source[s + e] if winners[s + e] == 0 else zero
            for e in range(k):
                target[t + right + e] = source[s + e] if winners[s + e] == 1 else zero
            for e in range(k):
                target[t + below + e] = source[s + e] if winners[s + e] == 2 else zero
            for e in range(k):
                target[t + last + e] = source[s + e] if winners[s + e] == 3 else zero
        s += k
        t += k + k


@compiled
def _put_windows(
    source: Any, winners: Any, s0: int, target: Any, t0: int, step: int, offsets: Any, n: int, ow: int
) -> None:
    """Do the same for windows of any size."""
    s, t, k, zero = uintp(s0), uintp(t0), uintp(n), source.dtype.type(0)
    for _ in range(ow):
        for i in range(offsets.size):
            at, place = t + uintp(offsets[i]), np.uint8(i)
            for e in range(k):
                target[at + e] = source[s + e] if winners[s + e] == place else zero
        s += k
        t += uintp(step)


@compiled
def _add_windows(
    source: Any, winners: Any, s0: int, target: Any, t0: int, step: int, offsets: Any, k: int, ow: int
) -> None:
    for j in range(ow):
        for e in range(k):
            s = uintp(s0 + j * k + e)
            place = int64(winners[s])
            if place != NONE:
                target[uintp(t0 + j * step + offsets[place] + e)] += source[s]


@compiled
def sum_channels(y: Any, sums: Any, memory: Any) -> None:
    """Add the sums over all pixels of y to sums (k,). The memory has room for several pixels."""
    k, run = sums.size, memory.size
    # long sums lose digits, and short runs are slow: several pixels are added up side by side, block by block
    for block in range(0, y.size, BLOCK * run):
        clear_run(memory, 0, run)
        for start in range(block, min(block + BLOCK * run, y.size), run):
            add_run(y, start, memory, 0, min(run, y.size - start))
        for start in range(0, run, k):
            add_run(memory, start, sums, 0, k)
