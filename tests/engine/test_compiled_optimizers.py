"""Optimizers that compute with compiled kernels take the steps of NumPy, bit for bit."""

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from skcnn._engine import compiled_optimizers
from skcnn._engine.compiled_optimizers import CompiledOptimizer, with_compiled_steps
from skcnn._engine.numpy_settings import set_numpy
from skcnn._engine.workers import Workers
from skcnn._kernels.compiled import optimizers as kernels
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop

DECAYS = st.sampled_from([0, 0.5, 0.9, 0.999]) | st.floats(0, 1, exclude_max=True)
EPSILONS = st.sampled_from([1e-8, 1e-3, 0.5])
OPTIMIZERS = st.one_of(
    st.builds(SGD, DECAYS, st.booleans()),
    st.builds(Adam, DECAYS, DECAYS.filter(lambda beta: 1 - beta**9), EPSILONS).filter(lambda o: 1 - o.beta_1**9),
    st.builds(AdamW),
    st.builds(RMSprop, DECAYS, DECAYS, EPSILONS),
    st.builds(ClipNorm, st.builds(RMSprop, momentum=DECAYS), st.floats(1e-3, 1e3)),
)
SHAPES = st.lists(st.lists(st.integers(0, 7), max_size=4).map(tuple), min_size=1, max_size=5)
EVERY_KERNEL = [SGD(0.0), SGD(0.9), SGD(0.9, nesterov=False), Adam(), AdamW(), RMSprop(), RMSprop(momentum=0.5)]
every_kernel = pytest.mark.parametrize("optimizer", EVERY_KERNEL, ids=repr)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 1e-310, 3e38]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Even small arrays are cut into a part for each thread."""
    monkeypatch.setattr(compiled_optimizers, "BYTES_OF_PART", 1)


@pytest.fixture(autouse=True)
def no_warnings():
    """Training computes without floating-point warnings."""
    before = np.geterr()
    set_numpy()
    yield
    np.seterr(**before)


def take_steps(optimizer, weights, steps, n_threads=None):
    """Return the weights and the state after steps (gradients, learning rate), by kernels if n_threads is given."""
    weights, workers = deepcopy(weights), Workers(n_threads or 1, set_numpy)
    state = optimizer.init(weights)
    stepping = with_compiled_steps(optimizer, workers) if n_threads else optimizer
    for grads, rate in steps:
        stepping.step(weights, deepcopy(grads), state, rate)
    workers.close()
    return weights, state


def assert_same(one, other):
    """Assert that weights and states are equal, bit for bit. One NaN is as good as another."""
    (weights, state), (other_weights, other_state) = one, other
    assert list(state) == list(other_state)
    assert state.get("n_steps") == other_state.get("n_steps")
    lists = [(state[name], other_state[name]) for name in state if name != "n_steps"]
    for arrays, others in [(weights, other_weights), *lists]:
        for a, b in zip(arrays, others, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(np.signbit(a)[~np.isnan(a)], np.signbit(b)[~np.isnan(b)])


def drawn(shapes, dtype, n_steps, seed, special=0.0):
    """Return weights, and steps with gradients of all magnitudes."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    steps = []
    for _ in range(n_steps):
        grads = [np.array(rng.normal(size=shape) * 10.0 ** rng.integers(-9, 4, shape)) for shape in shapes]
        grads = [np.where(rng.random(g.shape) < special, rng.choice(SPECIAL, g.shape), g) for g in grads]
        steps.append(([np.asarray(g).astype(dtype) for g in grads], float(10.0 ** rng.uniform(-5, 0))))
    return weights, steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_are_those_of_numpy(dtype):
    @settings(max_examples=200, deadline=None)
    @given(OPTIMIZERS, SHAPES, st.integers(1, 3), st.sampled_from([0.0, 0.1]), st.integers(0, 2**32 - 1))
    def check(optimizer, shapes, n_threads, special, seed):
        weights, steps = drawn(shapes, dtype, 4, seed, special)
        expected = take_steps(optimizer, weights, steps)
        assert_same(take_steps(optimizer, weights, steps, n_threads), expected)

    check()


@every_kernel
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_on_large_arrays_are_those_of_numpy(optimizer, dtype):
    weights, steps = drawn([(300, 200), (200,), (1,), (37, 1001)], dtype, 3, seed=0)
    expected = take_steps(optimizer, weights, steps)
    for n_threads in (1, 2, 5):
        assert_same(take_steps(optimizer, weights, steps, n_threads), expected)


