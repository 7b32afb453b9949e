"""The slow, obvious versions of convolution and pooling: one image, one position, one kernel at a time.

They share no code with the package, so agreement of the two is evidence. Images are (n, h, w, c), kernels
(kh, kw, c, k), sizes and strides pairs.
"""

from itertools import product

import numpy as np


def padding_widths(padding, in_shape, size, stride):
    """Return the pixels (top, bottom), (left, right) around a map (h, w, c) for any padding of `Conv2D`."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        return tuple(_same(*axis) for axis in zip(in_shape[:2], size, stride, strict=True))
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    return (rows, rows), (columns, columns)


def _same(length, size, stride):
    n_positions = int(np.ceil(length / stride))
    missing = max((n_positions - 1) * stride + size - length, 0)
    return missing // 2, missing - missing // 2


def _positions(x, size, stride):
    """Yield every position (image, row, column) of a window, with the slices of x that it covers."""
    oh, ow = (len(range(0, x.shape[axis + 1] - size[axis] + 1, stride[axis])) for axis in (0, 1))
    for n, i, j in product(range(len(x)), range(oh), range(ow)):
        yield (
            (n, i, j),
            (n, slice(i * stride[0], i * stride[0] + size[0]), slice(j * stride[1], j * stride[1] + size[1])),
        )


def _n_positions(x, size, stride):
    *_, (last, _) = _positions(x, size, stride)
    return tuple(index + 1 for index in last)


def _pad(x, widths, value):
    return np.pad(x, ((0, 0), *widths, (0, 0)), constant_values=value)


def convolve(x, W, b, stride, widths, pad_value):
    """Convolve x with W and add b, which is (k,), (oh, ow, k) or None."""
    padded, size = _pad(x, widths, pad_value), W.shape[:2]
    out = np.zeros((*_n_positions(padded, size, stride), W.shape[3]))
    for (n, i, j), window in _positions(padded, size, stride):
        for k in range(W.shape[3]):
            out[n, i, j, k] = (padded[window] * W[..., k]).sum()
            if b is not None:
                out[n, i, j, k] += b[k] if b.ndim == 1 else b[i, j, k]
    return out


def convolve_backward(x, W, b, stride, widths, pad_value, d_out):
    """Return the gradients of sum(convolve(...) * d_out) by x, W and b (None without a bias)."""
    padded, size = _pad(x, widths, pad_value), W.shape[:2]
    d_padded, d_W = np.zeros_like(padded), np.zeros_like(W)
    d_b = None if b is None else np.zeros_like(b)
    for (n, i, j), window in _positions(padded, size, stride):
        for k in range(W.shape[3]):
            d_padded[window] += d_out[n, i, j, k] * W[..., k]
            d_W[..., k] += d_out[n, i, j, k] * padded[window]
            if d_b is not None:
                d_b[(k,) if b.ndim == 1 else (i, j, k)] += d_out[n, i, j, k]
    (top, _), (left, _) = widths
    return d_padded[:, top : top + x.shape[1], left : left + x.shape[2]], d_W, d_b


def pool(x, size, stride, reduce):
    """Reduce every window of x to one number by np.max, np.min or np.mean."""
    out = np.zeros((*_n_positions(x, size, stride), x.shape[3]))
    for position, window in _positions(x, size, stride):
        for c in range(x.shape[3]):
            out[*position, c] = reduce(x[window][..., c])
    return out


def pool_backward(x, size, stride, reduce, d_out):
    """Return the gradient of sum(pool(...) * d_out) by x.

    The first extremum of a window, row by row, takes all of it; a mean shares it equally.
    """
    d_x = np.zeros_like(x)
    find = {np.max: np.argmax, np.min: np.argmin}.get(reduce)  # both return the first of equal numbers
    for position, window in _positions(x, size, stride):
        for c in range(x.shape[3]):
            share = np.full(size, 1 / (size[0] * size[1]))
            if find is not None:
                share = np.zeros(size)
                share.flat[find(x[window][..., c])] = 1
            d_x[window][..., c] += share * d_out[*position, c]
    return d_x


def numeric_gradient(value, x, step=1e-5):
    """Return the gradient of `value()` by the array x that it reads, by central differences."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + step
        above = value()
        x[index] = kept - step
        gradient[index] = (above - value()) / (2 * step)
        x[index] = kept
    return gradient


def relative_error(gradient, expected):
    """Return the largest difference, relative to the largest entry, which must not be nearly zero."""
    assert gradient.shape == expected.shape
    largest = np.abs(expected).max()
    assert largest > 1e-3
    return np.abs(gradient - expected).max() / largest
