"""The choice of how to compute a convolution: the cost rule, in one place.

It adds up what each way copies and multiplies for one image, at the speeds below, and takes the cheapest. They were
measured on one core of an AVX-512 machine in float32; they only have to rank the ways, and ways that are close cost
close to the same. `benchmarks/plans.py` measures all ways beside the one chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from skcnn._kernels.convolution import Convolution, Direct, Patches
from skcnn._kernels.winograd import MOST_PRODUCTS, Winograd
from skcnn._values import Pair

__all__ = ["convolution"]

# nanoseconds
PER_RUN = 3.2  # a run of neighbouring numbers to copy,
PER_SHORT_RUN = 2.2  # of 1, 2 or 4 numbers, which are copied at once,
PER_COPIED = 0.13  # and each number of it
PER_PRODUCT_ROW = 1.8  # a row of a matrix product: narrow ones are slow,
PER_MULTIPLY_ADD = 0.019  # and each multiplication with its addition
PER_PASS = 0.19  # a number that is added to another array
PER_TRANSFORMED = 0.074  # a number of Winograd's transforms, for each number it is made of
PER_RELAID = 0.03  # a number of an image that tiles do not fit: framed before, cropped after

COLUMNS = (1, 2, 4, 8)
ROWS = (2, 4)  # of Winograd's tiles; more would cost too many decimals


@lru_cache(maxsize=1024)
def convolution(in_size: Pair, kernel_size: Pair, stride: Pair, n_channels: int, n_kernels: int) -> Convolution:
    """Return the cheapest way to compute a convolution of padded maps."""
    return min(ways(in_size, kernel_size, stride, n_channels, n_kernels), key=cost)


def ways(in_size: Pair, kernel_size: Pair, stride: Pair, n_channels: int, n_kernels: int) -> Iterator[Convolution]:
    """All ways to compute a convolution."""
    shapes = (in_size, kernel_size, stride, n_channels, n_kernels)
    out_size = Direct(*shapes).out_size
    for columns in (c for c in COLUMNS if c == 1 or c <= out_size[1]):
        yield Direct(*shapes, columns)
        if kernel_size[0] > 1:
            yield Patches(*shapes, columns)
        if stride[0] == 1 and kernel_size[0] > 1:
            for rows in ROWS:
                if rows + kernel_size[0] - 1 <= MOST_PRODUCTS:
                    yield Winograd(*shapes, columns, rows)


def cost(way: Convolution) -> float:
    """Estimate the nanoseconds that one image takes."""
    n_tiles = way.tiles[0] * way.tiles[1]
    run = way.tile_width * way.n_channels
    outputs = way.covered[0] * way.covered[1] * way.n_kernels
    multiply_adds = way.product_length * way.columns * way.n_kernels
    per_run = PER_SHORT_RUN if run in (1, 2, 4) else PER_RUN
    unfolded = n_tiles * way.rows_unfolded * (per_run + run * PER_COPIED)
    products = n_tiles * way.n_products * (PER_PRODUCT_ROW + multiply_adds * PER_MULTIPLY_ADD)
    if isinstance(way, Winograd):
        transformed = way.tiles[0] * way.placed_size[1] * way.n_channels * way.n_products + outputs
        sums = transformed * way.n_products * PER_TRANSFORMED
    else:
        sums = (way.n_products - 1) * outputs * PER_PASS
    placed = way.placed_size[0] * way.placed_size[1] * way.n_channels
    relaid = (placed if way.placed_size != way.in_size else 0) + (outputs if way.covered != way.out_size else 0)
    return unfolded + products + sums + relaid * PER_RELAID
