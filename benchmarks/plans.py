"""The rule that picks how a convolution is computed, beside what all its ways take.

    python benchmarks/plans.py               # about two minutes
    python benchmarks/plans.py --all         # every way of every convolution

A forward pass and a kernel gradient of each way, on one thread, in microseconds an image. The regret is the time of the
way chosen over that of the fastest, for training: two passes (that by the input is a convolution too) and a gradient.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np

from skcnn._engine.process import one_blas_thread
from skcnn._kernels.maps import pad
from skcnn._kernels.plan import convolution, cost, ways

# padded map, kernel, stride, channels, kernels
CONVOLUTIONS = [
    ((16, 16), (3, 3), (1, 1), 32, 16),
    ((16, 16), (3, 3), (1, 1), 64, 32),
    ((32, 32), (5, 5), (1, 1), 1, 6),
    ((32, 32), (5, 5), (1, 1), 6, 6),
    ((30, 30), (3, 3), (1, 1), 1, 16),
    ((16, 16), (3, 3), (1, 1), 16, 32),
    ((30, 30), (3, 3), (1, 1), 32, 32),
    ((16, 16), (3, 3), (1, 1), 32, 64),
    ((16, 16), (3, 3), (1, 1), 64, 64),
    ((10, 10), (3, 3), (1, 1), 1, 16),
    ((6, 6), (3, 3), (1, 1), 16, 32),
    ((34, 34), (3, 3), (1, 1), 3, 32),
    ((34, 34), (3, 3), (2, 2), 32, 64),
    ((28, 28), (1, 1), (1, 1), 64, 128),
    ((33, 33), (7, 7), (2, 2), 3, 32),
    ((29, 29), (3, 3), (1, 1), 8, 8),
    ((226, 226), (3, 3), (1, 1), 3, 16),
]
N_PIXELS = 2**14
ROUNDS = 7
FRAME = ((0, 0), (0, 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    regrets = []
    with one_blas_thread:
        for shapes in CONVOLUTIONS:
            times = measured(shapes)
            chosen, best = convolution(*shapes), min(times, key=lambda way: training(*times[way]))
            regrets.append(training(*times[chosen]) / training(*times[best]))
            print(f"{shapes}: {name(chosen)} {times[chosen][0]:.1f} + {times[chosen][1]:.1f}", end=", ")
            print(f"fastest {name(best)} {times[best][0]:.1f} + {times[best][1]:.1f}, regret {regrets[-1]:.2f}")
            for way, (forward, gradient) in times.items() if args.all else ():
                print(f"    {name(way):20} {forward:8.1f} + {gradient:8.1f}, estimated {cost(way) / 1000:.1f}")
    print(f"regret: mean {np.mean(regrets):.2f}, largest {max(regrets):.2f}")


def training(forward, gradient):
    return 2 * forward + gradient


def measured(shapes):
    """{way: (forward, gradient)}, the fastest of the rounds, which take all ways in turn."""
    in_size, kernel_size, _, c, k = shapes
    n = int(np.clip(N_PIXELS // (in_size[0] * in_size[1]), 1, 64))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *in_size, c)).astype(np.float32)
    W = rng.normal(size=(*kernel_size, c, k)).astype(np.float32)
    times = {way: ([], []) for way in ways(*shapes)}
    for _ in range(ROUNDS):
        for way, (forward, gradient) in times.items():
            d_out = np.ones((n, *way.out_size, k), np.float32)
            start = perf_counter()
            kernels = way.prepare(W)
            placed = pad(x, FRAME, 0, to=way.placed_size)
            way.forward(placed, kernels)
            middle = perf_counter()
            way.backward(placed, d_out)
            forward.append((middle - start) / n * 1e6)
            gradient.append((perf_counter() - middle) / n * 1e6)
    return {way: (min(forward), min(gradient)) for way, (forward, gradient) in times.items()}


def name(way):
    return f"{type(way).__name__} {way.rows}x{way.columns}"


if __name__ == "__main__":
    main()
