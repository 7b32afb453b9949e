"""Convolution: the same small kernel at every position of a map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from skcnn.initializers import INITIALIZERS, Initializer, draw, is_initializer
from skcnn.kernels.convolution import Convolution
from skcnn.kernels.maps import Widths, output_size, pad, spread
from skcnn.kernels.plan import convolution
from skcnn.kernels.products import column_sums
from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Rng, Shape, Window, require_map
from skcnn.values import Pair, is_real, is_size, pair, times

__all__ = ["Conv2D"]


@dataclass(frozen=True, repr=False)
class Conv2D(Layer):
    """Two-dimensional convolution (cross-correlation, as everywhere in this field).

    ``out[n, i, j, k] = b[k] + sum(padded[n, i * sh + u, j * sw + v, c] * W[u, v, c, k] for u, v, c)``

    Parameters
    ----------
    n_kernels : int
        Kernels, and so channels of the output. At least 1.
    kernel_size : int or (int, int), default=3
        Rows and columns of a kernel: odd, even or rectangular.
    stride : int or (int, int), default=1
        Step from one position to the next.
    padding : {"same", "valid"}, int or (int, int), default="same"
        "same": as many pixels around the map as make the output ceil(size / stride), the odd one at the bottom or
        right, as in TensorFlow and ONNX's SAME_UPPER. "valid": none. Numbers: that many rows above and below, columns
        left and right.
    pad_value : float, default=0.0
        The value of those pixels.
    bias : {"kernel", "position"} or None, default="kernel"
        One bias per kernel; one per kernel and output position; none.
    initializer : str or callable, default="he_uniform"
        See `skcnn.initializers`. Biases start at 0.

    Shape
    -----
    in (h, w, c), out (oh, ow, n_kernels), where oh = floor((h + padding - kh) / sh) + 1 with the padding of both sides;
    `W` (kh, kw, c, n_kernels); `b` (n_kernels,) or (oh, ow, n_kernels).

    Raises
    ------
    ValueError
        At once, if a field is out of range; in `build`, if the kernel is larger than the padded map.

    References
    ----------
    Dumoulin, Visin (2016), A guide to convolution arithmetic for deep learning.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2D(6, kernel_size=5)
    >>> params, out_shape = layer.build((28, 28, 1), np.random.default_rng(0), np.float32)
    >>> params["W"].shape, params["b"].shape, out_shape
    ((5, 5, 1, 6), (6,), (28, 28, 6))
    """

    always_shown = ("n_kernels", "kernel_size")

    n_kernels: int
    kernel_size: int | Pair = 3
    stride: int | Pair = 1
    padding: str | int | Pair = "same"
    pad_value: float = 0.0
    bias: Literal["kernel", "position"] | None = "kernel"
    initializer: Initializer = "he_uniform"

    def __post_init__(self) -> None:
        self._check_count("n_kernels")
        self._check_size("kernel_size")
        self._check_size("stride")
        fits = self.padding in ("same", "valid") if isinstance(self.padding, str) else is_size(self.padding, 0)
        self._check("padding", fits, "'same', 'valid', an int of at least 0 or a pair of them")
        self._check("pad_value", is_real(self.pad_value) and bool(np.isfinite(self.pad_value)), "a finite number")
        fits = self.bias is None or (isinstance(self.bias, str) and self.bias in ("kernel", "position"))
        self._check("bias", fits, "'kernel', 'position' or None")
        self._check("initializer", is_initializer(self.initializer), f"callable or one of {INITIALIZERS}")

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        require_map(in_shape)
        size, widths = pair(self.kernel_size), self.widths(in_shape)
        padded = tuple(in_shape[axis] + sum(widths[axis]) for axis in (0, 1))
        if size[0] > padded[0] or size[1] > padded[1]:
            with_padding = f" ({times(padded)} with its padding)" if padded != in_shape[:2] else ""
            raise ValueError(f"kernel {times(size)} does not fit the {times(in_shape[:2])} map{with_padding}")
        oh, ow = (output_size(padded[axis], size[axis], pair(self.stride)[axis]) for axis in (0, 1))
        k = int(self.n_kernels)
        params: Params = {"W": draw(self.initializer, (*size, in_shape[2], k), rng, dtype)}
        if self.bias is not None:
            params["b"] = np.zeros((oh, ow, k) if self.bias == "position" else (k,), dtype)
        return params, (oh, ow, k)

    def widths(self, in_shape: Shape) -> Widths:
        """Return the padding (top, bottom), (left, right) of a map (h, w, c)."""
        return _widths(self.padding, pair(self.kernel_size), pair(self.stride), in_shape[:2])

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        way, widths = self._way(x.shape[1:])
        placed = pad(x, widths, self.pad_value, to=way.placed_size)
        out = way.forward(placed, params["W"])
        if "b" in params:
            _add_bias(out, params["b"])
        return out, (placed, x.shape, way) if train else None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        placed, in_shape, way = cache
        grads = {"W": way.kernel_gradient(placed, d_out)}
        if "b" in params:
            grads["b"] = d_out.sum(axis=0) if self.bias == "position" else column_sums(d_out)
        return self._input_gradient(params["W"], d_out, in_shape[1:]) if need_d_x else None, grads

    def _way(self, in_shape: Shape) -> tuple[Convolution, Widths]:
        """How the maps are padded, and how the padded ones are convolved."""
        return _way(self.padding, in_shape, pair(self.kernel_size), pair(self.stride), int(self.n_kernels))

    def _input_gradient(self, W: Array, d_out: Array, in_shape: Shape) -> Array:
        """Every input pixel gathers from the outputs that it took part in, so nothing is scattered.

        The output's gradient, its pixels a stride apart, is convolved with the turned kernels.
        """
        kh, kw, c, k = W.shape
        (top, _), (left, _) = self.widths(in_shape)
        way = convolution((in_shape[0] + kh - 1, in_shape[1] + kw - 1), (kh, kw), (1, 1), k, c)
        placed = spread(d_out, pair(self.stride), (kh - 1 - top, kw - 1 - left), way.placed_size)
        return way.forward(placed, W[::-1, ::-1].transpose(0, 1, 3, 2))

    def window(self, in_shape: Shape) -> Window | None:
        return pair(self.kernel_size), pair(self.stride)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return kh * kw * in_shape[2] * out_shape[0] * out_shape[1] * out_shape[2]


def _add_bias(out: Array, b: Array) -> None:
    """Add b, (k,) or (oh, ow, k), to out (n, oh, ow, k), a whole row of a map at a time: k numbers are too few."""
    n, oh, ow, k = out.shape
    if b.ndim == 1:
        of_row = np.empty((1, ow, k), b.dtype)
        of_row[...] = b
        b = of_row
    rows = out.reshape(n, oh, ow * k)
    rows += b.reshape(-1, ow * k)


@lru_cache(maxsize=1024)  # asked for at every step, with the same answer
def _way(padding: Any, in_shape: Shape, size: Pair, stride: Pair, n_kernels: int) -> tuple[Convolution, Widths]:
    widths = _widths(padding, size, stride, in_shape[:2])
    rows, columns = (in_shape[axis] + sum(widths[axis]) for axis in (0, 1))
    return convolution((rows, columns), size, stride, in_shape[2], n_kernels), widths


def _widths(padding: Any, size: Pair, stride: Pair, map_size: Shape) -> Widths:
    if padding == "same":
        height, width = (_same_widths(*axis) for axis in zip(map_size, size, stride, strict=True))
        return height, width
    rows, columns = (0, 0) if padding == "valid" else pair(padding)
    return (rows, rows), (columns, columns)


def _same_widths(size: int, window: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2
