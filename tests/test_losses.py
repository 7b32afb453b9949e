"""Losses and their links against SciPy, and at logits at which a naive formula overflows."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy, loss_for
from tests.layers.reference import numeric_gradient, relative_error

thoroughly = settings(deadline=None, max_examples=300, derandomize=True)
BOTH = [SoftmaxCrossEntropy(), SigmoidCrossEntropy()]
both_losses = pytest.mark.parametrize("loss", BOTH, ids=repr)
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = pytest.mark.parametrize("size", [1.0, 30.0, 1e4])


def drawn(loss, size=1.0, n=20):
    """Return logits, classes and weights. Each class has a column, but two classes share one logit."""
    rng = np.random.default_rng(0)
    n_classes = 4 if isinstance(loss, SoftmaxCrossEntropy) else 2
    logits = rng.uniform(-size, size, (n, n_classes if n_classes > 2 else 1))
    return logits, rng.integers(0, n_classes, n), rng.uniform(0, 3, n)


def log_link(loss, logits):
    """Compute the logarithms of the probabilities by SciPy."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return special.log_softmax(logits, axis=1)
    return np.hstack([special.log_expit(-logits), special.log_expit(logits)])


def extreme(loss, dtype):
    """Return every combination of logits -1e4, 0 and 1e4."""
    n_logits = 3 if isinstance(loss, SoftmaxCrossEntropy) else 1
    return np.array(list(itertools.product([-1e4, 0, 1e4], repeat=n_logits)), dtype)


@both_losses
@sizes
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_those_of_scipy(loss, size, weighted):
    logits, y, weight = drawn(loss, size)
    losses, d_logits = loss(logits, y, weight if weighted else None)
    w = weight if weighted else np.ones(len(y))
    log_p = log_link(loss, logits)
    np.testing.assert_allclose(losses, -w * log_p[range(len(y)), y], rtol=1e-12, atol=1e-300)
    d = np.exp(log_p) - np.eye(log_p.shape[1])[y]
    np.testing.assert_allclose(d_logits, w[:, np.newaxis] * (d if d.shape == logits.shape else d[:, 1:]), atol=1e-12)


@both_losses
@sizes
def test_links_are_those_of_scipy(loss, size):
    logits, *_ = drawn(loss, size)
    log_p = log_link(loss, logits)
    np.testing.assert_allclose(loss.log_probabilities(logits), log_p, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(loss.probabilities(logits), np.exp(log_p), rtol=1e-10, atol=1e-300)


@both_losses
@sizes
@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_smoothed_losses_are_those_of_mixed_targets(loss, size, smoothing):
    logits, y, weight = drawn(loss, size)
    losses, d_logits = replace(loss, label_smoothing=smoothing)(logits, y, weight)
    log_p = log_link(loss, logits)
    n_classes = log_p.shape[1]
    target = (1 - smoothing) * np.eye(n_classes)[y] + smoothing / n_classes
    np.testing.assert_allclose(losses, -weight * (target * log_p).sum(axis=1), rtol=1e-10)
    d = (np.exp(log_p) - target)[:, n_classes - logits.shape[1] if n_classes == 2 else 0 :]
    np.testing.assert_allclose(d_logits, weight[:, np.newaxis] * d, atol=1e-12)


@both_losses
@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan, None, "0"])
def test_smoothing_out_of_range_is_refused(loss, bad):
    with pytest.raises(ValueError, match=r"label_smoothing must be a number in \[0, 1\)"):
        replace(loss, label_smoothing=bad)


def test_smoothed_losses_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    logits, y, _ = drawn(SoftmaxCrossEntropy(), 3.0)
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=0.2, reduction="none")(torch.tensor(logits), torch.tensor(y))
    np.testing.assert_allclose(SoftmaxCrossEntropy(0.2)(logits, y)[0], theirs.numpy(), rtol=1e-12)


