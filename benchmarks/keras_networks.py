"""Networks of Keras's and TensorFlow's guides, with the training settings that are given there.

Signals, of one row, get the same networks along their one axis, without turned images. Where an image is too small for
the first network, its convolutions are padded.

References
----------
keras.io, "Simple MNIST convnet"; tensorflow.org, tutorial "Image classification".
"""

from __future__ import annotations

import keras
from keras import layers


def trained(name, X, y, n_classes, seed):
    """Return a network, trained on images (n, h, w, c) and classes from 0 on."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    return NETWORKS[name](X, y, n_classes)


def mnist_example(X, y, n_classes):
    """Train the network of Keras's example for MNIST: 15 epochs, with a tenth of the rows held out."""
    convolution, pool = _along(X, padding="valid" if max(X.shape[1:3]) >= 10 else "same")
    network = _compiled(
        [convolution(32), pool(), convolution(64), pool()],
        [layers.Flatten(), layers.Dropout(0.5), layers.Dense(n_classes, activation="softmax")],
    )
    network.fit(X, y, batch_size=128, epochs=15, validation_split=0.1, verbose=0)
    return network


def tutorial(X, y, n_classes):
    """Train the tutorial's first network: 10 epochs."""
    network = _compiled(_tutorial_blocks(X), _tutorial_head(n_classes))
    network.fit(X, y, batch_size=32, epochs=10, verbose=0)
    return network


def tutorial_augmented(X, y, n_classes):
    """Train the tutorial's second network, with turned images and dropout: 15 epochs."""
    turns = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)]
    start = [] if X.shape[1] == 1 else turns
    network = _compiled(start, _tutorial_blocks(X), [layers.Dropout(0.2)], _tutorial_head(n_classes))
    network.fit(X, y, batch_size=32, epochs=15, verbose=0)
    return network


NETWORKS = {
    "Keras MNIST example": mnist_example,
    "TensorFlow tutorial": tutorial,
    "TensorFlow tutorial, augmented": tutorial_augmented,
}


def _tutorial_blocks(X):
    convolution, pool = _along(X, padding="same")
    return [layer for n_kernels in (16, 32, 64) for layer in (convolution(n_kernels), pool())]


def _tutorial_head(n_classes):
    hidden = layers.Dense(128, activation="relu")
    return [layers.Flatten(), hidden, layers.Dense(n_classes, activation="softmax")]


def _along(X, padding):
    """Return functions that make a convolution and a pool, along one axis for signals."""
    kernel, pool = ((1, 3), (1, 2)) if X.shape[1] == 1 else (3, 2)
    return (
        lambda n_kernels: layers.Conv2D(n_kernels, kernel, padding=padding, activation="relu"),
        lambda: layers.MaxPooling2D(pool),
    )


def _compiled(*parts):
    keras.utils.clear_session()
    network = keras.Sequential([layer for part in parts for layer in part])
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return network
