"""Every layer through every property that the contract of layers states. A new layer needs a row in `LAYERS`."""

import copy
import itertools
import pickle
import re
from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest

from skcnn import layers
from skcnn._engine.workers import Shard
from skcnn._trees import leaves
from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    Layer,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Softmax,
    SpatialDropout2D,
    Tanh,
)
from skcnn.network import Network
from tests.layers.reference import numeric_gradient, relative_error

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
    pytest.param(Conv2D(2, bias=None), (4, 3, 2), id="conv-no-bias"),
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
    pytest.param(Residual([Conv2D(2, bias=None), BatchNorm(), Tanh(), Dropout(0.2)]), (3, 4, 2), id="residual-norm"),
    pytest.param(Residual([ReLU(), Conv2D(3), Dropout(0.3)]), (3, 4, 2), id="residual-dropout-and-activation-first"),
    pytest.param(Residual([Residual([Conv2D(2)]), Conv2D(4)]), (3, 3, 2), id="residual-nested"),
    pytest.param(Residual([Dense(5), Tanh()]), (5,), id="residual-rows"),
    pytest.param(Flatten(), (3, 4, 2), id="flatten-map"),
    pytest.param(Flatten(), (5,), id="flatten-row"),
    pytest.param(Dense(4), (6,), id="dense"),
    pytest.param(Dense(3, use_bias=False), (5,), id="dense-no-bias"),
    pytest.param(Dense(1, initializer="zeros"), (1,), id="dense-1-to-1"),
]
every_layer = pytest.mark.parametrize(("layer", "in_shape"), LAYERS)
# those that compute the same in training and prediction, whatever the rows beside a row
plain_layers = [row for row in LAYERS if not (row.values[0].couples_rows or row.values[0].is_random)]
every_plain_layer = pytest.mark.parametrize(("layer", "in_shape"), plain_layers)
both_precisions = pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])


