"""The algorithm that is chosen to compute a convolution."""

from skcnn._kernels.convolution import Direct, Patches
from skcnn._kernels.plan import algorithms, convolution, cost
from skcnn._kernels.winograd import Winograd


def test_the_cheapest_algorithm_is_chosen():
    for given_shapes in [((32, 32), (5, 5), (1, 1), 6, 6), ((16, 16), (3, 3), (2, 2), 64, 64)]:
        algorithm = convolution(*given_shapes)
        assert cost(algorithm) == min(cost(other) for other in algorithms(*given_shapes))


def test_few_channels_are_tiled_and_many_are_not():
    few, many = (convolution((30, 30), (3, 3), (1, 1), *c) for c in ((1, 16), (64, 64)))
    assert few.columns > 1
    assert many.columns == 1
    assert isinstance(few, Patches)
    assert isinstance(many, Winograd)
    assert isinstance(convolution((30, 30), (3, 3), (2, 2), 64, 64), Direct)
