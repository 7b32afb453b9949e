"""Layers that compute with compiled kernels give what the layers that they replace give."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from skcnn._engine import compiled_convolution
from skcnn._engine.compiled_convolution import CompiledConvolution, CompiledNormedConvolution
from skcnn._engine.compiled_layers import CompiledDense
from skcnn._engine.compiled_norm import CompiledNorm
from skcnn._engine.lowering import lower
from skcnn._engine.numpy_settings import set_numpy
from skcnn._engine.sharding import cut
from skcnn._engine.workers import Workers
from skcnn._kernels.compiled import compiler
from skcnn._trees import leaves
from skcnn.layers import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from skcnn.layers.base import Context, alone
from skcnn.network import Network
from tests.scripts import run_script

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}  # of the sum of the magnitudes


def run(chain, backend, x, d_out, params, state=()):
    """Return the outputs, and in training the gradients, of a lowered chain."""
    context = Context(train=d_out is not None, state=dict(state), n_samples=len(x))
    lowered = lower(chain, x.shape[1:], train=context.train, backend=backend)
    prepared = lowered.prepare(params, x.shape[1:], context)
    out, caches = lowered.forward(prepared, x, context)
    if d_out is None:
        return out, None, {}
    d_x, d_prepared = lowered.backward(prepared, caches, d_out, context)
    return out, d_x, lowered.gradients(prepared, d_prepared)


def magnitudes(chain, x, d_out, params):
    """Return the results if all terms of all sums were positive, to which rounding errors are relative."""
    conv = Sequential([layer for layer in chain.layers if isinstance(layer, Conv2D)])
    params = {"0": {name: np.abs(array) for name, array in params["0"].items()}}
    return run(conv, "numpy", np.abs(x), d_out, params)


@st.composite
def convolutions(draw):
    """Draw a convolution, what follows it, and the shape of its input."""
    c, k = draw(st.sampled_from([(1, 3), (3, 8), (8, 8), (9, 17)]))
    if draw(st.integers(0, 3)):
        kernels, strides, pools = [3, 5, 1, (2, 3), (4, 1), (3, 5)], [1, 1, 1, 2, (1, 3)], [2, 3, (1, 2)]
        paddings, shape = ["same", "valid", 1, (0, 2), 4], (draw(st.integers(5, 14)), draw(st.integers(5, 14)), c)
    else:  # signals
        kernels, strides, pools = [(1, 3), (1, 20)], [1, (1, 2), (1, 5)], [(1, 2), (1, 3)]
        paddings, shape = ["same", "valid", (0, 9)], (1, draw(st.integers(35, 50)), c)
    conv = Conv2D(
        k,
        draw(st.sampled_from(kernels)),
        stride=draw(st.sampled_from(strides)),
        padding=draw(st.sampled_from(paddings)),
        bias=draw(st.booleans()),
    )
    layers = [conv, ReLU()] if draw(st.booleans()) else [conv]
    pool = draw(st.sampled_from([MaxPool2D, MinPool2D]))(
        draw(st.sampled_from(pools)), draw(st.sampled_from([None, 1, 2, 3]))
    )
    size = np.minimum(conv.out_shape(shape)[:2], pool.windows()[0])
    layers += [pool] if tuple(size) == pool.windows()[0] and draw(st.booleans()) else []
    return Sequential(layers), shape, draw(st.integers(1, 5)), draw(st.integers(0, 2**32 - 1))


@pytest.fixture
def limit(monkeypatch):
    """Return a function that sets constants of the plans of convolutions."""

    def set_constants(**constants):
        compiled_convolution._plan.cache_clear()
        for name, value in constants.items():
            monkeypatch.setattr(compiled_convolution, name, value)

    yield set_constants
    compiled_convolution._plan.cache_clear()


@pytest.mark.parametrize("n_examples", [60, pytest.param(2_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("bytes_in_cache", [2**20, 2**16, 2**12])  # with few, small images are computed in many blocks
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_they_give_what_numpy_gives(dtype, bytes_in_cache, n_examples, limit):
    limit(BYTES_IN_CACHE=bytes_in_cache)

    @settings(max_examples=n_examples, deadline=None)
    @given(convolutions())
    def check(drawn):
        chain, shape, n, seed = drawn
        rng = np.random.default_rng(seed)
        params = chain.init(shape, rng, np.float64)
        if "b" in params["0"]:
            params["0"]["b"] = rng.normal(size=params["0"]["b"].shape)
        x = rng.normal(size=(n, *shape))
        d_out = rng.normal(size=(n, *chain.out_shape(shape)))
        given = run(chain, "numba", x.astype(dtype), d_out.astype(dtype), cast(params, dtype))
        rounded = cast(params, dtype)
        exact = run(chain, "numpy", as_double(x, dtype), as_double(d_out, dtype), cast(rounded, "float64"))
        prediction = run(chain, "numba", x.astype(dtype), None, rounded)[0]
        conv = chain.layers[0]
        limits = magnitudes(chain, x, np.ones((n, *conv.out_shape(shape))), params)
        check_close(given[0], exact[0], np.abs(limits[0]).max(), dtype)
        check_close(prediction, exact[0], np.abs(limits[0]).max(), dtype)
        if dtype == "float64":  # in float32, another pixel of two nearly equal ones may win, or ReLU may differ near 0
            check_close(given[1], exact[1], np.abs(limits[1]).max() * np.abs(d_out).max(), dtype)
            for name, gradient in exact[2]["0"].items():
                limit = np.abs(limits[2]["0"][name]).max() * np.abs(d_out).max()
                check_close(given[2]["0"][name], gradient, limit, dtype)

    check()


def cast(params, dtype):
    return {"0": {name: array.astype(dtype) for name, array in params["0"].items()}}


def as_double(x, dtype):
    return x.astype(dtype).astype(np.float64)


def check_close(given, exact, limit, dtype):
    assert given.dtype == dtype
    assert given.shape == exact.shape
    assert np.abs(given - exact).max(initial=0) <= TOLERANCE[dtype] * limit


@pytest.mark.parametrize("kernel", [3, 5, (2, 3)])
def test_gradients_in_float32(kernel):
    rng = np.random.default_rng(0)
    for c, k in ((1, 3), (8, 8), (16, 9)):
        chain, shape = Sequential([Conv2D(k, kernel)]), (11, 13, c)
        params, x = chain.init(shape, rng, np.float32), rng.normal(size=(7, *shape)).astype(np.float32)
        d_out = rng.normal(size=(7, *chain.out_shape(shape))).astype(np.float32)
        given = run(chain, "numba", x, d_out, params)
        exact = run(chain, "numpy", x.astype(float), d_out.astype(float), cast(params, "float64"))
        limits = magnitudes(chain, x.astype(float), np.abs(d_out).astype(float), cast(params, "float64"))
        check_close(given[1], exact[1], np.abs(limits[1]).max(), "float32")
        for name, gradient in exact[2]["0"].items():
            check_close(given[2]["0"][name], gradient, np.abs(limits[2]["0"][name]).max(), "float32")


LAYERS = {
    "winograd": ((9, 10, 8), Conv2D(8)),
    "winograd of 5x5": ((9, 10, 8), Conv2D(8, 5)),
    "shifted": ((9, 10, 2), Conv2D(3)),
    "rows": ((9, 10, 5), Conv2D(3)),
    "rows, direct": ((9, 10, 5), Conv2D(3, stride=2)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "following",
    [[], [ReLU()], [MaxPool2D(2)], [ReLU(), MinPool2D(2)], [MaxPool2D(3)], [ReLU(), MinPool2D((1, 2), 1)]],
    ids=repr,
)
def test_what_is_not_finite_stays(name, value, following, rng):
    shape, conv = LAYERS[name]
    chain = Sequential([conv, *following])
    params, x = chain.init(shape, rng, np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    x[1, 4, 4] = value
    out = run(chain, "numba", x, None, params)[0]
    assert np.isfinite(out[0]).all()
    if np.isnan(value):
        ones = {"0": {"W": np.ones_like(params["0"]["W"])}}
        pools = [MaxPool2D(layer.pool_size, layer.stride) for layer in following if not isinstance(layer, ReLU)]
        sees_it = run(Sequential([conv, *pools]), "numpy", 1.0 * np.isnan(x), None, ones)[0] > 0.5
        assert np.isnan(out[sees_it]).all()
        assert sees_it.any()
    elif not following:
        assert not np.isfinite(out[1]).all()


@pytest.mark.parametrize(
    ("shape", "bytes_in_cache", "tiling"), [((40, 30, 8), 500_000, (4, 2, 15)), ((6, 70, 8), 2**12, (4, 1, 16))]
)
def test_large_images_are_computed_in_blocks(shape, bytes_in_cache, tiling, limit, rng):
    """Winograd's values of a whole image would need too much memory."""
    chain = Sequential([Conv2D(8), ReLU()])
    params, x, d_out = chain.init(shape, rng, np.float64), rng.normal(size=(2, *shape)), rng.normal(size=(2, *shape))
    expected = run(chain, "numba", x, d_out, params)
    limit(MOST_BYTES=1000, BYTES_IN_CACHE=bytes_in_cache)
    assert compiled_convolution._plan(8, 3, 1, "same", shape, np.dtype(np.float64)).tiling.rows == tiling
    given = run(chain, "numba", x, d_out, params)
    np.testing.assert_allclose(given[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(given[1], expected[1], atol=1e-12)
    np.testing.assert_allclose(given[2]["0"]["W"], expected[2]["0"]["W"], atol=1e-10)


def test_ties_have_one_winner_the_first():
    chain = Sequential([Conv2D(2, 1, bias=False), MaxPool2D(2)])
    x = np.ones((1, 4, 4, 1))
    _, d_x, _ = run(chain, "numba", x, np.ones((1, 2, 2, 2)), {"0": {"W": np.ones((1, 1, 1, 2))}})
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 2
    np.testing.assert_array_equal(d_x[0, :, :, 0], expected)


@pytest.mark.parametrize("k", [2, 16])
@pytest.mark.parametrize("pool", [MaxPool2D(3), MaxPool2D((1, 2)), MinPool2D(3, 2), MaxPool2D(2, 1)], ids=repr)
def test_ties_have_numpys_winner(pool, k, rng):
    chain = Sequential([Conv2D(k, 1, bias=False), pool])
    x, params = np.ones((2, 7, 8, 1)), {"0": {"W": np.ones((1, 1, 1, k))}}
    d_out = rng.normal(size=(2, *chain.out_shape((7, 8, 1))))
    given, expected = (run(chain, backend, x, d_out, params)[1] for backend in ("numba", "numpy"))
    np.testing.assert_allclose(given, expected, atol=1e-12)


@pytest.mark.parametrize("layer", [Conv2D(3, stride=2**62), MaxPool2D(2, 2**62)], ids=repr)
def test_strides_may_be_very_large(layer, rng):
    chain, shape = Sequential([Conv2D(4, bias=False), layer]), (9, 10, 3)
    params, x = chain.init(shape, rng, np.float64), rng.normal(size=(2, *shape))
    d_out = rng.normal(size=(2, *chain.out_shape(shape)))
    given, expected = (run(chain, backend, x, d_out, params) for backend in ("numba", "numpy"))
    np.testing.assert_allclose(given[0], expected[0], atol=1e-12)
    np.testing.assert_allclose(given[1], expected[1], atol=1e-12)


def test_settings_of_a_layer_need_not_be_hashable(rng):
    """A dataclass with a method for comparison, as it has by default, is not."""

    @dataclass
    class Ones:
        factor: float

        def __call__(self, shape, rng):
            return np.full(shape, self.factor)

    network = Network.build([Conv2D(8, initializer=Ones(0.5))], (8, 8, 1), rng, np.float64)
    network.predict(np.ones((1, 8, 8, 1)), backend="numba")


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Conv2D(8), ReLU(), MaxPool2D(2)], (8, 8, 8)),
        ([Conv2D(8)], (8, 8, 1)),
        ([Conv2D(8, stride=2)], (8, 8, 8)),
        ([Conv2D(8), BatchNorm(), ReLU()], (8, 8, 8)),
        ([Dense(3), ReLU()], (5,)),
        ([BatchNorm()], (5,)),
    ],
    ids=repr,
)
def test_no_array_makes_a_kernel_compile_anew(layers, shape, rng):
    network = Network.build(layers, shape, rng, np.float64)
    x = rng.normal(size=(4, *shape))
    d_out = rng.normal(size=(4, *network.shapes[-1]))
    network.predict(x, backend="numba")
    expected = step(network, "numba", x, d_out, None, 1)
    n_compiled = n_signatures()
    read_only = x.copy()
    read_only.flags.writeable = False
    for other, d in (
        (read_only, d_out),
        (np.asfortranarray(x), np.asfortranarray(d_out)),
        (np.broadcast_to(x[:1], x.shape), d_out),
        (x.astype(np.float32), d_out),
    ):
        given = step(network, "numba", other, d, None, 1)
        assert other is not read_only or all(np.array_equal(*pair) for pair in zip(given, expected, strict=True))
    for _, array in leaves([network.params, network.states]):  # as if they were in a file that is mapped to memory
        array.flags.writeable = False
    network.predict(x, backend="numba")
    again = step(network, "numba", x, d_out, None, 1)
    assert all(np.array_equal(*pair) for pair in zip(again, expected, strict=True))
    assert n_signatures() == n_compiled


