"""Classifiers that `comparison.py` compares: scikit-learn's and Keras's, each as its users would call it, and ours.

A contender is a function of a set, its split's training and test rows, and a seed. It returns the predicted classes of
the test rows and the seconds that `fit` took.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from skcnn import NumpyCNNClassifier

Result = tuple[np.ndarray, float]


def skcnn(image_set, train, test, seed, **parameters):
    """Train our classifier on the images as they are."""
    shape = {} if image_set.image_shape is None else {"image_shape": image_set.image_shape}
    return _timed(NumpyCNNClassifier(**shape, **parameters, random_state=seed), image_set.X, image_set.y, train, test)


def sklearn_peer(make, image_set, train, test, seed):
    """Train a classifier of scikit-learn on flat rows; pictures are scaled to 0..1, other values are standardised."""
    X = image_set.X.reshape(len(image_set.X), -1)
    return _timed(make_pipeline(_scaler(X[train]), make(seed)), X, image_set.y, train, test)


def _scaler(X):
    return FunctionTransformer(_divided, kw_args={"by": X.max()}) if X.min() >= 0 else StandardScaler()


def _divided(X, by):
    return X.astype(np.float32) / np.float32(by)


def _timed(classifier, X, y, train, test):
    start = time.perf_counter()
    classifier.fit(X[train], y[train])
    seconds = time.perf_counter() - start
    return classifier.predict(X[test]), seconds


def keras_peer(name, image_set, train, test, seed):
    """Train a network of Keras on values from 0 to 1."""
    from keras_networks import trained

    images = image_set.X.reshape(len(image_set.X), *_image_shape(image_set)).astype(np.float32)
    low, high = min(0, images[train].min()), images[train].max()
    images = (images - low) / (high - low)
    classes, codes = np.unique(image_set.y, return_inverse=True)
    rows = np.random.default_rng(seed).permutation(train)  # the network's validation data are the last rows
    start = time.perf_counter()
    network = trained(name, images[rows], codes[rows], len(classes), seed)
    seconds = time.perf_counter() - start
    return classes[network.predict(images[test], verbose=0).argmax(1)], seconds


def _image_shape(image_set):
    shape = image_set.image_shape or image_set.X.shape[1:]
    return shape if len(shape) == 3 else (*shape, 1)


SKLEARN = {
    "SVC": lambda seed: SVC(C=10, random_state=seed),
    "random forest": lambda seed: RandomForestClassifier(500, random_state=seed),
    "MLP": lambda seed: MLPClassifier(random_state=seed),
    "logistic regression": lambda seed: LogisticRegression(max_iter=1000),
    "histogram boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
KERAS = ("Keras MNIST example", "TensorFlow tutorial", "TensorFlow tutorial, augmented")
PEERS = {
    **{name: partial(sklearn_peer, make) for name, make in SKLEARN.items() if name != "histogram boosting"},
    **{name: partial(keras_peer, name) for name in KERAS},
    "histogram boosting": partial(sklearn_peer, SKLEARN["histogram boosting"]),  # the slowest comes last
}
