"""Freed memory, which the process keeps only during a calculation."""

import platform
import sys

import pytest

from tests.scripts import run_script

glibc_only = pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="only glibc keeps freed memory"
)
FREED = """
import numpy as np


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 // 2**20


small = []


def kept_of_freed_arrays():
    before, large = resident(), []
    for _ in range(50):
        large.append(np.ones(2**19))  # 4 MB, needed for a moment
        small.append(np.ones(2**17))  # a result of 1 MB that stays
    del large
    return resident() - before - len(small)


"""
FIT = """
from skcnn import NumpyCNNClassifier

X, y = np.random.default_rng(0).random((400, 28, 28)), np.arange(400) % 3
clf = NumpyCNNClassifier(max_iter=8, random_state=0).fit(X, y)
"""


def kept(text, folder, **environment):
    done = run_script(f"{FREED}{text}\nprint(kept_of_freed_arrays())", folder, timeout=60, **environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@glibc_only
def test_import_changes_nothing(tmp_path):
    assert kept("import skcnn", tmp_path) < 40


@glibc_only
def test_a_fit_changes_it_unless_it_is_told_not_to(tmp_path):
    assert kept(FIT, tmp_path) > 150
    assert kept(FIT, tmp_path, SKCNN_KEEP_MEMORY="0") < 40


@glibc_only
def test_memory_is_returned_after_a_fit(tmp_path):
    text = f"""
{FIT}
assert kept_of_freed_arrays() > 150
before = resident()
clf.fit(X, y)
print(before - resident())
"""
    done = run_script(f"{FREED}{text}", tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150, "what the process kept before was returned, too"
