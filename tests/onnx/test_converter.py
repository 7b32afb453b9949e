"""Pipelines and other estimators that contain the classifier, converted by skl2onnx."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcnn.onnx import register_converter
from tests.onnx.helpers import assert_same, both_backends, fitted_on, outputs, session

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # these networks learn nothing
y = np.arange(100) % 3
OPTIONS = ["nocl", "output_class_labels", "raw_scores"]
PLAIN = {"zipmap": False}


@pytest.fixture(autouse=True)
def skl2onnx():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_converter()
    return skl2onnx


@pytest.fixture
def X(rng):
    return (rng.normal(3, 2, (100, 36)) + y[:, np.newaxis]).astype(np.float32)


@pytest.fixture
def clf(make):
    return make()


NAMES = np.array(["cat", "dog", "owl"])
LABELS = {"integers": y, "strings": NAMES[y], "floats": y / 1.0, "bools": y > 0, "two strings": NAMES[y // 2]}


@both_backends
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_a_pipeline_with_a_scaler(labels, dtype, backend, X, clf, skl2onnx):
    X = X.astype(dtype)
    pipeline = make_pipeline(StandardScaler(), clf.set_params(backend=backend)).fit(X, labels)
    model = skl2onnx.to_onnx(pipeline, X[:1], options=PLAIN)
    run = session(model)
    for n in (1, 100):
        label, probabilities = run.run(["label", "probabilities"], {"X": X[:n]})
        np.testing.assert_allclose(probabilities, pipeline.predict_proba(X[:n]), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(label, pipeline.predict(X[:n]))
        assert probabilities.dtype == dtype


def test_probabilities_by_label(X, clf, skl2onnx):
    pipeline = make_pipeline(StandardScaler(), clf).fit(X, LABELS["strings"])
    _, probabilities = outputs(skl2onnx.to_onnx(pipeline, X[:1]), X)
    assert list(probabilities[0]) == ["cat", "dog", "owl"]
    assert probabilities[0]["owl"] == pytest.approx(pipeline.predict_proba(X[:1])[0, 2], abs=1e-5)


def test_options(X, clf, skl2onnx):
    clf.fit(X, LABELS["strings"])
    outputs_of = {name: outputs(skl2onnx.to_onnx(clf, X[:1], options=PLAIN | {name: True}), X) for name in OPTIONS}
    np.testing.assert_array_equal(outputs_of["nocl"][0], clf.predict_proba(X).argmax(axis=1))
    np.testing.assert_array_equal(outputs_of["output_class_labels"][2], NAMES)
    np.testing.assert_allclose(outputs_of["raw_scores"][1], clf.decision_function(X), rtol=1e-4, atol=1e-5)


def test_images(X, clf, skl2onnx):
    from skl2onnx.common.data_types import FloatTensorType

    X = X.reshape(-1, 6, 6)
    clf.fit(X, y)
    model = skl2onnx.to_onnx(clf, initial_types=[("X", FloatTensorType([None, 6, 6]))], options=PLAIN)
    assert_same(model, clf, X)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_estimators_that_contain_the_classifier(n_classes, X, clf, skl2onnx):
    labels = y % n_classes
    for estimator in (
        GridSearchCV(clf, {"n_kernels": [1, 2]}, cv=2),
        CalibratedClassifierCV(clf, cv=2),
        StackingClassifier([("cnn", clf)], LogisticRegression(), cv=2),
    ):
        estimator.fit(X, labels)
        label, probabilities = outputs(skl2onnx.to_onnx(estimator, X[:1], options=PLAIN), X)
        np.testing.assert_allclose(probabilities, estimator.predict_proba(X), rtol=0, atol=1e-5)
        np.testing.assert_array_equal(label, estimator.predict(X))


def test_two_classifiers_in_one_model(X, skl2onnx):
    both = StackingClassifier(
        [("a", fitted_on(X, y)), ("b", fitted_on(X, y, random_state=1))], LogisticRegression(), cv="prefit"
    ).fit(X, y)
    _, probabilities = outputs(skl2onnx.to_onnx(both, X[:1], options=PLAIN), X)
    np.testing.assert_allclose(probabilities, both.predict_proba(X), rtol=0, atol=1e-5)


def test_images_of_another_shape(X, clf, skl2onnx):
    clf.fit(X, y)
    message = r"^NumpyCNNClassifier was fitted on images of shape \(6, 6\), but its input .* the shape \[None, 35\]$"
    with pytest.raises(ValueError, match=message):
        skl2onnx.to_onnx(clf, X[:1, :35])
