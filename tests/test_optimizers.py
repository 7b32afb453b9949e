"""Optimizers against their closed forms, and against PyTorch where it is installed."""

import pickle
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skcnn._trees import leaves
from skcnn.optimizers import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    ClipNorm,
    RMSprop,
    decouples_decay,
    flush_subnormals,
    optimizer_from,
)

SHAPES = [(3, 4), (4,), (2, 3, 1, 2)]
# each rate differs from the next, as under a schedule
RATES = [0.1, 0.05, 0.2, 0.01, 0.1, 0.3]
ALL = [
    SGD(momentum=0.0),
    SGD(0.9, nesterov=False),
    SGD(),
    RMSprop(),
    RMSprop(0.5, momentum=0.8, epsilon=1e-3),
    Adam(),
    Adam(0.5, 0.9, 1e-3),
    Adam(beta_1=0.0),
    AdamW(),
    ClipNorm(SGD(), max_norm=2.0),  # clips the gradients of these tests
    ClipNorm(Adam(), max_norm=100.0),  # does not clip them
]
every_optimizer = pytest.mark.parametrize("optimizer", ALL, ids=repr)


def drawn(n_steps, dtype=np.float64):
    """Return weights, and the gradients of each step."""
    rng = np.random.default_rng(0)
    weights, *grads = ([rng.normal(size=shape).astype(dtype) for shape in SHAPES] for _ in range(n_steps + 1))
    return weights, grads


def copies(arrays):
    """Copy gradients: a step overwrites those that it is given."""
    return [array.copy() for array in arrays]


def stepped(optimizer, weights, grads, rates):
    """Return the weights after all steps. The given weights do not change."""
    weights = [w.copy() for w in weights]
    state = optimizer.init(weights)
    for step_grads, rate in zip(grads, rates, strict=True):
        optimizer.step(weights, copies(step_grads), state, rate)
    return weights


def sgd_closed_form(w, gs, rates, momentum, nesterov):
    """Sum a geometric series of the momentum for each gradient: the velocity applies it again in every later step.

    Nesterov's form has one term more. Without momentum, that term is 0.
    """
    total = np.zeros_like(w)
    for t, (g, rate) in enumerate(zip(gs, rates, strict=True)):
        n_terms = len(gs) - t + (1 if nesterov else 0)
        total += rate * g * sum(momentum**power for power in range(n_terms))
    return w - total


def adam_closed_form(w, gs, rates, beta_1, beta_2, epsilon):
    """Take the moments as weighted means of all gradients so far; the sum of weights corrects the first steps."""
    w = w.copy()
    for t, rate in enumerate(rates, start=1):
        ages = np.arange(t)[::-1]
        mean = np.average(gs[:t], axis=0, weights=beta_1**ages)
        square = np.average(np.square(gs[:t]), axis=0, weights=beta_2**ages)
        w -= rate * mean / (np.sqrt(square) + epsilon)
    return w


def rmsprop_closed_form(w, gs, rates, rho, momentum, epsilon):
    w, scaled = w.copy(), []
    for t, rate in enumerate(rates, start=1):
        ages = np.arange(t)[::-1]
        square = (1 - rho) * np.tensordot(rho**ages, np.square(gs[:t]), 1)
        scaled.append(gs[t - 1] / (np.sqrt(square) + epsilon))
        w -= rate * np.tensordot(float(momentum) ** ages, scaled, 1)
    return w


CLOSED_FORMS = {SGD: sgd_closed_form, RMSprop: rmsprop_closed_form, Adam: adam_closed_form, AdamW: adam_closed_form}


def clipped(grads, max_norm):
    norm = np.sqrt(sum(np.square(g).sum() for g in grads))
    return [g * min(1, max_norm / norm) for g in grads]


@pytest.mark.parametrize("n_steps", [1, 2, 6])
@every_optimizer
def test_steps_are_those_of_the_closed_form(optimizer, n_steps):
    weights, grads = drawn(n_steps)
    results = stepped(optimizer, weights, grads, RATES[:n_steps])
    if isinstance(optimizer, ClipNorm):
        grads = [clipped(step, optimizer.max_norm) for step in grads]
        optimizer = optimizer.optimizer
    closed_form = CLOSED_FORMS[type(optimizer)]
    for index, (w, result) in enumerate(zip(weights, results, strict=True)):
        expected = closed_form(w, [step[index] for step in grads], RATES[:n_steps], **vars(optimizer))
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def test_nesterov_without_momentum_changes_nothing():
    weights, grads = drawn(3)
    both = [stepped(SGD(0.0, nesterov), weights, grads, RATES[:3]) for nesterov in (True, False)]
    np.testing.assert_equal(*both)


