"""The compiled loss is that of NumPy, up to rounding errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from skcnn._engine import compiled_losses
from skcnn._engine.compiled_losses import CompiledSoftmaxCrossEntropy, with_compiled_loss
from skcnn._kernels.compiled.losses import softmax_cross_entropy
from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy

TOLERANCE = {"float32": 1e-6, "float64": 1e-14}


@pytest.fixture(autouse=True)
def no_warnings():
    """Training computes without floating-point warnings."""
    with np.errstate(all="ignore"):
        yield


def draw(n, k, scale, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, k)) * scale).astype(dtype), rng.integers(0, k, n), rng.uniform(0.1, 3, n).astype(dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_it_is_that_of_numpy_in_double_precision(dtype):
    @settings(max_examples=200, deadline=None)
    @given(
        st.integers(0, 20),
        st.integers(2, 40),
        st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]),
        st.sampled_from([0.0, 0.1, 0.9]),
        st.booleans(),
        st.integers(0, 2**32 - 1),
    )
    def check(n, k, scale, smoothing, weighted, seed):
        logits, y, weight = draw(n, k, scale, dtype, seed)
        loss, weight = SoftmaxCrossEntropy(smoothing), weight if weighted else None
        given = with_compiled_loss(loss)(logits, y, weight)
        expected = loss(logits.astype(float), y, weight if weight is None else weight.astype(float))
        for one, other, size in zip(given, expected, (max(1, scale * 10), 1), strict=True):
            assert one.dtype == dtype
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=TOLERANCE[dtype], atol=3 * TOLERANCE[dtype] * size)

    check()


def test_huge_logits_do_not_overflow():
    for dtype in TOLERANCE:
        losses, d_logits = with_compiled_loss(SoftmaxCrossEntropy())(np.array([[1e4, 0, -1e4]], dtype), np.array([1]))
        assert losses.tolist() == [10000]
        assert d_logits.tolist() == [[1, -1, 0]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_not_finite_stays(value, smoothing, place):
    logits, y, _ = draw(3, 4, 1.0, "float32")
    logits[1, place] = value
    loss = SoftmaxCrossEntropy(smoothing)
    for one, other in zip(with_compiled_loss(loss)(logits, y), loss(logits, y), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_numpy_computes_everything_else(monkeypatch):
    class Own(SoftmaxCrossEntropy):
        """It may compute anything."""

    for other in (Own(), SigmoidCrossEntropy()):
        assert with_compiled_loss(other) is other
    logits, y, weight = draw(5, 4, 1.0, "float32")
    loss, compiled = SoftmaxCrossEntropy(), with_compiled_loss(SoftmaxCrossEntropy())
    assert type(compiled) is CompiledSoftmaxCrossEntropy
    compiled(logits, y, weight)
    n_compiled = len(softmax_cross_entropy.signatures)
    read_only = logits.copy()
    read_only.flags.writeable = False
    cases = [
        (read_only, y, weight),
        (np.asfortranarray(logits), y, None),
        (logits.astype(np.longdouble), y, None),
        (logits.astype(">f4"), y, None),
        (logits, y.astype(np.int8), None),
        (logits, y, weight.astype(np.float16)),
        draw(300, 10, 1.0, "float32"),
    ]
    assert cases[-1][0].size > compiled_losses.MOST_LOGITS
    for case in cases:
        for one, other in zip(compiled(*case), loss(*case), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert len(softmax_cross_entropy.signatures) == n_compiled


def test_a_class_that_does_not_exist_is_an_error():
    for index in (4, -1):
        with pytest.raises(IndexError, match="no class has this index"):
            with_compiled_loss(SoftmaxCrossEntropy())(np.zeros((1, 4)), np.array([index]))


def test_training_uses_it(make, data, monkeypatch):
    calls = []
    monkeypatch.setattr(
        compiled_losses, "softmax_cross_entropy", lambda *args: calls.append(1) or softmax_cross_entropy(*args)
    )
    losses = [make(backend=backend).fit(*data).loss_ for backend in ("numba", "numpy")]
    assert calls
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
