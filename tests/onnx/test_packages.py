"""What is said without the optional packages. These tests need none of them."""

import sys

import pytest

from skcnn.onnx import Fitted, Graph, add_layer, register_converter, to_onnx


def test_without_onnx(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'^Export to ONNX needs the package onnx: pip install "skcnn\[onnx\]" \('):
        to_onnx(fitted)


def test_without_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"^Converting pipelines to ONNX needs skl2onnx: pip install skl2onnx \("):
        register_converter()


def test_a_graph_needs_no_package(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    graph, network = Graph(), fitted.network_
    params = {str(i): of_layer for i, of_layer in enumerate(network.params)}
    add_layer(graph, network.chain, "X", Fitted(params, {}, network.shapes[0]))
    assert [node.operator for node in graph.nodes if node.operator in ("Conv", "Gemm")] == ["Conv", "Gemm", "Gemm"]
