"""The optional packages, with an error that says what to install."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Any

__all__ = ["has_onnxruntime", "import_onnx", "import_skl2onnx"]


def import_onnx() -> Any:
    """Return the package onnx."""
    try:
        return importlib.import_module("onnx")
    except ImportError as error:
        raise ImportError(f'Export to ONNX needs the package onnx: pip install "skcnn[onnx]" ({error})') from error


def import_skl2onnx() -> Any:
    """Return the package skl2onnx."""
    try:
        return importlib.import_module("skl2onnx")
    except ImportError as error:
        raise ImportError(f"Converting pipelines to ONNX needs skl2onnx: pip install skl2onnx ({error})") from error


def has_onnxruntime() -> bool:
    """Return whether onnxruntime is installed."""
    return find_spec("onnxruntime") is not None
