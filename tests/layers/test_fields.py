"""The fields of layers: their ranges, and the types of numbers that they take."""

import re

import numpy as np
import pytest

from skcnn.layers import (
    ELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    SpatialDropout2D,
)

SIZE = "an int of at least 1 or a pair (rows, columns) of such ints"
PADDING = "'same', 'valid', an int of at least 0 or a pair of such ints"
BAD_SIZES = [0, -1, True, 2.0, "3", (3,), (3, 3, 3), (3, 0), (2.0, 3), (True, 3), (), [3, 3]]
POOLS = (MaxPool2D, MinPool2D, AvgPool2D)
BAD_FIELDS = [
    *((Conv2D, "n_kernels", bad, "an int of at least 1") for bad in [0, -2, True, 2.0, "6", None, (3, 3)]),
    *((Conv2D, "kernel_size", bad, SIZE) for bad in [*BAD_SIZES, None]),
    *((Conv2D, "stride", bad, SIZE) for bad in [*BAD_SIZES, None]),
    *((Conv2D, "padding", bad, PADDING) for bad in [-1, True, 1.0, (1,), (1, 1, 1), (0, -1), [1, 1], "full", "", None]),
    *((Conv2D, "pad_value", bad, "a finite number") for bad in [np.nan, np.inf, -np.inf, "0", True, None]),
    *((Conv2D, "bias", bad, "True, False or 'position'") for bad in ["kernel", "channel", "", None, 0, 1]),
    *((layer, "initializer", bad, "callable or one of (") for layer in (Conv2D, Dense) for bad in ["he", "", None, 1]),
    *((Dense, "n_units", bad, "an int of at least 1") for bad in [0, -2, False, 10.0, "10", None]),
    *((Dense, "bias", bad, "True or False") for bad in [1, 0, None, "position"]),
    *((pool, "pool_size", bad, SIZE) for pool in POOLS for bad in [*BAD_SIZES, None]),
    *((pool, "stride", bad, SIZE) for pool in POOLS for bad in BAD_SIZES),
    *((layer, "rate", bad, "a number in [0, 1)") for layer in (Dropout, SpatialDropout2D) for bad in [1.0, -0.1, None]),
    *((ELU, "alpha", bad, "a finite number of at least 0") for bad in [-0.1, np.inf, np.nan, True, "1", None]),
    *((BatchNorm, "momentum", bad, "a number in [0, 1)") for bad in [1.0, -0.1, np.nan, True, None]),
    *((BatchNorm, "epsilon", bad, "a finite number above 0") for bad in [0.0, -1e-5, np.inf, np.nan, None]),
    *((LeakyReLU, "negative_slope", bad, "a number in [0, 1)") for bad in [1.5, 1.0, -0.1, np.nan, True, "0.1", None]),
]


@pytest.mark.parametrize(("layer_type", "name", "bad", "expected"), BAD_FIELDS)
def test_a_field_out_of_range_is_refused_at_once(layer_type, name, bad, expected):
    needed = {Conv2D: {"n_kernels": 1}, Dense: {"n_units": 1}}.get(layer_type, {})
    text = f"{layer_type.__name__}: {name} must be {expected}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}.*, got {re.escape(repr(bad))}$"):
        layer_type(**{**needed, name: bad})


def test_numbers_of_numpy_are_numbers():
    layer = Conv2D(np.int64(2), kernel_size=(np.int32(3), 2), padding=np.uint8(1), pad_value=np.float32(0.5))
    assert layer == Conv2D(2, kernel_size=(3, 2), padding=1, pad_value=0.5)
    params, out_shape = layer.init((4, 4, 1), np.random.default_rng(0), np.float64), layer.out_shape((4, 4, 1))
    assert (params["W"].shape, out_shape) == ((3, 2, 1, 2), (4, 5, 2))
    assert all(type(length) is int for length in out_shape)


@pytest.mark.parametrize("pool", [MaxPool2D, MinPool2D, AvgPool2D])
@pytest.mark.parametrize(("name", "value"), [("pool_size", 0), ("pool_size", (2, -2)), ("stride", 0), ("stride", 1.5)])
def test_pools_out_of_range(pool, name, value):
    with pytest.raises(ValueError, match=f"^{pool.__name__}: {name} must be an int of at least 1 or a pair"):
        pool(**{name: value})


def test_layer_fields_are_checked_at_once():
    with pytest.raises(ValueError, match="Conv2D: n_kernels must be an int of at least 1, got 0"):
        Conv2D(0)
    with pytest.raises(ValueError, match="Dense: n_units must be an int of at least 1, got -3"):
        Dense(-3)
