"""The examples of the gallery run, without warnings, and draw figures."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import sklearn

GALLERY = Path(__file__).parents[1] / "examples" / "gallery"
EXAMPLES = sorted(path.stem for path in GALLERY.glob("plot_*.py"))
SKLEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))
MISSING = {
    "plot_calibration": SKLEARN < (1, 8),
    "plot_dask": not find_spec("dask_ml"),
    "plot_loggers": SKLEARN < (1, 9),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    pytest.importorskip("matplotlib")
    if MISSING.get(name):
        pytest.skip("needs what is not installed")
    # as in a notebook, there is no file that the processes of dask could import
    run = f"import runpy; runpy.run_path({str(GALLERY / name)!r} + '.py')"
    run += "; import matplotlib.pyplot as plt; assert plt.get_fignums()"
    ours = [] if name == "plot_dask" else ["-W", "error::UserWarning"]  # dask's libraries announce changes of their own
    environment = os.environ | {"MPLBACKEND": "agg"}
    subprocess.run([sys.executable, *ours, "-c", run], cwd=tmp_path, env=environment, check=True)
    assert not list(tmp_path.iterdir())


def test_there_are_examples():
    assert len(EXAMPLES) >= 20
