"""A program of a user, which `.ci/check types` reads: mypy finds the types of the classifier's methods.

Each `type: ignore` is an error that mypy must find. It reports those that it does not need.
"""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from skcnn import Network, NumpyCNNClassifier, load


def fit_and_predict(images: NDArray[np.uint8], labels: list[str]) -> NDArray[Any]:
    """Train a classifier on an array of images, and predict in all ways."""
    clf = NumpyCNNClassifier(n_kernels=(8, 16), kernel_size=(3, (5, 3)), padding="same", random_state=0)
    assert_type(clf.fit(images, labels, X_val=images, y_val=labels), NumpyCNNClassifier)
    assert_type(clf.partial_fit(images, labels, classes=["a", "b"]), NumpyCNNClassifier)
    assert_type(clf.score(images, labels), float)
    assert_type(clf.network_, Network)
    assert_type(clf.history_, list[dict[str, Any]])
    assert_type(clf.image_shape_, tuple[int, int, int])
    assert_type(load("model.skcnn"), NumpyCNNClassifier)
    assert_type(clf.predict_proba(images), NDArray[Any])
    return clf.predict(list(images))


def make_mistakes(images: NDArray[np.uint8]) -> None:
    """Make mistakes that mypy finds before the program runs."""
    clf = NumpyCNNClassifier(kernel_size="3")  # type: ignore[arg-type]
    clf.fit(images)  # type: ignore[call-arg]
    clf.fit(images, None)  # type: ignore[arg-type]
    clf.partial_fit(images, [0], weights=[1])  # type: ignore[call-arg]
