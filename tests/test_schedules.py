"""Schedules: the factor of the learning rate at each time."""

import math
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skcnn.schedules import SCHEDULES, Constant, Cosine, schedule_from


@pytest.mark.parametrize("epoch", [0, 0.5, 3, 10])
def test_constant_is_one(epoch):
    assert Constant()(epoch, 10) == 1


@pytest.mark.parametrize(
    ("epoch", "fallen"),
    [(0, 0.0), (2, (1 - math.sqrt(0.5)) / 2), (8 / 3, 1 / 4), (4, 1 / 2), (16 / 3, 3 / 4), (8, 1.0)],
)
@pytest.mark.parametrize("final", [0.0, 0.1, 0.9])
def test_cosine_falls_by_half_a_wave(epoch, fallen, final):
    """`fallen` is the part of the way from 1 to `final` that lies behind."""
    assert Cosine(final)(epoch, 8) == pytest.approx(1 - fallen * (1 - final), abs=1e-15)


@pytest.mark.parametrize("n_epochs", [1, 7, 200])
def test_cosine_only_falls_and_depends_on_the_part_done(n_epochs):
    part = np.linspace(0, 1, 101)
    factors = [Cosine(0.01)(p * n_epochs, n_epochs) for p in part]
    assert (np.diff(factors) < 0).all()
    np.testing.assert_allclose(factors, [Cosine(0.01)(p, 1) for p in part], rtol=1e-12)


@pytest.mark.parametrize("bad", [1.0, -0.1, np.nan, None, "0", False])
def test_final_out_of_range_is_refused(bad):
    with pytest.raises(ValueError, match=re.escape(f"Cosine: final must be a number in [0, 1), got {bad!r}")):
        Cosine(bad)


@pytest.mark.parametrize("schedule", [Constant(), Cosine(), Cosine(0.1)], ids=repr)
def test_a_schedule_is_a_value(schedule):
    again = eval(repr(schedule))
    assert again == schedule
    assert hash(again) == hash(schedule)
    with pytest.raises(FrozenInstanceError):
        schedule.final = 0.5


def test_schedules_go_by_name_and_any_callable_will_do():
    assert {name: schedule_from(name) for name in SCHEDULES} == {"constant": Constant(), "cosine": Cosine()}
    assert schedule_from(max) is max