@every_optimizer
def test_steps_are_those_of_torch(optimizer):
    torch = pytest.importorskip("torch")
    weights, grads = drawn(20)
    tensors = [torch.tensor(w, requires_grad=True) for w in weights]
    results = stepped(optimizer, weights, grads, [0.1] * 20)
    max_norm = optimizer.max_norm if isinstance(optimizer, ClipNorm) else np.inf
    optimizer = optimizer.optimizer if isinstance(optimizer, ClipNorm) else optimizer
    if isinstance(optimizer, Adam):
        betas = (optimizer.beta_1, optimizer.beta_2)
        theirs = torch.optim.Adam(tensors, lr=0.1, betas=betas, eps=optimizer.epsilon)
    elif isinstance(optimizer, RMSprop):
        settings = {"alpha": optimizer.rho, "momentum": optimizer.momentum, "eps": optimizer.epsilon}
        theirs = torch.optim.RMSprop(tensors, lr=0.1, **settings)
    else:
        nesterov = optimizer.nesterov and optimizer.momentum > 0
        theirs = torch.optim.SGD(tensors, lr=0.1, momentum=optimizer.momentum, nesterov=nesterov)
    for step_grads in grads:
        for tensor, g in zip(tensors, step_grads, strict=True):
            tensor.grad = torch.tensor(g)
        if max_norm < np.inf:
            torch.nn.utils.clip_grad_norm_(tensors, max_norm)
        theirs.step()
    # PyTorch adds 1e-6 to the norm that it divides by
    tolerance = 1e-12 if max_norm == np.inf else 1e-6
    for result, tensor in zip(results, tensors, strict=True):
        np.testing.assert_allclose(result, tensor.detach().numpy(), rtol=0, atol=tolerance)


@every_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_changes_weights_and_state_and_keeps_nothing_of_the_gradients(optimizer, dtype):
    weights, (first, second) = drawn(2, dtype)
    before = pickle.dumps(optimizer)
    state = optimizer.init(weights)
    assert all(not array.any() for _, array in leaves({k: v for k, v in state.items() if k != "n_steps"}))
    optimizer.step(weights, first, state, 0.1)
    optimizer.step(weights, second, state, 0.1)
    kept = [*weights, *(array for name in state if name != "n_steps" for array in state[name])]
    assert not any(np.shares_memory(array, g) for array in kept for g in [*first, *second])
    assert pickle.dumps(optimizer) == before
    assert {array.dtype for array in kept} == {np.dtype(dtype)}


@every_optimizer
def test_states_do_not_meet(optimizer):
    """One optimizer can train two networks in turns."""
    weights, grads = drawn(4)
    alone = stepped(optimizer, weights, grads, RATES[:4])
    one, other = [w.copy() for w in weights], [w.copy() for w in weights]
    states = optimizer.init(one), optimizer.init(other)
    for step_grads, rate in zip(grads, RATES, strict=False):
        optimizer.step(one, copies(step_grads), states[0], rate)
        optimizer.step(other, [-g for g in step_grads], states[1], rate)
    np.testing.assert_equal(one, alone)


@every_optimizer
def test_training_can_be_resumed_from_a_pickled_state(optimizer):
    weights, grads = drawn(4)
    expected = stepped(optimizer, weights, grads, RATES[:4])
    state = optimizer.init(weights)
    for step_grads, rate in zip(grads, RATES, strict=False):
        weights, state = pickle.loads(pickle.dumps((weights, state)))
        optimizer.step(weights, copies(step_grads), state, rate)
    np.testing.assert_equal(weights, expected)


@pytest.mark.parametrize(
    ("make", "name", "bad", "expected"),
    [
        *((SGD, "momentum", bad, "a number in [0, 1)") for bad in [1.0, -0.1, np.nan, "0.9", None, True]),
        *((SGD, "nesterov", bad, "a bool") for bad in [1, None, "yes"]),
        *(
            (Adam, name, bad, "a number in [0, 1)")
            for name in ("beta_1", "beta_2")
            for bad in [1.0, -0.1, np.inf, None]
        ),
        # without an epsilon, a weight without a gradient would become 0 / 0
        *(
            (make, "epsilon", bad, "a number in (0, 1)")
            for make in (Adam, RMSprop)
            for bad in [0, 1.0, -0.1, np.inf, None]
        ),
        *((RMSprop, name, bad, "a number in [0, 1)") for name in ("rho", "momentum") for bad in [1.0, -0.1, None]),
        *((ClipNorm, "max_norm", bad, "a finite number above 0") for bad in [0, -1.0, np.inf, np.nan, None]),
        *((ClipNorm, "optimizer", bad, "an optimizer object, as in Adam()") for bad in ["adam", Adam, None]),
    ],
)
def test_a_field_out_of_range_is_refused(make, name, bad, expected):
    with pytest.raises(ValueError, match=re.escape(f"{make.__name__}: {name} must be {expected}, got {bad!r}")):
        make(**{name: bad})


@every_optimizer
def test_an_optimizer_is_a_value(optimizer):
    again = eval(repr(optimizer))
    assert again == optimizer
    assert hash(again) == hash(optimizer)
    with pytest.raises(FrozenInstanceError):
        optimizer.momentum = 0.5


def test_subnormals_are_flushed_in_lists_of_arrays_only():
    counts = [4, np.array([5])]
    state = {"n_steps": 3, "means": [np.array([1e-33, -1e-31, np.nan, 1.0], np.float32), np.array([1e-300, 1e-310])]}
    state["counts"] = list(counts)
    flush_subnormals(state)
    assert (state["n_steps"], state["counts"]) == (3, counts)
    np.testing.assert_array_equal(state["means"][0], np.array([0, -1e-31, np.nan, 1], np.float32))
    np.testing.assert_array_equal(state["means"][1], [1e-300, 0])


def test_only_adamw_decouples_its_decay():
    decoupled = [AdamW(), ClipNorm(AdamW())]
    assert [optimizer for optimizer in [*ALL, *decoupled] if decouples_decay(optimizer)] == [AdamW(), *decoupled]


def test_optimizers_go_by_name():
    found = {name: optimizer_from(name) for name in OPTIMIZERS}
    assert found == {"sgd": SGD(), "rmsprop": RMSprop(), "adam": Adam(), "adamw": AdamW()}
    mine = SGD(momentum=0.5)
    assert optimizer_from(mine) is mine
