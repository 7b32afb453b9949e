"""Options of all tests: ``pytest --backend numba`` runs the tests of the estimator with compiled kernels."""

import os
import sys
from importlib.util import find_spec

import pytest

# doctests import every module of the package; some modules need an optional package
collect_ignore_glob = [] if find_spec("numba") else ["skcnn/_kernels/compiled/*", "skcnn/_engine/compiled_*.py"]
collect_ignore_glob += [] if find_spec("PIL") else ["skcnn/datasets/decoding.py"]
# the displays need matplotlib, and draw without a window
collect_ignore_glob += [] if find_spec("matplotlib") else ["skcnn/inspection/*"]
os.environ["MPLBACKEND"] = "Agg"
collect_ignore_glob += [] if find_spec("onnx") else ["skcnn/onnx/*"]


def pytest_addoption(parser):
    """Add the option --backend."""
    parser.addoption("--backend", default="numpy", choices=["numpy", "numba"], help="the classifier's default backend")


@pytest.fixture(autouse=True)
def no_open_figures():
    """Close the figures of each test, of which matplotlib allows only some."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session", autouse=True)
def default_backend(pytestconfig):
    """Let classifiers that do not set `backend` use the one of the option."""
    from skcnn import NumpyCNNClassifier

    NumpyCNNClassifier.__init__.__kwdefaults__["backend"] = pytestconfig.getoption("--backend")
