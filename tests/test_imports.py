"""Imports run one way only, and the stack below the estimator works without scikit-learn."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skcnn

PACKAGE = Path(skcnn.__file__).parent
# from the bottom to the top: a module may import modules of the lines above its own, and of its own line
STOREYS = [
    {"_version", "_caching", "_values", "_functions", "_trees", "_memory", "_html"},
    {"_kernels", "initializers"},
    {"layers"},
    {"_engine", "losses", "optimizers", "schedules", "augmentation"},
    {"network"},
    {"compilation"},
    {"_training"},
    {"_storage"},
    {"_estimator", "datasets"},
    {"classifier"},
    {"features", "inspection", "onnx", "persistence"},
    {"presets", "__init__"},
]
USES_SKLEARN = {"_estimator", "classifier", "datasets", "features", "inspection", "persistence"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def module_name(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from [f"skcnn.{alias.name}" for alias in node.names] if node.module == "skcnn" else [node.module]


def storey(name):
    return next(i for i, names in enumerate(STOREYS) if name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    for name in imported(path):
        if name.startswith("skcnn."):
            other = name.split(".")[1]
            assert storey(other) <= storey(module_name(path)), f"{path} imports {name}"
        elif name.split(".")[0] == "sklearn":
            assert module_name(path) in USES_SKLEARN, f"{path} imports {name}"


def test_no_file_imports_itself_by_way_of_others():
    def dotted(path):
        parts = ["skcnn", *path.relative_to(PACKAGE).with_suffix("").parts]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    graph = {dotted(path): {name for name in imported(path) if name.startswith("skcnn.")} for path in MODULES}
    assert list(TopologicalSorter(graph).static_order())  # a circle raises CycleError


def test_the_stack_runs_without_sklearn():
    script = """
import sys
sys.modules["sklearn"] = None
import numpy as np
from skcnn.layers import Conv2D, Dense, Flatten, ReLU
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD
from skcnn._estimator.progress import Progress
from skcnn._training.config import DataSet, TrainingConfig
from skcnn.schedules import Constant
from skcnn._training.loop import train
from skcnn._training.state import TrainingState
rng = np.random.default_rng(0)
network = Network.build([Conv2D(2), ReLU(), Flatten(), Dense(2)], (4, 4, 1), rng, np.float64)
x = rng.normal(size=(20, 4, 4, 1)); y = (x.mean(axis=(1, 2, 3)) > 0).astype(int)
config = TrainingConfig(SoftmaxCrossEntropy(), SGD(), Constant(), 0.1, 0.0, 5, 40, True, 0, 1)
state = TrainingState(network)
train(state, DataSet(x, y, None, np.arange(20)), config, observers=[Progress(False)])
assert state.history[-1]["loss"] < 0.1, state.history[-1]
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_public_names_are_imported_when_they_are_first_used():
    script = """
import sys
import skcnn
assert "numpy" not in sys.modules
assert {*skcnn.__all__, "layers", "presets"} <= set(dir(skcnn))
skcnn.layers.ReLU()
assert "sklearn" not in sys.modules
assert skcnn.NumpyCNNClassifier() and skcnn.NumpyCNNClassifier is skcnn.NumpyCNNClassifier
from skcnn import *
assert load is skcnn.load and Network is skcnn.Network
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_public_module_is_an_attribute_of_the_package():
    public = {module_name(path) for path in MODULES if not module_name(path).startswith("_")}
    assert public == skcnn._MODULES
    for name in public:
        assert skcnn.__getattr__(name).__name__ == f"skcnn.{name}"


def test_unknown_names_of_the_package_raise_attribute_error():
    with pytest.raises(AttributeError, match="module 'skcnn' has no attribute 'NumpyCnnClassifier'"):
        skcnn.NumpyCnnClassifier  # noqa: B018


def test_public_modules_say_what_is_public():
    for path in MODULES:
        tree = ast.parse(path.read_text())
        if path.name not in ("base.py", "__init__.py") and module_name(path) not in ("_version", "_kernels", "_values"):
            names = [
                t.id
                for node in tree.body
                if isinstance(node, ast.Assign)
                for t in node.targets
                if isinstance(t, ast.Name)
            ]
            assert "__all__" in names, path
