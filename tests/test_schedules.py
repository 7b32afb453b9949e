"""Schedules: the factor of the learning rate at each time."""

import functools
import math
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skcnn.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    factor,
    schedule_from,
)


@pytest.mark.parametrize("epoch", [0, 0.5, 3, 10])
def test_constant_is_one(epoch):
    assert Constant()(epoch, 10) == 1


@pytest.mark.parametrize(
    ("epoch", "fallen"),
    [(0, 0.0), (2, (1 - math.sqrt(0.5)) / 2), (8 / 3, 1 / 4), (4, 1 / 2), (16 / 3, 3 / 4), (8, 1.0)],
)
@pytest.mark.parametrize("final", [0.0, 0.1, 0.9])
def test_cosine_falls_by_half_a_wave(epoch, fallen, final):
    """`fallen` is the part of the way from 1 to `final` that the factor has fallen."""
    assert Cosine(final)(epoch, 8) == pytest.approx(1 - fallen * (1 - final), abs=1e-15)


@pytest.mark.parametrize("n_epochs", [1, 7, 200])
def test_cosine_only_falls_and_depends_on_the_part_done(n_epochs):
    part = np.linspace(0, 1, 101)
    factors = [Cosine(0.01)(p * n_epochs, n_epochs) for p in part]
    assert (np.diff(factors) < 0).all()
    np.testing.assert_allclose(factors, [Cosine(0.01)(p, 1) for p in part], rtol=1e-12)


def test_cosine_may_rise_first():
    schedule = Cosine(0.1, warm_up=2)
    assert [schedule(epoch, 10) for epoch in (0, 0.5, 1)] == [0, 0.25, 0.5]
    for epoch in np.linspace(2, 10, 9):
        assert schedule(epoch, 10) == pytest.approx(Cosine(0.1)(epoch - 2, 8), abs=1e-15)
    assert Cosine(warm_up=5)(1, 3) == 0.2  # this training ends before the rise


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5])
def test_steps_and_powers(every, factor):
    for epoch in (0, 0.5, 1, 2.9, 3, 7):
        assert StepDecay(every, factor)(epoch, 10) == factor ** math.floor(epoch / every)
        assert Exponential(factor)(epoch, 10) == factor**epoch


def test_one_cycle_rises_and_falls_by_half_waves():
    schedule = OneCycle(0.25, initial=0.1, final=0.01)
    for part, expected in [(0, 0.1), (0.125, 0.55), (0.25, 1), (0.625, (1 + 0.01) / 2), (1, 0.01)]:
        assert schedule(part * 12, 12) == pytest.approx(expected, abs=1e-15)
    assert OneCycle(warm_up=0.0)(0, 5) == 1


def losses(*values):
    return [{"loss": value, "val_loss": -value} for value in values]


@pytest.mark.parametrize(
    ("history", "reductions"),
    [
        ((), 0),
        ((3, 2, 1, 0.5), 0),
        ((1, 1, 1), 0),  # the patience is two epochs without a fall
        ((1, 1, 1, 1), 1),
        ((1, 1, 1, 1, 1, 1), 1),
        ((1, 1, 1, 1, 1, 1, 1), 2),
        ((1, 1, 1, 0.5, 0.5, 0.5), 0),
        ((1, 0.95, 0.9, 0.85), 1),  # these falls are too small
    ],
)
def test_a_plateau_reduces_the_rate(history, reductions):
    schedule = ReduceOnPlateau(0.5, patience=2, tol=0.2)
    assert factor(schedule, len(history), 20, losses(*history)) == 0.5**reductions
    on_validation = ReduceOnPlateau(0.5, patience=2, tol=0.2, metric="val_loss")
    assert factor(on_validation, len(history), 20, losses(*(-v for v in history))) == 0.5**reductions


def test_a_plateau_of_what_is_not_measured_is_an_error():
    with pytest.raises(ValueError, match="val_loss needs a validation set; pass X_val and y_val to fit, or set early_"):
        ReduceOnPlateau(metric="val_loss")(1, 10, [{"loss": 1.0, "val_loss": None}])


def test_schedules_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    n_epochs = 40
    rng = np.random.default_rng(0)
    history = losses(*np.round(np.cumsum(rng.normal(-0.1, 0.5, n_epochs)), 2))

    def factors(scheduler, rate=1.0, given=lambda n: ()):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=rate)
        scheduler = scheduler(optimizer)
        found = []
        for n in range(n_epochs):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step(*given(n))
        return found

    pairs = [
        (StepDecay(7, 0.3), factors(lambda o: schedulers.StepLR(o, 7, 0.3))),
        (Exponential(0.8), factors(lambda o: schedulers.ExponentialLR(o, 0.8))),
        (Cosine(0.1), factors(lambda o: schedulers.CosineAnnealingLR(o, n_epochs, 0.1))),
    ]
    for schedule, expected in pairs:
        np.testing.assert_allclose([schedule(n, n_epochs) for n in range(n_epochs)], expected, rtol=1e-10)
    plateau = factors(
        lambda o: schedulers.ReduceLROnPlateau(o, factor=0.5, patience=3, threshold=0.05, threshold_mode="abs", eps=0),
        given=lambda n: (history[n]["loss"],),
    )
    schedule = ReduceOnPlateau(0.5, patience=3, tol=0.05)
    np.testing.assert_allclose([schedule(n, n_epochs, history[:n]) for n in range(n_epochs)], plateau, rtol=1e-12)
    # PyTorch's cycle ends with the last step, and its rise one step early; ours ends after the last step
    top = (0.3 * n_epochs + 1) / (n_epochs + 1)
    cycle = factors(lambda o: schedulers.OneCycleLR(o, 1.0, n_epochs + 1, pct_start=top, cycle_momentum=False))
    np.testing.assert_allclose([OneCycle()(n, n_epochs) for n in range(n_epochs)], cycle, rtol=1e-10)


