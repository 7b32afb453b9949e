"""The table of layers: the tests run every row through every property that a layer must have.

A new layer needs a row in `LAYERS`.
"""

import numpy as np
import pytest

from skcnn._trees import leaves
from skcnn.layers import (
    ELU,
    GELU,
    TRAIN,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    SpatialDropout2D,
    Tanh,
)

LAYERS = [
    pytest.param(Conv2D(2), (5, 4, 2), id="conv-3x3-same"),
    pytest.param(Conv2D(3, kernel_size=1), (4, 3, 2), id="conv-1x1"),
    pytest.param(Conv2D(2, kernel_size=1, stride=2, padding=1), (4, 3, 2), id="conv-1x1-stride-2-padding-1"),
    pytest.param(Conv2D(2, kernel_size=2), (4, 5, 1), id="conv-even-same"),
    pytest.param(Conv2D(2, kernel_size=4, padding="valid"), (5, 6, 1), id="conv-even-valid"),
    pytest.param(Conv2D(2, kernel_size=(2, 3)), (5, 4, 2), id="conv-rectangular-same"),
    pytest.param(Conv2D(2, kernel_size=(1, 4), padding="valid"), (3, 6, 2), id="conv-rectangular-valid"),
    pytest.param(Conv2D(2, stride=2), (5, 6, 2), id="conv-stride-2-same-odd-and-even"),
    pytest.param(Conv2D(2, kernel_size=2, stride=3), (7, 5, 1), id="conv-stride-above-kernel-same"),
    pytest.param(
        Conv2D(2, kernel_size=2, stride=(3, 4), padding="valid"), (7, 6, 1), id="conv-stride-above-kernel-valid"
    ),
    pytest.param(Conv2D(2, stride=(1, 2), padding="valid"), (4, 6, 1), id="conv-stride-pair-does-not-divide"),
    pytest.param(Conv2D(2, padding=2), (3, 4, 1), id="conv-padding-2"),
    pytest.param(Conv2D(2, kernel_size=2, padding=(3, 0), stride=2), (4, 5, 1), id="conv-padding-above-kernel"),
    pytest.param(Conv2D(2, padding=(0, 1), pad_value=-1.5), (4, 3, 2), id="conv-padding-pair-value"),
    pytest.param(Conv2D(2, kernel_size=5, pad_value=0.5), (3, 3, 1), id="conv-kernel-above-map-same-value"),
    pytest.param(Conv2D(2, bias="position"), (4, 3, 2), id="conv-bias-position"),
    pytest.param(
        Conv2D(2, stride=2, padding=1, bias="position", pad_value=2.0), (4, 5, 1), id="conv-bias-position-stride"
    ),
    pytest.param(Conv2D(2, bias=False), (4, 3, 2), id="conv-no-bias"),
    pytest.param(Conv2D(2), (1, 1, 3), id="conv-on-1x1-map"),
    pytest.param(Conv2D(1, kernel_size=(5, 4), padding="valid", bias="position"), (5, 4, 1), id="conv-whole-map"),
    pytest.param(Conv2D(2, initializer="lecun_normal"), (3, 3, 1), id="conv-initializer"),
    *(
        pytest.param(pool(*sizes), in_shape, id=f"{pool.__name__}-{name}")
        for pool in (MaxPool2D, MinPool2D, AvgPool2D)
        for name, sizes, in_shape in [
            ("default", (), (4, 6, 2)),
            ("does-not-divide", (2,), (5, 7, 2)),
            ("rectangular", ((3, 1),), (7, 3, 2)),
            ("overlapping", (3, 2), (7, 6, 2)),
            ("overlapping-step-1", ((2, 3), 1), (4, 5, 1)),
            ("stride-above-window", (2, 3), (7, 6, 2)),
            ("stride-pair", (2, (1, 3)), (4, 6, 1)),
            ("window-1", (1,), (2, 3, 2)),
            ("whole-map", ((3, 2),), (3, 2, 2)),
            ("1x1-map", (1, 2), (1, 1, 3)),
        ]
    ),
    pytest.param(GlobalAvgPool2D(), (3, 4, 2), id="global-avg"),
    pytest.param(GlobalAvgPool2D(), (1, 1, 3), id="global-avg-1x1-map"),
    *(
        pytest.param(layer, in_shape, id=f"{type(layer).__name__}-{len(in_shape)}d-{index}")
        for index, layer in enumerate(
            [
                ReLU(),
                LeakyReLU(),
                LeakyReLU(0.3),
                LeakyReLU(0.0),
                ELU(),
                ELU(0.5),
                GELU(),
                SiLU(),
                Tanh(),
                Sigmoid(),
                Softmax(),
                Dropout(),
                Dropout(0.0),
                Dropout(rate=0.2),
                BatchNorm(),
                BatchNorm(0.5, epsilon=0.1),
            ]
        )
        for in_shape in [(7,), (3, 4, 2)]
    ),
    pytest.param(GlobalMaxPool2D(), (3, 4, 2), id="global-max"),
    pytest.param(GlobalMaxPool2D(), (1, 1, 3), id="global-max-1x1-map"),
    pytest.param(SpatialDropout2D(rate=0.4), (3, 4, 5), id="spatial-dropout"),
    pytest.param(Residual([Conv2D(2), Tanh()]), (3, 4, 2), id="residual"),
    pytest.param(Residual((Conv2D(3, stride=2), Tanh(), Conv2D(3))), (5, 4, 2), id="residual-projection"),
    pytest.param(Residual([Conv2D(2, bias=False), BatchNorm(), Tanh(), Dropout(0.2)]), (3, 4, 2), id="residual-norm"),
    pytest.param(Residual([ReLU(), Conv2D(3), Dropout(0.3)]), (3, 4, 2), id="residual-dropout-and-activation-first"),
    pytest.param(Residual([Residual([Conv2D(2)]), Conv2D(4)]), (3, 3, 2), id="residual-nested"),
    pytest.param(Residual([Dense(5), Tanh()]), (5,), id="residual-rows"),
    pytest.param(Sequential([Conv2D(2), Tanh(), MaxPool2D()]), (5, 4, 2), id="sequential"),
    pytest.param(Sequential((ReLU(),)), (3,), id="sequential-of-one"),
    pytest.param(Sequential([Flatten(), Dense(4), Dense(3, bias=False)]), (3, 2, 2), id="sequential-to-rows"),
    pytest.param(Sequential([MaxPool2D(), LeakyReLU()]), (4, 5, 2), id="sequential-without-parameters"),
    pytest.param(
        Sequential([Conv2D(2, bias=False), BatchNorm(), Tanh(), Dropout(0.2)]), (3, 4, 2), id="sequential-norm-dropout"
    ),
    pytest.param(
        Sequential([Tanh(), Sequential([Conv2D(3, stride=2, bias=False), BatchNorm()]), Sequential([Dropout(0.3)])]),
        (5, 4, 2),
        id="sequential-nested",
    ),
    pytest.param(
        Residual([Sequential([Conv2D(2, bias=False), BatchNorm()]), Sequential([Tanh(), Conv2D(3, stride=2)])]),
        (5, 4, 2),
        id="sequential-in-residual",
    ),
    pytest.param(
        Sequential(
            [Residual([Conv2D(3, bias=False), BatchNorm(), ReLU()]), Residual([Dropout(0.2), Conv2D(3)]), Flatten()]
        ),
        (3, 4, 2),
        id="residual-in-sequential",
    ),
    pytest.param(Flatten(), (3, 4, 2), id="flatten-map"),
    pytest.param(Flatten(), (5,), id="flatten-row"),
    pytest.param(Dense(4), (6,), id="dense"),
    pytest.param(Dense(3, bias=False), (5,), id="dense-no-bias"),
    pytest.param(Dense(1, initializer="zeros"), (1,), id="dense-1-to-1"),
]
every_layer = pytest.mark.parametrize(("layer", "in_shape"), LAYERS)
# those that compute the same in training and prediction, whatever samples are in the batch
plain_layers = [row for row in LAYERS if not (row.values[0].depends_on_batch or row.values[0].draws)]
every_plain_layer = pytest.mark.parametrize(("layer", "in_shape"), plain_layers)
both_precisions = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])


def numbers(shape, rng):
    """Return numbers in (-1, 1) that are far from 0 and from each other: a small step meets no kink and no tie."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + 0.25) / size * 2 - 1).reshape(shape)


def made(layer, in_shape, dtype=np.float64, n=3):
    """Return parameters, input and output gradient. All are random: biases of 0 would hide errors."""
    rng = np.random.default_rng(0)
    params = layer.init(in_shape, rng, dtype)
    for _, array in leaves(params):
        array[...] = rng.normal(size=array.shape)
    x, d_out = numbers((n, *in_shape), rng), rng.normal(size=(n, *layer.out_shape(in_shape)))
    return params, x.astype(dtype), d_out.astype(dtype)


def training():
    """The context of a training pass; what is drawn in it is the same every time."""
    return TRAIN._replace(rng=np.random.default_rng(0))


def trained(layer, params, x):
    """The output of a training pass."""
    return layer.apply(params, x, training())


def passed(layer, params, x, d_out):
    """Everything a training step computes, by name."""
    d_x, grads = layer.gradient(params, x, d_out, training())
    return {"out": trained(layer, params, x), "d_x": d_x, **dict(leaves(grads))}