def n_signatures():
    return sum(len(function.signatures) for function in compiler._functions)


def test_which_layers_are_joined():
    compiled = CompiledConvolution, CompiledNorm, CompiledNormedConvolution, CompiledDense

    def joined(*layers, train=True):
        chain = lower(Sequential(layers), (12, 12, 3), train=train, backend="numba")
        return [operation.sources for operation in chain.operations if type(operation.layer) in compiled]

    class Own(ReLU):
        """It may compute anything."""

    assert joined(Conv2D(4), ReLU(), MaxPool2D(2), Conv2D(4)) == [("0", "1", "2"), ("3",)]
    assert joined(Conv2D(4), BatchNorm(), ReLU(), Conv2D(4)) == [("0", "1", "2"), ("3",)]
    assert joined(Conv2D(4), ReLU(), BatchNorm(), ReLU()) == [("0", "1"), ("2", "3")]
    assert joined(BatchNorm(), Flatten(), Dense(3), BatchNorm()) == [("0",), ("2",), ("3",)]
    assert joined(Flatten(), Dense(3), ReLU(), Dense(2), train=False) == [("1", "2"), ("3",)]
    assert joined(Flatten(), Dense(3), BatchNorm(), train=False) == []
    assert joined(BatchNorm(), train=False) == []
    assert joined(Conv2D(4), BatchNorm(), ReLU(), MinPool2D(), train=False) == [("0", "1", "2", "3")]
    assert joined(Conv2D(4), Tanh(), Conv2D(4), AvgPool2D(), Conv2D(4), Own()) == [("0",), ("2",), ("4",)]
    assert joined(Conv2D(4, bias="position"), Conv2D(4, pad_value=1.0), Flatten()) == []
    assert joined(MaxPool2D(2), Conv2D(4), MaxPool2D((6, 6), 1)) == [("1", "2")]
    chain = lower(Sequential([Residual([Conv2D(3), ReLU()])]), (12, 12, 3), train=True, backend="numba")
    assert type(chain.operations[0].layer.operations[0].layer) is CompiledConvolution


