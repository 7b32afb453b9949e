"""The layers: frozen configuration with three functions, `build`, `forward` and `backward` (see `Layer`)."""

from skcnn.layers.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from skcnn.layers.base import Layer
from skcnn.layers.conv import Conv2D
from skcnn.layers.dense import Dense, Flatten
from skcnn.layers.pool import AvgPool2D, GlobalAvgPool2D, MaxPool2D, MinPool2D

__all__ = [
    "AvgPool2D",
    "Conv2D",
    "Dense",
    "Flatten",
    "GlobalAvgPool2D",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MinPool2D",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
