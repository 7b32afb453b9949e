"""Convolution: the same small kernel at every position of a map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from skcnn._kernels.convolution import Convolution, Kernels
from skcnn._kernels.feature_maps import PadWidth, dilate, output_size, pad
from skcnn._kernels.plan import convolution
from skcnn._values import Pair, is_real, is_size, pair, times
from skcnn.initializers import INITIALIZERS, Initializer, draw, is_initializer
from skcnn.layers.base import Array, Backward, Forward, Layer, Params, Placed, Rng, Shape, Window, require_map

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
        size = pair(self.kernel_size)
        widths = _widths(self.padding, size, pair(self.stride), in_shape[:2])
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

    def place(self, in_shape: Shape) -> Placed:
        return self._place(in_shape) if type(self) is Conv2D else self  # a subclass may compute anything

    def _place(self, in_shape: Shape) -> PlacedConv2D:
        return PlacedConv2D(
            self, _geometry(self.padding, in_shape, pair(self.kernel_size), pair(self.stride), int(self.n_kernels))
        )

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        placed = self._place(x.shape[1:])
        return placed.forward(placed.prepare(params), x, train=train)

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        placed = self._place(cache.in_shape)
        d_x, d_prepared = placed.backward(placed.prepare(params, need_d_x), cache, d_out, need_d_x=need_d_x)
        return d_x, placed.gradients(d_prepared)

    def window(self, in_shape: Shape) -> Window | None:
        return pair(self.kernel_size), pair(self.stride)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return kh * kw * in_shape[2] * out_shape[0] * out_shape[1] * out_shape[2]


@dataclass(frozen=True)
class Geometry:
    """How maps of one shape are padded and convolved, and how the gradient finds its way back.

    Every input pixel gathers from the outputs that it took part in, so nothing is scattered: the output's gradient, its
    pixels a stride apart, is convolved with the turned kernels.
    """

    in_shape: Shape
    widths: PadWidth
    stride: Pair
    way: Convolution
    way_back: Convolution

    @cached_property
    def offset(self) -> Pair:
        """Where the first pixel of the output's gradient comes to stand for the way back."""
        (top, _), (left, _) = self.widths
        return self.way.kernel_size[0] - 1 - top, self.way.kernel_size[1] - 1 - left


@lru_cache(maxsize=1024)  # asked for at every step, with the same answer
def _geometry(padding: Any, in_shape: Shape, size: Pair, stride: Pair, n_kernels: int) -> Geometry:
    widths = _widths(padding, size, stride, in_shape[:2])
    rows, columns = (in_shape[axis] + sum(widths[axis]) for axis in (0, 1))
    way = convolution((rows, columns), size, stride, in_shape[2], n_kernels)
    spread_out = in_shape[0] + size[0] - 1, in_shape[1] + size[1] - 1
    way_back = convolution(spread_out, size, (1, 1), n_kernels, in_shape[2])
    return Geometry(in_shape, widths, stride, way, way_back)


class _Prepared(NamedTuple):
    kernels: Kernels
    turned: Kernels | None  # for the gradient by the input
    of_positions: Array | None  # a bias for each position


class _Cache(NamedTuple):
    padded: Array
    in_shape: Shape


@dataclass(frozen=True)
class PlacedConv2D:
    """A convolution of maps of a known shape: its kernels are brought into their matrices once a step."""

    layer: Conv2D
    geometry: Geometry

    def prepare(self, params: Params, need_d_x: bool = False) -> _Prepared:
        W, b, at = params["W"], params.get("b"), self.geometry
        of_positions = b if self.layer.bias == "position" else None
        kernels = at.way.prepare(W, b if self.layer.bias == "kernel" else None)
        turned = at.way_back.prepare(W[::-1, ::-1].transpose(0, 1, 3, 2)) if need_d_x else None
        return _Prepared(kernels, turned, of_positions)

    def forward(self, params: _Prepared, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        at = self.geometry
        if x.shape[1:] != at.in_shape:
            raise ValueError(f"{self.layer!r} was built for maps of {times(at.in_shape)}, got {times(x.shape[1:])}")
        padded = pad(x, at.widths, self.layer.pad_value, to=at.way.padded_size)
        out = at.way.forward(padded, params.kernels)
        if params.of_positions is not None:
            out += params.of_positions
        return out, _Cache(padded, at.in_shape) if train else None

    def backward(
        self, params: _Prepared, cache: _Cache, d_out: Array, *, need_d_x: bool = True
    ) -> tuple[Array | None, dict[str, Any]]:
        at = self.geometry
        d_prepared: dict[str, Any] = {"kernels": at.way.backward(cache.padded, d_out)}
        if params.of_positions is not None:
            d_prepared["of_positions"] = d_out.sum(axis=0)
        if not need_d_x:
            return None, d_prepared
        assert params.turned is not None
        return at.way_back.forward(
            dilate(d_out, at.stride, at.offset, at.way_back.padded_size), params.turned
        ), d_prepared

    def gradients(self, d_prepared: dict[str, Any]) -> Params:
        d_W, d_b = self.geometry.way.gradients(d_prepared["kernels"])
        if self.layer.bias is None:
            return {"W": d_W}
        return {"W": d_W, "b": d_prepared.get("of_positions", d_b)}


def _widths(padding: Any, size: Pair, stride: Pair, map_size: Shape) -> PadWidth:
    if padding == "same":
        height, width = (_same_widths(*axis) for axis in zip(map_size, size, stride, strict=True))
        return height, width
    rows, columns = (0, 0) if padding == "valid" else pair(padding)
    return (rows, rows), (columns, columns)


def _same_widths(size: int, window: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2