@pytest.mark.parametrize("pool", [MaxPool2D(2), MinPool2D(3, 2)], ids=repr)
@pytest.mark.parametrize("name", LAYERS)
def test_predictions_with_batch_norm(name, pool, rng):
    shape, conv = LAYERS[name]
    chain, k = Sequential([conv, BatchNorm(), ReLU(), pool]), conv.n_kernels
    params, state = chain.init(shape, rng, np.float64), chain.initial_state(shape, np.float64)
    state["1"] = {"mean": rng.normal(size=k), "variance": rng.uniform(0.5, 2, size=k)}
    params["1"] = {"scale": rng.normal(size=k), "shift": rng.normal(size=k)}
    x = rng.normal(size=(3, *shape))

    def predict(backend):
        context = Context(state=state)
        lowered = lower(chain, shape, train=False, backend=backend)
        passing = lowered.forward(lowered.prepare(params, shape, context), x, context)
        return (alone(passing) if lowered.depends_on_batch else passing)[0]

    np.testing.assert_allclose(predict("numba"), predict("numpy"), atol=1e-12)


@pytest.mark.parametrize("following", [[], [ReLU()], [MaxPool2D(2)], [ReLU(), MinPool2D((2, 3), 2)]], ids=repr)
@pytest.mark.parametrize(("n_samples", "n_shards"), [(9, 1), (9, 3), (1, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_training_with_batch_norm(following, n_samples, n_shards, weighted, rng):
    layers = [Conv2D(8), BatchNorm(), ReLU(), Conv2D(9), BatchNorm(), *following, Conv2D(3, stride=2), BatchNorm()]
    layers += [Flatten(), Dense(5), BatchNorm(), ReLU(), Dense(2)]
    network = Network.build(layers, (7, 8, 2), rng, np.float64)
    for tree in network.params:
        for array in tree.values():
            array += rng.normal(size=array.shape) / 10
        if "scale" in tree:
            tree["scale"][::2] *= -1  # the smallest pixel becomes the largest
    for state in network.states:  # a batch of one is normalised by it
        for array in state.values():
            array += rng.uniform(size=array.shape)
    x, d_out = rng.normal(size=(n_samples, 7, 8, 2)), rng.normal(size=(n_samples, 2))
    weight = rng.uniform(0.5, 2, size=n_samples) if weighted else None
    given, expected = (step(network, backend, x, d_out, weight, n_shards) for backend in ("numba", "numpy"))
    for one, other in zip(given, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("pool", [MaxPool2D(2), MaxPool2D(3), MinPool2D((1, 2)), MaxPool2D((2, 3), 2)], ids=repr)
@pytest.mark.parametrize(
    ("shape", "conv"),
    [((7, 8, 2), Conv2D(9)), ((9, 10, 5), Conv2D(17)), ((20, 21, 8), Conv2D(8)), ((9, 10, 5), Conv2D(16, stride=2))],
    ids=repr,
)
def test_training_with_batch_norm_and_pools(shape, conv, pool, rng):
    network = Network.build([Conv2D(shape[2], 1), conv, BatchNorm(), ReLU(), pool], shape, rng, np.float64)
    network.params[2]["scale"][:] = rng.normal(size=conv.n_kernels)
    x, d_out = rng.normal(size=(5, *shape)), rng.normal(size=(5, *network.shapes[-1]))
    given, expected = (step(network, backend, x, d_out, None, 2) for backend in ("numba", "numpy"))
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(400, 500, 1), (1, 300_000, 2)])
def test_batch_norm_of_large_maps_in_float32(shape, rng):
    layers = [BatchNorm(), ReLU()]
    network, exact = (Network.build(layers, shape, rng, dtype) for dtype in (np.float32, np.float64))
    x = (rng.normal(size=(2, *shape)) + 1e3).astype(np.float32)
    d_out = rng.uniform(size=(2, *shape)).astype(np.float32)
    given = step(network, "numba", x, d_out, None, 1)
    expected = step(exact, "numpy", x.astype(float), d_out.astype(float), None, 1)
    np.testing.assert_allclose(given[0], expected[0], atol=1e-3)
    for one, other in zip(given[1:], expected[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)


def test_a_scale_of_zero_gives_numpys_gradients(rng):
    network = Network.build([BatchNorm(), MaxPool2D(2)], (6, 6, 2), rng, np.float64)
    network.params[0]["scale"][0] = 0
    x, d_out = rng.normal(size=(3, 6, 6, 2)), rng.normal(size=(3, 3, 3, 2))
    results = [step(network, backend, x, d_out, None, 1) for backend in ("numba", "numpy")]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def step(network, backend, x, d_out, weight, n_shards):
    """Return the outputs, gradients and new states of a step on a batch that is cut into shards."""
    passes = network.passes(train=True, backend=backend)

    def of_shard(part):
        context = passes.context(len(x), None if weight is None else weight[part])
        out, caches = yield from passes.forward(x[part], context)
        states = passes.next_states(caches)
        return out, states, (yield from passes.backward(caches, d_out[part], context))

    workers = Workers(1, set_numpy)
    results = workers.run_together([of_shard(part) for part in cut(len(x), -(-len(x) // n_shards))])
    d_prepared = results[0][2]
    for _, _, more in results[1:]:
        d_prepared = passes.add(d_prepared, more)
    arrays = [array for _, array in leaves(passes.gradients(d_prepared))]
    return [np.concatenate([out for out, _, _ in results]), *arrays, *(array for _, array in leaves(results[0][1]))]


def test_float32_kernels_compute_in_float32(tmp_path):
    """An int that meets a float32 would make it a float64, which takes far longer."""
    done = run_script(ARITHMETIC_IN_DOUBLE, tmp_path, timeout=300, SKCNN_CACHE_DIR="/dev/null/none")
    assert done.returncode == 0, done.stderr
    *found, n_kernels = done.stdout.splitlines()
    assert found == []
    assert int(n_kernels) > 20


ARITHMETIC_IN_DOUBLE = r"""
import importlib, pkgutil, re
from numba.core.dispatcher import Dispatcher
import skcnn
import skcnn._kernels.compiled as package

skcnn.compile_kernels(["float32"])
n_kernels = 0
for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
    for name, value in vars(importlib.import_module(module.name)).items():
        if isinstance(value, Dispatcher):
            for code in value.inspect_llvm().values():
                n_kernels += 1
                for line in code.splitlines():
                    if re.search(r"= f(add|sub|mul|div|pext|cmp)\b.*\bdouble\b", line):
                        print(module.name, name, line)
print(n_kernels)
"""
