"""The cost rule that chooses the algorithm for a convolution.

It estimates how long each algorithm takes for one image, and chooses the fastest. The estimate is based on what the
algorithm copies, multiplies and adds, and on the speeds below. The speeds were measured in float32 on one core of an
AVX-512 machine. They only have to rank the algorithms: a wrong choice between two algorithms of almost equal cost loses
little time. `benchmarks/plans.py` compares the chosen algorithm with all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from skcnn._kernels.convolution import Convolution, Direct, Patches
from skcnn._kernels.winograd import MAX_PRODUCTS, Winograd
from skcnn._values import Pair

__all__ = ["convolution"]

# nanoseconds
PER_RUN = 3.2  # for each run of consecutive elements that is copied
PER_SHORT_RUN = 2.2  # the same for a run of 1, 2 or 4 elements, which is copied at once
PER_COPIED = 0.13  # for each element of a run, in addition
PER_PRODUCT_ROW = 1.8  # for each row of a matrix product: this is why narrow products are slow
PER_MULTIPLY_ADD = 0.019  # for each multiplication and its addition
PER_PASS = 0.19  # for each element that is added to another array
PER_TRANSFORMED = 0.074  # for each element of Winograd's transforms and each element that it is computed from
PER_REPADDED = 0.03  # for each element of an image that must be padded or cropped to fit the tiles

COLUMNS = (1, 2, 4, 8)
ROWS = (2, 4)  # of Winograd's tiles: more rows would lose too many digits


@lru_cache(maxsize=1024)
def convolution(in_size: Pair, kernel_size: Pair, stride: Pair, n_channels: int, n_kernels: int) -> Convolution:
    """Return the algorithm with the lowest estimated cost for a convolution of padded feature maps."""
    return min(algorithms(in_size, kernel_size, stride, n_channels, n_kernels), key=cost)


def algorithms(
    in_size: Pair, kernel_size: Pair, stride: Pair, n_channels: int, n_kernels: int
) -> Iterator[Convolution]:
    """Yield all algorithms for a convolution."""
    shapes = (in_size, kernel_size, stride, n_channels, n_kernels)
    out_size = Direct(*shapes).out_size
    for columns in (c for c in COLUMNS if c == 1 or c <= out_size[1]):
        yield Direct(*shapes, columns)
        if kernel_size[0] > 1:
            yield Patches(*shapes, columns)
        if stride[0] == 1 and kernel_size[0] > 1:
            for rows in ROWS:
                if rows + kernel_size[0] - 1 <= MAX_PRODUCTS:
                    yield Winograd(*shapes, columns, rows)


def cost(algorithm: Convolution) -> float:
    """Estimate the nanoseconds that one image takes."""
    return _unfolding(algorithm) + _multiplying(algorithm) + _summing(algorithm) + _repadding(algorithm)


def _unfolding(algorithm: Convolution) -> float:
    run = algorithm.tile_width * algorithm.n_channels
    per_run = PER_SHORT_RUN if run in (1, 2, 4) else PER_RUN
    return _n_tiles(algorithm) * algorithm.rows_unfolded * (per_run + run * PER_COPIED)


def _multiplying(algorithm: Convolution) -> float:
    multiply_adds = algorithm.product_length * algorithm.columns * algorithm.n_kernels
    return _n_tiles(algorithm) * algorithm.n_products * (PER_PRODUCT_ROW + multiply_adds * PER_MULTIPLY_ADD)


def _summing(algorithm: Convolution) -> float:
    n_products, outputs = algorithm.n_products, _n_outputs(algorithm)
    if not isinstance(algorithm, Winograd):
        return (n_products - 1) * outputs * PER_PASS
    transformed = algorithm.tiles[0] * algorithm.padded_size[1] * algorithm.n_channels * n_products + outputs
    return transformed * n_products * PER_TRANSFORMED


def _repadding(algorithm: Convolution) -> float:
    padded = algorithm.padded_size[0] * algorithm.padded_size[1] * algorithm.n_channels
    before = padded if algorithm.padded_size != algorithm.in_size else 0
    after = _n_outputs(algorithm) if algorithm.covered_size != algorithm.out_size else 0
    return (before + after) * PER_REPADDED


def _n_tiles(algorithm: Convolution) -> int:
    return algorithm.tiles[0] * algorithm.tiles[1]


def _n_outputs(algorithm: Convolution) -> int:
    return algorithm.covered_size[0] * algorithm.covered_size[1] * algorithm.n_kernels
