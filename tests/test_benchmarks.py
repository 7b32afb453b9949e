"""Benchmarks that check a promise: a small run of each finds no fault."""

import subprocess
import sys
from pathlib import Path

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