def numbers(shape, rng):
    """Numbers in (-1, 1), far enough from 0 and from each other that a small step meets no kink and no tie."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + 0.25) / size * 2 - 1).reshape(shape)


def made(layer, in_shape, dtype=np.float64, n=3):
    """Parameters, input and output gradient; all parameters random, since biases at their start of 0 prove nothing."""
    rng = np.random.default_rng(0)
    params, out_shape = layer.build(in_shape, rng, dtype)
    for _, array in leaves(params):
        array[...] = rng.normal(size=array.shape)
    return params, numbers((n, *in_shape), rng).astype(dtype), rng.normal(size=(n, *out_shape)).astype(dtype)


def forward(layer, params, x):
    """A training pass; what is random in it is the same every time."""
    meets = {"state": layer.initial_state(x.shape[1:], x.dtype), "shard": Shard(len(x))} if layer.couples_rows else {}
    return layer.forward(params, x, train=True, rng=np.random.default_rng(0), **meets)


def backward(layer, params, cache, d_out, **options):
    if layer.couples_rows:
        _, cache = cache
        options["shard"] = Shard(len(d_out))
    return layer.backward(params, cache, d_out, **options)


def predicted(layer, params, x):
    meets = {"state": layer.initial_state(x.shape[1:], x.dtype), "shard": None} if layer.couples_rows else {}
    return layer.forward(params, x, **meets)


def passed(layer, params, x, d_out):
    """Everything a training step computes, by name."""
    out, cache = forward(layer, params, x)
    d_x, grads = backward(layer, params, cache, d_out)
    return {"out": out, "d_x": d_x, **dict(leaves(grads))}


def gradient_errors(layer, in_shape):
    params, x, d_out = made(layer, in_shape)

    def value():
        return (forward(layer, params, x)[0] * d_out).sum()

    results = passed(layer, params, x, d_out)
    return {
        name: relative_error(results[name], numeric_gradient(value, array))
        for name, array in {"d_x": x, **dict(leaves(params))}.items()
    }


def test_every_public_layer_has_a_row():
    assert {type(row.values[0]).__name__ for row in LAYERS} == set(layers.__all__) - {"Layer"}


@every_layer
def test_gradients_are_those_of_central_differences(layer, in_shape):
    errors = gradient_errors(layer, in_shape)
    assert max(errors.values()) < 1e-6, errors


@dataclass(frozen=True, repr=False)
class _WrongByLittle(Dense):
    """Its gradients are wrong by a hundred-thousandth, one at a time."""

    wrong: str = "d_x"

    def backward(self, params, cache, d_out, *, need_d_x=True):
        d_x, grads = super().backward(params, cache, d_out)
        gradient = {"d_x": d_x, **grads}[self.wrong]
        gradient.flat[np.abs(gradient).argmax()] *= 1 + 1e-5
        return d_x, grads


@pytest.mark.parametrize("name", ["d_x", "W", "b"])
def test_the_gradient_check_finds_a_wrong_gradient(name):
    errors = gradient_errors(_WrongByLittle(4, wrong=name), (6,))
    assert errors.pop(name) > 1e-6
    assert max(errors.values()) < 1e-6


@every_layer
def test_shapes_are_as_build_promised(layer, in_shape):
    params, out_shape = layer.build(in_shape, np.random.default_rng(0), np.float32)
    _, x, d_out = made(layer, in_shape, np.float32)
    results = passed(layer, params, x, d_out)
    assert results.pop("out").shape == (3, *out_shape)
    assert results.pop("d_x").shape == (3, *in_shape)
    assert {name: g.shape for name, g in results.items()} == {name: p.shape for name, p in leaves(params)}
    assert all(type(length) is int for length in out_shape)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(layer, in_shape, dtype):
    built, _ = layer.build(in_shape, np.random.default_rng(0), dtype)
    results = passed(layer, *made(layer, in_shape, dtype))
    assert {array.dtype for array in [*dict(leaves(built)).values(), *results.values()]} == {np.dtype(dtype)}


@every_layer
@pytest.mark.parametrize("n", [1, 3])
def test_nothing_given_is_written_to_or_handed_on_as_gradient(layer, in_shape, n):
    params, x, d_out = given = made(layer, in_shape, n=n)
    arrays = [x, d_out, *dict(leaves(params)).values()]
    before = copy.deepcopy(given)
    for writeable in (True, False):
        for array in arrays:
            array.flags.writeable = writeable
        results = passed(layer, *given)
        np.testing.assert_equal(given, before)
    # training adds to the gradients of the parameters, so these must not be anybody else's memory
    owned = [results[name] for name, _ in leaves(params)]
    assert all(gradient.flags.writeable for gradient in owned)
    assert not any(np.shares_memory(gradient, array) for gradient in owned for array in arrays)


@every_plain_layer
@both_precisions
def test_a_batch_is_its_images_one_by_one(layer, in_shape, dtype, tolerance):
    params, x, d_out = made(layer, in_shape, dtype)
    together = passed(layer, params, x, d_out)
    alone = [passed(layer, params, x[i : i + 1], d_out[i : i + 1]) for i in range(len(x))]
    for name, result in together.items():
        combine = np.concatenate if name in ("out", "d_x") else sum
        expected = combine([one[name] for one in alone])
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance, err_msg=name)


@every_layer
def test_prediction_computes_the_same_and_keeps_nothing(layer, in_shape):
    params, x, _ = made(layer, in_shape)
    before = pickle.dumps((layer, params))
    out, cache = predicted(layer, params, x)
    assert cache is None
    assert pickle.dumps((layer, params)) == before
    np.testing.assert_array_equal(out, predicted(layer, params, x)[0])
    if not (layer.couples_rows or layer.is_random):
        np.testing.assert_array_equal(out, forward(layer, params, x)[0])


@every_layer
def test_gradients_of_parameters_do_not_need_that_of_the_input(layer, in_shape):
    params, x, d_out = made(layer, in_shape)
    _, cache = forward(layer, params, x)
    _, grads = backward(layer, params, cache, d_out, need_d_x=False)
    expected = passed(layer, params, x, d_out)
    grads = dict(leaves(grads))
    assert grads.keys() == dict(leaves(params)).keys()
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, expected[name])


@every_layer
def test_a_layer_is_a_value(layer, in_shape):
    for name in [*(f.name for f in fields(layer)), "anything"]:
        with pytest.raises(FrozenInstanceError):
            setattr(layer, name, 1)
    again = type(layer)(**{f.name: getattr(layer, f.name) for f in fields(layer)})
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), eval(repr(layer), vars(layers))):
        assert other == layer
        assert hash(other) == hash(layer)


def test_layers_are_equal_exactly_when_they_print_the_same():
    for one, other in itertools.combinations([row.values[0] for row in LAYERS], 2):
        assert (one == other) == (repr(one) == repr(other))


def test_parameters_start_where_the_documentation_says():
    for layer, in_shape in [(Conv2D(3, bias="position"), (4, 5, 2)), (Conv2D(3), (4, 5, 2)), (Dense(3), (5,))]:
        params, _ = layer.build(in_shape, np.random.default_rng(0), np.float64)
        assert not params["b"].any()
        assert params["W"].all()
    assert Conv2D(3, bias="position").build((4, 5, 2), np.random.default_rng(0), np.float64)[0]["b"].shape == (4, 5, 3)
    assert Conv2D(3, bias=None).build((4, 5, 2), np.random.default_rng(0), np.float64)[0].keys() == {"W"}


@pytest.mark.parametrize("layer", [Conv2D(2), Conv2D(2, kernel_size=1, padding="valid"), MaxPool2D(2)], ids=repr)
def test_an_input_of_any_memory_layout_gives_the_same(layer):
    params, x, d_out = made(layer, (4, 5, 3))
    expected = passed(layer, params, x, d_out)
    results = passed(layer, params, np.asfortranarray(x), np.asfortranarray(d_out))
    for name, result in results.items():
        np.testing.assert_allclose(result, expected[name], rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("layer", [MaxPool2D(2), MinPool2D(2), MaxPool2D(3, 1), MinPool2D((3, 2), (2, 1))], ids=repr)
@pytest.mark.parametrize("constant", [0.0, -1.0, 1.0])
def test_each_window_of_equal_pixels_has_one_winner(layer, constant):
    in_shape, size = (7, 6, 2), np.atleast_1d(layer.pool_size)
    params, x, d_out = made(layer, in_shape)
    x = np.full_like(x, constant)
    _, cache = layer.forward(params, x, train=True)
    d_x, _ = layer.backward(params, cache, np.ones_like(d_out))
    step = size if layer.stride is None else np.atleast_1d(layer.stride)
    # the winner is the corner, and corners of different windows are different pixels
    expected = np.zeros_like(x)
    expected[:, : d_out.shape[1] * step[0] : step[0], : d_out.shape[2] * step[-1] : step[-1]] = 1
    np.testing.assert_array_equal(d_x, expected)
    weighted, _ = layer.backward(params, cache, d_out)
    assert weighted.sum() == pytest.approx(d_out.sum(), rel=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 70_000), (2, 300, 300, 1), (1, 70_000), (3, 2, 70_000, 1), (0, 4, 4, 1)])
def test_relu_of_large_and_of_no_images(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(ReLU().forward({}, x)[0], np.where(x > 0, x, 0))


def test_row_59_dropout_of_nothing_and_of_all():
    x = np.ones((2, 3))
    np.testing.assert_array_equal(forward(Dropout(0.0), {}, x)[0], x)
    for rate in (1, 1.5):
        with pytest.raises(ValueError, match="rate must be a number in"):
            Dropout(rate)


@pytest.mark.parametrize("layer", [Dropout(0.25), SpatialDropout2D(0.25)], ids=repr)
def test_dropout_leaves_out_its_part_and_keeps_the_expected_value(layer):
    x = np.ones((40, 5, 5, 40))
    out, _ = forward(layer, {}, x)
    assert set(np.unique(out)) == {0.0, 1 / 0.75}
    assert out.mean() == pytest.approx(1, abs=0.05)
    of_maps = out.reshape(40, 25, 40)
    assert (of_maps == of_maps[:, :1]).all() == isinstance(layer, SpatialDropout2D)
    np.testing.assert_array_equal(forward(layer, {}, x.astype(np.float32))[0] > 0, out > 0)
    np.testing.assert_array_equal(predicted(layer, {}, x)[0], x)


@pytest.mark.parametrize("layers", [[], "conv", [ReLU], Conv2D(2), None])
def test_a_residual_needs_layers(layers):
    with pytest.raises(ValueError, match="Residual: layers must be a sequence of at least one layer"):
        Residual(layers)


@pytest.mark.parametrize(
    ("layers", "in_shape", "text"),
    [
        ([Conv2D(2), Dense(3)], (4, 4, 1), r"layers\[1\] Dense\(n_units=3\): needs rows"),
        ([Conv2D(2, kernel_size=2, padding="valid")], (4, 4, 1), "no stride leads from 4x4x1 to 3x3x2"),
        ([Conv2D(2), Flatten()], (4, 4, 1), "no stride leads from 4x4x1 to 32"),
        ([Dense(3)], (5,), "needs maps"),
    ],
)
def test_a_residual_whose_shortcut_does_not_fit(layers, in_shape, text):
    with pytest.raises(ValueError, match=text):
        Residual(layers).build(in_shape, np.random.default_rng(0), np.float64)


def test_a_residual_is_its_layers_and_its_shortcut():
    block = Residual([Conv2D(3, stride=2), ReLU(), MaxPool2D(1)])
    params, x, _ = made(block, (5, 4, 2))
    out = predicted(block, params, x)[0]
    hidden = ReLU().forward({}, Conv2D(3, stride=2).forward(params["0"], x)[0])[0]
    shortcut = Conv2D(3, 1, 2, bias=None).forward(params["projection"], x)[0]
    np.testing.assert_allclose(out, hidden + shortcut, rtol=1e-12)
    assert block.window((5, 4, 2)) == ((3, 3), (2, 2))
    assert block.multiply_adds((5, 4, 2), (3, 2, 3)) == 9 * 2 * 6 * 3 + 2 * 6 * 3


def test_relu_has_no_gradient_at_zero():
    x = np.array([[-1.0, -0.0, 0.0, 1.0]])
    assert passed(ReLU(), {}, x, np.ones_like(x))["d_x"].tolist() == [[0, 0, 0, 1]]
    assert passed(LeakyReLU(0.25), {}, x, np.ones_like(x))["d_x"].tolist() == [[0.25, 0.25, 0.25, 1]]


@both_precisions
def test_links_are_stable_at_large_inputs(dtype, tolerance):
    x = np.array([[-1e4, 0, 1e4], [1e4, 1e4, -1e4]], dtype)
    np.testing.assert_allclose(Softmax().forward({}, x)[0], [[0, 0, 1], [0.5, 0.5, 0]], atol=tolerance)
    np.testing.assert_allclose(Sigmoid().forward({}, x)[0], [[0, 0.5, 1], [1, 1, 0]], atol=tolerance)


SIZE = "an int of at least 1 or a pair (rows, columns) of them"
PADDING = "'same', 'valid', an int of at least 0 or a pair of them"
BAD_SIZES = [0, -1, True, 2.0, "3", (3,), (3, 3, 3), (3, 0), (2.0, 3), (True, 3), (), [3, 3]]
POOLS = (MaxPool2D, MinPool2D, AvgPool2D)
BAD_FIELDS = [
    *((Conv2D, "n_kernels", bad, "an int of at least 1") for bad in [0, -2, True, 2.0, "6", None, (3, 3)]),
    *((Conv2D, "kernel_size", bad, SIZE) for bad in [*BAD_SIZES, None]),
    *((Conv2D, "stride", bad, SIZE) for bad in [*BAD_SIZES, None]),
    *((Conv2D, "padding", bad, PADDING) for bad in [-1, True, 1.0, (1,), (1, 1, 1), (0, -1), [1, 1], "full", "", None]),
    *((Conv2D, "pad_value", bad, "a finite number") for bad in [np.nan, np.inf, -np.inf, "0", True, None]),
    *((Conv2D, "bias", bad, "'kernel', 'position' or None") for bad in ["channel", True, False, 0]),
    *((layer, "initializer", bad, "callable or one of (") for layer in (Conv2D, Dense) for bad in ["he", "", None, 1]),
    *((Dense, "n_units", bad, "an int of at least 1") for bad in [0, -2, False, 10.0, "10", None]),
    *((Dense, "use_bias", bad, "a bool") for bad in [1, 0, None, "kernel"]),
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
    params, out_shape = layer.build((4, 4, 1), np.random.default_rng(0), np.float64)
    assert (params["W"].shape, out_shape) == ((3, 2, 1, 2), (4, 5, 2))
    assert all(type(length) is int for length in out_shape)


def one_number(shape, rng):
    return np.ones(1)


NEEDS_MAPS = "needs maps (h, w, c), got rows of shape (18,)"
NEEDS_ROWS = "needs rows, got maps of shape (3, 3, 2)"


# each stands fourth, on maps of 3x3x2 or, after Flatten, rows of 18
@pytest.mark.parametrize(
    ("before", "layer", "text"),
    [
        (ReLU(), Conv2D(4, kernel_size=5, padding="valid"), "kernel 5x5 does not fit the 3x3 map"),
        (ReLU(), Conv2D(4, kernel_size=(1, 4), padding=0), "kernel 1x4 does not fit the 3x3 map"),
        (ReLU(), Conv2D(4, kernel_size=6, padding=1), "kernel 6x6 does not fit the 3x3 map (5x5 with its padding)"),
        (
            ReLU(),
            Conv2D(4, kernel_size=4, padding=(2, 0)),
            "kernel 4x4 does not fit the 3x3 map (7x3 with its padding)",
        ),
        (ReLU(), MaxPool2D(4), "window 4x4 does not fit the 3x3 map"),
        (ReLU(), MinPool2D((4, 1)), "window 4x1 does not fit the 3x3 map"),
        (ReLU(), AvgPool2D((1, 4), stride=1), "window 1x4 does not fit the 3x3 map"),
        (ReLU(), Dense(10), NEEDS_ROWS),
        (Flatten(), Conv2D(4), NEEDS_MAPS),
        (Flatten(), MaxPool2D(), NEEDS_MAPS),
        (Flatten(), GlobalAvgPool2D(), NEEDS_MAPS),
        (
            ReLU(),
            Conv2D(4, kernel_size=2, initializer=one_number),
            f"initializer {one_number!r} returned shape (1,), needed (2, 2, 2, 4)",
        ),
    ],
    ids=lambda value: repr(value).split(" at 0x")[0] if isinstance(value, Layer) else "",
)
def test_what_does_not_fit_is_refused_by_build_with_the_layer_s_place(before, layer, text):
    stack = [Conv2D(2), MaxPool2D(2), before, layer, ReLU()]
    with pytest.raises(ValueError, match=f"^{re.escape(f'layers[3] {layer!r}: {text}')}(;.*)?$"):
        Network.build(stack, (6, 7, 1), np.random.default_rng(0), np.float32)


def test_a_global_mean_keeps_its_digits_on_large_maps():
    x = np.full((1, 600, 600, 2), 0.1, dtype=np.float32)
    np.testing.assert_allclose(GlobalAvgPool2D().forward({}, x)[0], 0.1, rtol=1e-6)


def test_a_layer_with_half_a_way_is_refused():
    """The inherited identity would be a wrong gradient that nobody notices."""
    with pytest.raises(TypeError, match="Square must define forward and backward, or neither"):

        class Square(Layer):
            def forward(self, params, x, *, train=False, rng=None):
                return x * x, x
