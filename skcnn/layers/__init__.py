"""The layers: frozen configuration, with functions that take and return arrays (see `Layer`)."""

from skcnn.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from skcnn.layers.base import PREDICT, TRAIN, Context, Layer
from skcnn.layers.conv import Conv2D
from skcnn.layers.dense import Dense, Flatten
from skcnn.layers.dropout import Dropout, SpatialDropout2D
from skcnn.layers.norm import BatchNorm
from skcnn.layers.pool import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D, MinPool2D
from skcnn.layers.residual import Residual
from skcnn.layers.sequential import Sequential

__all__ = [
    "ELU",
    "GELU",
    "PREDICT",
    "TRAIN",
    "AvgPool2D",
    "BatchNorm",
    "Context",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MinPool2D",
    "ReLU",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SpatialDropout2D",
    "Tanh",
]
