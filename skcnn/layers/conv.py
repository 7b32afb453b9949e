"""Convolution: the same small kernel at every position of a feature map."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, Literal, NamedTuple

import numpy as np

from skcnn._caching import cached_property
from skcnn._kernels.convolution import Convolution, Kernels
from skcnn._kernels.feature_maps import PadWidth, dilate, output_size, pad
from skcnn._kernels.plan import convolution
from skcnn._memory import require_memory
from skcnn._values import Pair, is_size, pair, times
from skcnn.initializers import INITIALIZERS, Initializer, draw, is_initializer
from skcnn.layers.base import (
    PREDICT,
    TRAIN,
    Array,
    Backward,
    Context,
    Forward,
    Layer,
    Params,
    Rng,
    Shape,
    Window,
    require_map,
)

__all__ = ["Conv2D", "pad_width_for"]

LARGEST_STRIDE = 2**31  # no feature map in memory is larger; products of larger strides would overflow


@dataclass(frozen=True, repr=False)
class Conv2D(Layer):
    """Two-dimensional convolution (strictly speaking, a cross-correlation, as in all deep-learning libraries).

    ``out[n, i, j, k] = b[k] + sum(padded[n, i * sh + u, j * sw + v, c] * W[u, v, c, k] for u, v, c)``

    Parameters
    ----------
    n_kernels : int
        The number of kernels, and so of output channels. At least 1.
    kernel_size : int or (int, int), default=3
        Rows and columns of a kernel: odd, even or rectangular.
    stride : int or (int, int), default=1
        Distance from one position of the kernels to the next.
    padding : {"same", "valid"}, int or (int, int), default="same"
        "same": pad the feature map so that the output has ceil(size / stride) rows and columns. If the number of added
        rows or columns is odd, the extra one is at the bottom or right, as in TensorFlow and ONNX's SAME_UPPER.
        "valid": no padding. An int or a pair (rows, columns): add this many rows at the top and at the bottom, and this
        many columns on the left and on the right.
    pad_value : float, default=0.0
        The value of the padding.
    bias : bool or "position", default=True
        True: one bias per kernel. "position": one bias per kernel and output position. False: no bias.
    initializer : str or callable, default="he_uniform"
        See `skcnn.initializers`. Biases start at 0.

    Shape
    -----
    in (h, w, c), out (oh, ow, n_kernels), where oh = floor((h + padding - kh) / sh) + 1 with the padding of both sides;
    `W` (kh, kw, c, n_kernels); `b` (n_kernels,) or (oh, ow, n_kernels).

    Raises
    ------
    ValueError
        On creation, if a field is out of range. In `out_shape`, if the kernel is larger than the padded feature map.

    References
    ----------
    Dumoulin, Visin (2016), A guide to convolution arithmetic for deep learning.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Conv2D(6, kernel_size=5)
    >>> layer.out_shape((28, 28, 1))
    (28, 28, 6)
    >>> params = layer.init((28, 28, 1), np.random.default_rng(0), np.float32)
    >>> params["W"].shape, params["b"].shape
    ((5, 5, 1, 6), (6,))
    """

    always_shown = ("n_kernels", "kernel_size")

    n_kernels: int
    kernel_size: int | Pair = 3
    stride: int | Pair = 1
    padding: str | int | Pair = "same"
    pad_value: float = 0.0
    bias: bool | Literal["position"] = True
    initializer: Initializer = "he_uniform"

    def __post_init__(self) -> None:
        self._check_count("n_kernels")
        self._check_size("kernel_size")
        self._check_size("stride")
        fits = self.padding in ("same", "valid") if isinstance(self.padding, str) else is_size(self.padding, 0)
        self._check("padding", fits, "'same', 'valid', an int of at least 0 or a pair of such ints")
        self._make_plain("padding")
        self._check_number("pad_value")
        fits = isinstance(self.bias, bool | np.bool_) or (isinstance(self.bias, str) and self.bias == "position")
        self._check("bias", fits, "True, False or 'position'")
        self._check("initializer", is_initializer(self.initializer), f"callable or one of {INITIALIZERS}")

    def out_shape(self, in_shape: Shape) -> Shape:
        require_map(in_shape)
        size, stride, padded = pair(self.kernel_size), pair(self.stride), self._padded_size(in_shape)
        if size[0] > padded[0] or size[1] > padded[1]:
            with_padding = f" ({times(padded)} with its padding)" if padded != in_shape[:2] else ""
            raise ValueError(f"kernel {times(size)} does not fit the {times(in_shape[:2])} feature map{with_padding}")
        rows, columns = (output_size(*axis) for axis in zip(padded, size, stride, strict=True))
        return rows, columns, self.n_kernels

    def _padded_size(self, in_shape: Shape) -> Shape:
        pad_width = pad_width_for(self.padding, pair(self.kernel_size), pair(self.stride), in_shape[:2])
        return tuple(in_shape[axis] + sum(pad_width[axis]) for axis in (0, 1))

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        self._check_in(dtype, "pad_value", may_be_zero=True)
        shape = (*pair(self.kernel_size), in_shape[2], self.n_kernels)
        n_padded = prod(self._padded_size(in_shape)) * in_shape[2]
        require_memory(n_padded * np.dtype(dtype).itemsize, "a feature map with its padding")
        params: Params = {"W": draw(self.initializer, shape, rng, dtype)}
        if self.bias:
            out_shape = self.out_shape(in_shape)
            params["b"] = np.zeros(out_shape if self.bias == "position" else out_shape[2:], dtype)
        return params

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        plan = _plan(self.padding, in_shape, self.kernel_size, self.stride, self.n_kernels)
        W, b = params["W"], params.get("b")
        position_bias = b if self.bias == "position" else None
        kernels = plan.algorithm.prepare(W, b if position_bias is None else None)
        flipped = None
        if context.train and context.need_d_x:
            flipped = plan.gradient_algorithm.prepare(W[::-1, ::-1].transpose(0, 1, 3, 2))
        return _Prepared(plan, kernels, flipped, position_bias)

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Forward:
        plan, kernels, _, position_bias = params
        padded = pad(x, plan.pad_width, self.pad_value, to=plan.algorithm.padded_size)
        out = plan.algorithm.forward(padded, kernels)
        if position_bias is not None:
            out += position_bias
        return out, padded if context.train else None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Backward:
        plan, _, flipped, position_bias = params
        d_position_bias = {} if position_bias is None else d_out.sum(axis=0)
        d_prepared = plan.algorithm.backward(cache, d_out), d_position_bias
        if not context.need_d_x:
            return None, d_prepared
        dilated = dilate(d_out, plan.stride, plan.offset, plan.gradient_algorithm.padded_size)
        return plan.gradient_algorithm.forward(dilated, flipped), d_prepared

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        d_kernels, d_position_bias = d_prepared
        d_W, d_b = params.plan.algorithm.gradients(d_kernels)
        if not self.bias:
            return {"W": d_W}
        return {"W": d_W, "b": d_position_bias if self.bias == "position" else d_b}

    def window(self, in_shape: Shape) -> Window | None:
        return pair(self.kernel_size), pair(self.stride)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        kh, kw = pair(self.kernel_size)
        return kh * kw * in_shape[2] * out_shape[0] * out_shape[1] * out_shape[2]


@dataclass(frozen=True)
class _Plan:
    """How to convolve feature maps of one shape, and how to compute the gradient with respect to them.

    This gradient is also a convolution: the gradient with respect to the output is dilated by the stride and convolved
    with the flipped kernels. So each input pixel gathers from the outputs that it affects, and nothing is scattered.
    """

    pad_width: PadWidth
    stride: Pair
    algorithm: Convolution
    gradient_algorithm: Convolution

    @cached_property
    def offset(self) -> Pair:
        """The position of the first pixel of the dilated gradient."""
        (top, _), (left, _) = self.pad_width
        return self.algorithm.kernel_size[0] - 1 - top, self.algorithm.kernel_size[1] - 1 - left


@lru_cache(maxsize=1024)  # every training step needs the same plan
def _plan(padding: Any, in_shape: Shape, kernel_size: int | Pair, strides: int | Pair, n_kernels: int) -> _Plan:
    size = pair(kernel_size)
    row_stride, column_stride = (min(step, LARGEST_STRIDE) for step in pair(strides))
    stride = row_stride, column_stride
    pad_width = pad_width_for(padding, size, stride, in_shape[:2])
    rows, columns = (in_shape[axis] + sum(pad_width[axis]) for axis in (0, 1))
    algorithm = convolution((rows, columns), size, stride, in_shape[2], n_kernels)
    dilated_size = in_shape[0] + size[0] - 1, in_shape[1] + size[1] - 1
    gradient_algorithm = convolution(dilated_size, size, (1, 1), n_kernels, in_shape[2])
    return _Plan(pad_width, stride, algorithm, gradient_algorithm)


class _Prepared(NamedTuple):
    plan: _Plan
    kernels: Kernels
    flipped: Kernels | None  # for the gradient with respect to the input
    position_bias: Array | None


def pad_width_for(padding: Any, size: Pair, stride: Pair, map_size: Shape) -> PadWidth:
    """Return how many rows and columns a convolution adds to feature maps of a size."""
    if padding == "same":
        height, width = (_same_pad_width(*axis) for axis in zip(map_size, size, stride, strict=True))
        return height, width
    rows, columns = (0, 0) if padding == "valid" else pair(padding)
    return (rows, rows), (columns, columns)


def _same_pad_width(size: int, window: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2
