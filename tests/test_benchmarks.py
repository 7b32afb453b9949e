"""Benchmarks that check a promise: a small run of each finds no fault."""

import importlib
import os
import signal
import subprocess
import sys
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
        ("soak.py --minutes 0.05", " 0 figures grew"),
        ("memory_limits.py --limits 2 --calls fit", "1 MemoryError"),
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
