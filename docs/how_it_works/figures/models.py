"""The data and the networks of the figures: digits, and the network of the exercise trained on them."""

from functools import lru_cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.layers import Context


@lru_cache
def digits():
    """Return X_train, X_test, y_train, y_test: images (n, 8, 8) with pixels from -0.5 to 0.5."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) / 16 - 0.5).astype(np.float32)
    return train_test_split(images, labels, stratify=labels, random_state=0)


@lru_cache
def classifier():
    """Return the network of the exercise, trained on digits for ten epochs."""
    X_train, _, y_train, _ = digits()
    clf = NumpyCNNClassifier(
        n_kernels=(6, 6), kernel_size=5, pool_size=(1, 2), scaling=None, max_iter=10, random_state=0
    )
    return clf.fit(X_train, y_train)


@lru_cache
def one_digit(label, index=0):
    """Return a test image (8, 8) of this label."""
    _, X_test, _, y_test = digits()
    return X_test[np.flatnonzero(y_test == label)[index]]


def outputs(network, x):
    """Return the input (n, h, w, c) and the output of every layer."""
    arrays = [x]
    for layer, params, state in zip(network.layers, network.params, network.states, strict=True):
        arrays.append(layer.apply(params, arrays[-1], Context(state=state)))
    return arrays
