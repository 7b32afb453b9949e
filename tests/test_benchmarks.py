"""Benchmarks that check a promise: a small run of each finds no fault."""

import dataclasses
import importlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="they read /proc and limit memory")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("command", "summary"),
    [
        ("determinism.py --settings default --no-processes", "17 comparisons, 0 faults"),
        ("random_fits.py --fits 60", "; the slowest took"),
        pytest.param("soak.py --minutes 0.05", " 0 figures grew", marks=pytest.mark.slow),
        pytest.param("memory_limits.py --limits 2 --calls fit", "1 MemoryError", marks=pytest.mark.slow),
    ],
)
def test_a_small_run_finds_no_fault(command, summary):
    name, *options = command.split()
    done = subprocess.run([sys.executable, BENCHMARKS / name, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary in done.stdout


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.mark.parametrize(("code", "is_killed"), [(0, False), (-signal.SIGKILL, True), (1, None), (-11, None)])
def test_only_a_kill_counts_as_one(code, is_killed, benchmark, monkeypatch, tmp_path):
    kills = benchmark("kills")
    monkeypatch.setattr(kills.subprocess, "run", lambda *args, **options: subprocess.CompletedProcess(args, code))
    if is_killed is None:
        with pytest.raises(RuntimeError, match=f"was to be killed at fsync 2 ended with {code}"):
            kills.killed_at("fsync", 2, tmp_path)
    else:
        assert kills.killed_at("fsync", 2, tmp_path) is is_killed


def test_a_wrong_model_after_an_interruption_is_found(benchmark, make, data):
    interruptions, (X, y) = benchmark("interruptions"), data
    for method in ("fit", "partial_fit"):
        call = interruptions.Call(make(max_iter=2).fit(X, y), method, X, y)
        assert call.is_right()
        call()
        assert call.is_right()
        assert not np.array_equal(call.known[0], call.known[1]) or method == "fit"
        call.clf.partial_fit(X[::2], y[::2])
        assert not call.is_right()
        call.repair()
        assert call.is_right()


def test_interruptions_leave_no_files(tmp_path):
    command = [sys.executable, BENCHMARKS / "interruptions.py", "--points", "7"]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def image_set(benchmark):
    """Twelve images of three persons in two classes; one split tests half of them, the other one tests all others."""
    rows = np.arange(12)
    persons = np.array(["Ann", "Ben", "Cid"]).repeat(4)
    splits = [(rows[6:], rows[:6]), (rows[:6], rows[6:])]
    return benchmark("image_sets").ImageSet("twelve", np.zeros((12, 2, 2)), rows % 2, persons, splits)


@pytest.mark.parametrize("n", [1, 7, 8, 1000])
def test_what_was_classified_correctly_survives_encoding(n, benchmark):
    paired = benchmark("paired")
    correct = np.random.default_rng(n).random(n) < 0.5
    np.testing.assert_array_equal(paired.decode(paired.encode(correct), n), correct)


def test_a_row_counts_by_its_mean_over_its_tests(benchmark, image_set):
    splits = [(image_set.splits[0][0], np.array([0, 1])), (image_set.splits[0][0], np.array([1, 2]))]
    twice = dataclasses.replace(image_set, splits=splits)
    shares = benchmark("paired").share_correct(twice, {0: np.array([True, True]), 1: np.array([False, False])})
    np.testing.assert_array_equal(shares[:4], [1, 0.5, 0, np.nan])


def test_the_interval_of_a_difference_is_that_of_the_central_limit(benchmark):
    rng = np.random.default_rng(0)
    ours, theirs = (rng.random(5000) < accuracy for accuracy in (0.8, 0.7))
    mean, low, high = benchmark("paired").difference(ours.astype(float), theirs.astype(float))
    gain = ours.astype(float) - theirs
    assert mean == pytest.approx(gain.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * gain.std() / np.sqrt(5000), rel=0.05)
    assert low < mean < high


def test_images_of_one_group_count_as_one(benchmark):
    rng = np.random.default_rng(1)
    groups = np.arange(200).repeat(25)
    gain = rng.choice([-1.0, 0.0, 1.0], 200)[groups]
    paired = benchmark("paired")
    _, low, high = paired.difference(gain, np.zeros_like(gain), groups)
    _, narrow_low, narrow_high = paired.difference(gain, np.zeros_like(gain))
    assert (high - low) / (narrow_high - narrow_low) == pytest.approx(5, rel=0.2)


def test_rows_without_a_test_do_not_count(benchmark):
    ours, theirs = np.array([1.0, np.nan, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, np.nan])
    assert benchmark("paired").difference(ours, theirs)[0] == 0.5


def test_no_group_lies_on_both_sides_of_a_split(benchmark):
    rng = np.random.default_rng(2)
    y, groups = rng.integers(3, size=300), rng.integers(40, size=300)
    *_, splits = benchmark("image_sets").grouped(lambda: (np.zeros((300, 4)), y, groups), 3)
    assert len(splits) == 3
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(300))


def test_parts_do_not_overlap_and_have_all_classes_alike(benchmark):
    y = np.random.default_rng(3).integers(5, size=1000)
    parts = benchmark("image_sets").disjoint(y, 50, 3)
    assert len(np.unique(np.concatenate(parts))) == 150
    assert all((np.bincount(y[part]) == 10).all() for part in parts)


def test_copies_of_a_picture_are_left_out_and_contradictions_too(benchmark):
    pictures = benchmark("image_sources.pictures")
    black, grey, white = (np.full((2, 2), value, dtype=np.uint8) for value in (0, 128, 255))
    found = [
        pictures.Picture(pixels, label, "")
        for pixels, label in [(black, "a"), (black, "a"), (grey, "a"), (grey, "b"), (white, "b")]
    ]
    assert [(picture.pixels[0, 0], picture.label) for picture in pictures.distinct(found)] == [(0, "a"), (255, "b")]


def test_classes_are_cut_to_size_and_small_ones_left_out(benchmark):
    pictures = benchmark("image_sources.pictures")
    found = [pictures.Picture(np.full(1, i), label, "") for i, label in enumerate("aaaaabbbc")]
    chosen = pictures.balanced(found, 4, 2, np.random.default_rng(0))
    assert Counter(picture.label for picture in chosen) == {"a": 4, "b": 3}


def test_a_result_is_stored_and_read_again(benchmark, image_set, tmp_path):
    comparison = benchmark("comparison")
    predicted = np.array([0, 1, 0, 0, 0, 0])
    comparison.Store(tmp_path, "peer", {"C": 10}).add(image_set, 0, predicted, 1.5)
    store = comparison.Store(tmp_path, "peer", {"C": 10})
    assert store.has(image_set, 0)
    assert not store.has(image_set, 1)
    np.testing.assert_array_equal(store.correct(image_set)[0], [True, True, True, False, True, False])


def test_results_on_another_version_of_a_set_do_not_count(benchmark, image_set, tmp_path):
    comparison = benchmark("comparison")
    comparison.Store(tmp_path, "peer", {}).add(image_set, 0, np.zeros(6), 1.5)
    changed = dataclasses.replace(image_set, X=image_set.X + 1)
    assert not comparison.Store(tmp_path, "peer", {}).has(changed, 0)


def test_results_of_other_parameters_are_not_mixed(benchmark, image_set, tmp_path):
    comparison = benchmark("comparison")
    comparison.Store(tmp_path, "wide", {"n_kernels": (8, 16)}).add(image_set, 0, np.zeros(6), 1.5)
    with pytest.raises(ValueError, match=r"has results of other parameters, \{'n_kernels': '\(8, 16\)'\}: use another"):
        comparison.Store(tmp_path, "wide", {"n_kernels": (64,)})


def test_sets_are_counted_by_their_intervals(benchmark):
    gains = [(0.1, 0.05, 0.15), (0.1, -0.05, 0.25), (-0.1, -0.15, -0.05), (0.0, -0.1, 0.1), None]
    expected = "of 4 sets, ahead on 2, with an interval above 0 on 1; lost 1"
    assert benchmark("comparison").count(gains) == expected
