"""Export to ONNX: a fitted classifier as a file that other programs can run, without Python or this package.

`to_onnx` needs the package onnx: ``pip install "skcnn[onnx]"``. `register_converter` needs skl2onnx. Importing this
module needs neither.
"""

from skcnn.onnx.converter import register_converter
from skcnn.onnx.export import to_onnx
from skcnn.onnx.graph import Graph
from skcnn.onnx.rules import Fitted, add_layer

__all__ = ["Fitted", "Graph", "add_layer", "register_converter", "to_onnx"]