@pytest.mark.parametrize("loss", [*BOTH, SoftmaxCrossEntropy(0.3), SigmoidCrossEntropy(0.3)], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_that_of_central_differences(loss, weighted):
    logits, y, weight = drawn(loss, 3.0)
    w = weight if weighted else None
    numeric = numeric_gradient(lambda: loss(logits, y, w)[0].sum(), logits)
    assert relative_error(loss(logits, y, w)[1], numeric) < 1e-8


@both_losses
@both_precisions
def test_logarithms_agree_with_probabilities_near_one(loss, dtype):
    confident = np.linspace(-25, 25, 501, dtype=dtype)[:, np.newaxis]
    logits = confident if isinstance(loss, SigmoidCrossEntropy) else np.hstack([confident, 0 * confident])
    log_p, log_of_p = loss.log_probabilities(logits), np.log(loss.probabilities(logits))
    np.testing.assert_allclose(log_p, log_of_p, rtol=8, atol=1e-9)  # as scikit-learn's checks ask


@both_losses
@both_precisions
def test_large_logits_are_stable(loss, dtype):
    logits = extreme(loss, dtype)
    p, log_p = loss.probabilities(logits), loss.log_probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert ((p >= 0) & (p <= 1)).all()
    # the logarithm is right where the probability is rounded to 0
    np.testing.assert_allclose(log_p, log_link(loss, logits.astype(float)), rtol=1e-6, atol=1e-6)
    for label in range(p.shape[1]):
        y = np.full(len(logits), label)
        losses, d_logits = loss(logits, y)
        np.testing.assert_array_equal(losses, -log_p[:, label])
        expected = p - np.eye(p.shape[1])[y]
        np.testing.assert_allclose(d_logits, expected[:, -logits.shape[1] :], atol=1e-6)


@pytest.mark.parametrize("z", [1e-3, 20.0, 80.0])
def test_small_probabilities_keep_their_digits(z):
    p = SigmoidCrossEntropy().probabilities(np.array([[z], [-z]]))
    np.testing.assert_allclose(p[:, ::-1][::-1], p, rtol=1e-15)  # 1 - p would lose the digits
    np.testing.assert_allclose(p[0, 0], special.expit(-z), rtol=1e-14)
    losses, _ = SigmoidCrossEntropy()(np.array([[z]]), np.array([1]))
    np.testing.assert_allclose(losses[0], np.log1p(np.exp(-z)), rtol=1e-14)


@both_losses
@both_precisions
def test_precision_is_kept_and_nothing_is_written(loss, dtype):
    logits, y, weight = (array if array.dtype.kind == "i" else array.astype(dtype) for array in drawn(loss))
    for array in (logits, y, weight):
        array.flags.writeable = False
    results = [*loss(logits, y), *loss(logits, y, weight), loss.probabilities(logits), loss.log_probabilities(logits)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


@both_losses
def test_weights_of_one_change_no_bit(loss):
    logits, y, _ = drawn(loss)
    for plain, weighted in zip(loss(logits, y), loss(logits, y, np.ones(len(y))), strict=True):
        np.testing.assert_array_equal(plain, weighted)


def test_the_likeliest_class_is_the_first_of_equals():
    assert SoftmaxCrossEntropy().decide(np.array([[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]])).tolist() == [1, 0]
    assert SigmoidCrossEntropy().decide(np.array([[-1e4], [-0.1], [0.0], [0.1]])).tolist() == [0, 0, 0, 1]


@both_losses
def test_decisions_agree_with_probabilities(loss):
    logits, *_ = drawn(loss)
    np.testing.assert_array_equal(loss.decide(logits), loss.probabilities(logits).argmax(axis=1))


@pytest.mark.parametrize(
    ("n_classes", "loss", "name"),
    [
        (2, SigmoidCrossEntropy(), "logistic"),
        (3, SoftmaxCrossEntropy(), "softmax"),
        (10, SoftmaxCrossEntropy(), "softmax"),
    ],
)
def test_the_number_of_classes_chooses_the_loss(n_classes, loss, name):
    assert loss_for(n_classes) == loss
    assert loss_for(n_classes).out_activation == name


def torch_loss(torch, z, y):
    if z.shape[1] > 1:
        return torch.nn.functional.cross_entropy(z, y, reduction="none")
    return torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], y.to(z.dtype), reduction="none")


@thoroughly
@given(
    loss=st.sampled_from([SoftmaxCrossEntropy(), SigmoidCrossEntropy()]),
    shape=st.tuples(st.integers(1, 5), st.integers(2, 6)),
    size=st.sampled_from([1.0, 30.0, 1e3, 1e4]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_losses_are_those_of_torch(torch, loss, shape, size, weighted, seed):
    rng = np.random.default_rng(seed)
    n, n_classes = shape if isinstance(loss, SoftmaxCrossEntropy) else (shape[0], 2)
    logits = rng.uniform(-size, size, (n, 1 if isinstance(loss, SigmoidCrossEntropy) else n_classes))
    y = rng.integers(0, n_classes, n)
    weight = rng.uniform(0, 3, n) if weighted else None
    losses, d_logits = loss(logits, y, weight)
    z = torch.tensor(logits, requires_grad=True)
    expected = torch_loss(torch, z, torch.tensor(y)) * (1 if weight is None else torch.tensor(weight))
    expected.sum().backward()
    np.testing.assert_allclose(losses, expected.detach().numpy(), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(d_logits, z.grad.numpy(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_the_decision_is_the_largest_probability(n_classes, dtype):
    """Logits that differ only in their last digits have probabilities that rounding would make equal."""
    rng = np.random.default_rng(0)
    base = rng.choice([0.0, 1e-30, 1.0, 10.0, 100.0], (5000, 1)).astype(dtype)
    steps = rng.integers(-2, 3, (5000, 1 if n_classes == 2 else n_classes))
    logits = (base + steps * np.spacing(base)).astype(dtype)
    logits *= rng.choice([-1, 1], (5000, 1)).astype(dtype)
    if n_classes == 2:
        logits = np.concatenate([logits, steps * dtype(1e-20), steps * np.finfo(dtype).smallest_subnormal])
    loss = loss_for(n_classes)
    decided, sums = loss.decide(logits), loss.probabilities(logits).sum(axis=1)
    np.testing.assert_array_equal(loss.probabilities(logits).argmax(axis=1), decided)
    np.testing.assert_array_equal(loss.log_probabilities(logits).argmax(axis=1), decided)
    np.testing.assert_allclose(sums, 1, rtol=1e-6)


def test_of_equal_logits_the_first_class_wins():
    for n_classes, logits in ((2, np.zeros((1, 1))), (3, np.zeros((1, 3)))):
        loss = loss_for(n_classes)
        assert loss.decide(logits)[0] == loss.probabilities(logits).argmax() == 0
        assert len(np.unique(loss.probabilities(logits))) == 1
