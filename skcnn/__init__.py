"""skcnn: a convolutional network in NumPy that is a scikit-learn classifier."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skcnn._version import __version__

if TYPE_CHECKING:
    from skcnn.classifier import NumpyCNNClassifier
    from skcnn.compilation import compile_kernels
    from skcnn.features import CNNFeatures
    from skcnn.network import Network
    from skcnn.persistence import load, save

__all__ = ["CNNFeatures", "Network", "NumpyCNNClassifier", "__version__", "compile_kernels", "load", "save"]

# Each name is imported when it is first used, so that the layers can be used without importing scikit-learn.
_MODULE_OF = {
    "CNNFeatures": "features",
    "Network": "network",
    "NumpyCNNClassifier": "classifier",
    "compile_kernels": "compilation",
    "load": "persistence",
    "save": "persistence",
}
_MODULES = {
    "augmentation",
    "classifier",
    "compilation",
    "datasets",
    "features",
    "initializers",
    "inspection",
    "layers",
    "losses",
    "network",
    "onnx",
    "optimizers",
    "persistence",
    "presets",
    "schedules",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"skcnn.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'skcnn' has no attribute {name!r}")
    value = getattr(import_module(f"skcnn.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *globals()})
