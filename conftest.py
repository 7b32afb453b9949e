"""Options of all tests: ``pytest --backend numba`` runs the tests of the estimator with compiled kernels."""

from importlib.util import find_spec

import pytest

# doctests import every module of the package; some modules need an optional package
collect_ignore_glob = [] if find_spec("numba") else ["skcnn/_kernels/compiled/*", "skcnn/_engine/compiled_*.py"]
collect_ignore_glob += [] if find_spec("PIL") else ["skcnn/datasets/decoding.py"]
collect_ignore_glob += [] if find_spec("onnx") else ["skcnn/onnx/*"]
collect_ignore_glob += [] if all(map(find_spec, ("onnxruntime", "skl2onnx", "skops"))) else ["docs/serving.md"]


def pytest_addoption(parser):
    """Add the option --backend."""
    parser.addoption("--backend", default="numpy", choices=["numpy", "numba"], help="the classifier's default backend")


@pytest.fixture(scope="session", autouse=True)
def default_backend(pytestconfig):
    """Let classifiers that do not set `backend` use the one of the option."""
    from skcnn import NumpyCNNClassifier

    NumpyCNNClassifier.__init__.__kwdefaults__["backend"] = pytestconfig.getoption("--backend")