def test_which_optimizers_are_compiled():
    class Own(Adam):
        """It may compute anything."""

    workers = Workers(1, set_numpy)
    for optimizer in EVERY_KERNEL:
        assert type(with_compiled_steps(optimizer, workers)) is CompiledOptimizer
    for optimizer in (Own(), object()):
        assert with_compiled_steps(optimizer, workers) is optimizer
    clipped = with_compiled_steps(ClipNorm(ClipNorm(SGD()), max_norm=2.0), workers)
    assert clipped.max_norm == 2.0
    assert type(clipped.optimizer.optimizer) is CompiledOptimizer
    assert with_compiled_steps(ClipNorm(Own()), workers) == ClipNorm(Own())


class Array(np.ndarray):
    """It may compute anything."""


UNUSUAL = {
    "order of the weights": lambda w, g: (np.asfortranarray(w), g),
    "order of the gradients": lambda w, g: (w, np.asfortranarray(g)),
    "rows with gaps": lambda w, g: (np.repeat(w, 2, axis=1)[:, ::2], np.repeat(g, 2, axis=1)[:, ::2]),
    "dtype of the gradients": lambda w, g: (w, g.astype(np.float64)),
    "dtype of all": lambda w, g: (w.astype(np.longdouble), g.astype(np.longdouble)),
    "byte order": lambda w, g: (w.astype(">f4"), g.astype(">f4")),
    "subclass": lambda w, g: (w.view(Array), g.view(Array)),
}


@every_kernel
@pytest.mark.parametrize("name", UNUSUAL)
def test_no_array_makes_a_kernel_compile_anew(optimizer, name):
    weights, steps = drawn([(6, 5)], np.float32, 3, seed=0)
    take_steps(optimizer, weights, steps, n_threads=1)
    take_steps(optimizer, *drawn([(6, 5)], np.float64, 1, seed=0), n_threads=1)
    n_compiled = [len(getattr(kernels, kernel).signatures) for kernel in kernels.__all__]
    pairs = [UNUSUAL[name](weights[0], grads[0]) for grads, _ in steps]
    weights, steps = [pairs[0][0]], [([g], rate) for (_, g), (_, rate) in zip(pairs, steps, strict=True)]
    assert_same(take_steps(optimizer, weights, steps, n_threads=2), take_steps(optimizer, weights, steps))
    assert [len(getattr(kernels, kernel).signatures) for kernel in kernels.__all__] == n_compiled


@every_kernel
def test_a_new_state_begins_anew(optimizer):
    """As after an epoch that is undone, and in the next call of `partial_fit`."""
    weights, steps = drawn([(4, 3), (3,)], np.float32, 2, seed=0)
    stepping, expected = with_compiled_steps(optimizer, Workers(1, set_numpy)), deepcopy(weights)
    for _ in range(3):
        states = stepping.init(weights), optimizer.init(weights)
        for grads, rate in steps:
            stepping.step(weights, deepcopy(grads), states[0], rate)
            optimizer.step(expected, deepcopy(grads), states[1], rate)
        assert_same((weights, states[0]), (expected, states[1]))


def test_parts_contain_every_element_once():
    for sizes in ([10], [1, 0, 7, 100, 3], [0], []):
        for n_parts in (1, 2, 3, 8):
            parts = compiled_optimizers._cut(sizes, n_parts)
            assert len(parts) == n_parts
            counts = [sum(stop - start for _, start, stop in part) for part in parts]
            assert sum(counts) == sum(sizes)
            assert max(counts) - min(counts) <= 1
            ranges = [piece for part in parts for piece in part]
            for (index, _, stop), (other, start, _) in pairwise(ranges):
                assert (other == index and start == stop) or (other > index and start == 0 and stop == sizes[index])


@pytest.mark.parametrize(
    ("n_weights", "n_threads", "n_parts"), [(10, 4, 1), (2**20, 4, 4), (2**18, 4, 2), (2**20, 1, 1)]
)
def test_a_small_step_wakes_no_thread(n_weights, n_threads, n_parts, monkeypatch):
    monkeypatch.setattr(compiled_optimizers, "BYTES_OF_PART", 2**21)
    weights = [np.zeros(n_weights, np.float32)]
    cut = []
    monkeypatch.setattr(Workers, "map", lambda self, function, parts: cut.append(len(parts)) or map(function, parts))
    stepping = with_compiled_steps(Adam(), Workers(n_threads, set_numpy))
    stepping.step(weights, [np.ones_like(weights[0])], stepping.init(weights), 0.1)
    assert cut == [n_parts]
    assert (weights[0] != 0).all()
