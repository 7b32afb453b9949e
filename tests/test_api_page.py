"""The API pages of the documentation: one for each public name."""

from importlib import import_module
from pathlib import Path

import pytest

import skcnn

API = Path(__file__).parents[1] / "docs" / "api" / "index.md"
MODULES = ["skcnn", *(f"skcnn.{name}" for name in ("augmentation", "datasets", "initializers", "inspection", "layers"))]
MODULES += [f"skcnn.{name}" for name in ("losses", "onnx", "optimizers", "persistence", "presets", "schedules")]
# aliases of types, and the contexts, which `Context` explains
ELSEWHERE = {"__version__", "Augmentation", "Initializer", "Schedule", "PREDICT", "TRAIN"}


def listed():
    """Return the names in the tables of the page, with their modules."""
    names, module = set(), None
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith((".. currentmodule::", ".. automodule::")):
            module = line.split()[-1]
        elif line.startswith("   ") and not line.strip().startswith(":"):
            names.add((module, line.strip()))
    return names


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_listed(module):
    public = {(module, name) for name in import_module(module).__all__ if name not in ELSEWHERE}
    assert public <= listed() | {("skcnn.persistence", name) for name in skcnn.__all__}


def test_listed_names_are_public():
    assert listed()
    for module, name in listed():
        assert name in import_module(module).__all__