@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan, None, "0", False])
def test_final_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=re.escape(f"Cosine: final must be a number in [0, 1), got {bad!r}")):
        Cosine(bad)


@pytest.mark.parametrize(
    ("schedule", "name", "bad", "expected"),
    [
        *((StepDecay, "every", bad, "an int of at least 1") for bad in [0, 1.5, True, None]),
        *(
            (s, "factor", bad, "a number in [0, 1)")
            for s in (StepDecay, Exponential, ReduceOnPlateau)
            for bad in [1, -1]
        ),
        *((Cosine, "warm_up", bad, "a finite number of at least 0") for bad in [-1, np.inf, np.nan, "1", None]),
        *((OneCycle, name, bad, "a number in [0, 1)") for name in ("warm_up", "initial", "final") for bad in [1, -1]),
        *((ReduceOnPlateau, "patience", bad, "an int of at least 0") for bad in [-1, 1.0, None]),
        *((ReduceOnPlateau, "tol", bad, "a finite number of at least 0") for bad in [-1, np.nan, None]),
        *((ReduceOnPlateau, "metric", bad, "'loss' or 'val_loss'") for bad in ["accuracy", None]),
    ],
)
def test_fields_out_of_range_are_refused(schedule, name, bad, expected):
    text = re.escape(f"{schedule.__name__}: {name} must be {expected}") + ".*, got " + re.escape(repr(bad))
    with pytest.raises(ValueError, match=text):
        schedule(**{name: bad})


@pytest.mark.parametrize(
    "schedule",
    [Constant(), Cosine(), Cosine(0.1), StepDecay(), Exponential(0.5), OneCycle(), ReduceOnPlateau(patience=3)],
    ids=repr,
)
def test_a_schedule_is_a_value(schedule):
    again = eval(repr(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    with pytest.raises(FrozenInstanceError):
        schedule.final = 0.5


def test_schedules_go_by_name_and_any_callable_will_do():
    assert {name: schedule_from(name) for name in SCHEDULES} == {
        "constant": Constant(),
        "step": StepDecay(),
        "exponential": Exponential(),
        "cosine": Cosine(),
        "one_cycle": OneCycle(),
        "plateau": ReduceOnPlateau(),
    }
    assert schedule_from(max) is max


class WithHistory:
    needs_history = True

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)


class TwoArguments:
    needs_history = True

    def __call__(self, epoch, n_epochs):
        return 1.0


OTHER_ARGUMENTS = [lambda epoch: 1.0, lambda: 1.0, lambda epoch, n, more: 1.0, lambda *, epoch, n: 1.0, TwoArguments()]


@pytest.mark.parametrize("schedule", OTHER_ARGUMENTS)
def test_a_schedule_of_other_arguments_is_refused_before_training(schedule, make, data, capsys):
    with pytest.raises(TypeError, match=r"^learning_rate must take the arguments \(epoch, n_epochs.*\), but "):
        make(learning_rate=schedule, verbose=1).fit(*data)
    assert "Epoch" not in capsys.readouterr().out


def passing_on(function):
    @functools.wraps(function)
    def with_two_arguments(epoch, n_epochs):
        return function(epoch)

    return with_two_arguments


@pytest.mark.parametrize(
    "schedule",
    [
        lambda epoch, n_epochs, power=1: 1.0,
        lambda *arguments: 1.0,
        functools.partial(lambda power, epoch, n_epochs: 1.0, 2),
        passing_on(lambda epoch: 1.0),
        WithHistory(lambda epoch, n_epochs, history: 1.0).__call__,
        math.dist,  # written in C
    ],
)
def test_any_callable_of_these_arguments_is_a_schedule(schedule):
    assert schedule_from(schedule) is schedule


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("no"), OverflowError(), FileNotFoundError(2, "no")])
def test_an_error_that_a_schedule_raises_keeps_its_type_and_names_it(error, make, data):
    def raising(epoch, n_epochs):
        if epoch > 0.5:
            raise error
        return 1.0

    with pytest.raises(type(error)) as raised:
        make(learning_rate=raising, batch_size=10).fit(*data)
    text = "".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert re.search("learning_rate=<function .* at epoch 0.75", text)
    assert raised.traceback[-1].name == "raising"
