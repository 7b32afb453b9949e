"""skcnn: a convolutional network in NumPy that is a scikit-learn classifier."""

from skcnn._version import __version__
from skcnn.classifier import NumpyCNNClassifier
from skcnn.compilation import compile_kernels
from skcnn.network import Network
from skcnn.persistence import load, save

__all__ = ["Network", "NumpyCNNClassifier", "__version__", "compile_kernels", "load", "save"]
