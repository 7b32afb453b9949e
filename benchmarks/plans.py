"""Compare the algorithm that the cost rule chooses for a convolution with all others.

    python benchmarks/plans.py               # about two minutes
    python benchmarks/plans.py --all         # every algorithm of every convolution

Times are microseconds per image on one thread, for a forward pass and a kernel gradient. The regret is the time of the
chosen algorithm divided by the time of the fastest one, in training: two passes, because the gradient with respect to
the input is a convolution too, and one kernel gradient.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from skcnn._kernels.feature_maps import pad
from skcnn._kernels.plan import algorithms, convolution, cost

# padded feature map, kernel, stride, channels, kernels
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
NO_PADDING = ((0, 0), (0, 0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    regrets = []
    with threadpool_limits(1, user_api="blas"):
        for shapes in CONVOLUTIONS:
            times = measured(shapes)
            chosen, best = convolution(*shapes), min(times, key=lambda algorithm: training(*times[algorithm]))
            regrets.append(training(*times[chosen]) / training(*times[best]))
            print(f"{shapes}: {name(chosen)} {times[chosen][0]:.1f} + {times[chosen][1]:.1f}", end=", ")
            print(f"fastest {name(best)} {times[best][0]:.1f} + {times[best][1]:.1f}, regret {regrets[-1]:.2f}")
            for algorithm, (forward, gradient) in times.items() if args.all else ():
                estimate = cost(algorithm) / 1000
                print(f"    {name(algorithm):20} {forward:8.1f} + {gradient:8.1f}, estimated {estimate:.1f}")
    print(f"regret: mean {np.mean(regrets):.2f}, largest {max(regrets):.2f}")


def training(forward, gradient):
    return 2 * forward + gradient


def measured(shapes):
    """{algorithm: (forward, gradient)}: the fastest of several rounds, each of which times every algorithm."""
    in_size, kernel_size, _, c, k = shapes
    n = int(np.clip(N_PIXELS // (in_size[0] * in_size[1]), 1, 64))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, *in_size, c)).astype(np.float32)
    W = rng.normal(size=(*kernel_size, c, k)).astype(np.float32)
    times = {algorithm: ([], []) for algorithm in algorithms(*shapes)}
    for _ in range(ROUNDS):
        for algorithm, (forward, gradient) in times.items():
            d_out = np.ones((n, *algorithm.out_size, k), np.float32)
            start = perf_counter()
            kernels = algorithm.prepare(W)
            padded = pad(x, NO_PADDING, 0, to=algorithm.padded_size)
            algorithm.forward(padded, kernels)
            middle = perf_counter()
            algorithm.backward(padded, d_out)
            forward.append((middle - start) / n * 1e6)
            gradient.append((perf_counter() - middle) / n * 1e6)
    return {algorithm: (min(forward), min(gradient)) for algorithm, (forward, gradient) in times.items()}


def name(algorithm):
    return f"{type(algorithm).__name__} {algorithm.rows}x{algorithm.columns}"


if __name__ == "__main__":
    main()
