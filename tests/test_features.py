"""CNNFeatures: the output of a layer, as a transformer."""

import pickle
import re

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_global_output_transform_pandas,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
)

from skcnn import CNNFeatures, NumpyCNNClassifier
from skcnn.layers import Conv2D, Flatten, ReLU, Sequential


@pytest.mark.filterwarnings("ignore")  # the small data of the checks make an estimator warn for good reasons
@pytest.mark.parametrize(
    "features",
    [
        CNNFeatures(NumpyCNNClassifier(max_iter=2, random_state=0)),
        CNNFeatures(NumpyCNNClassifier(n_kernels=2, max_iter=1, random_state=0, dtype="float32"), layer=0),
    ],
    ids=["default", "float32-maps"],
)
def test_the_checks_of_scikit_learn_pass(features):
    results = check_estimator(features, on_skip=None, on_fail=None)
    assert "check_transformer_general" in {result["check_name"] for result in results}
    assert [(r["check_name"], str(r["exception"])) for r in results if r["status"] != "passed"] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "check",
    [
        check_dataframe_column_names_consistency,
        check_global_output_transform_pandas,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
def test_checks_outside_check_estimator(check):
    check("CNNFeatures", CNNFeatures(NumpyCNNClassifier(max_iter=1, n_kernels=2, random_state=0)))


@pytest.mark.parametrize("layer", [0, 2, -2, -1])
def test_features_are_flat_activations(make, data, layer):
    X, y = data
    features = CNNFeatures(make(), layer=layer)
    found = features.fit_transform(X, y)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, make().fit(X, y).activations(X, layer=layer).reshape(len(X), -1))
    names = features.get_feature_names_out()
    assert names.tolist() == [f"cnnfeatures{i}" for i in range(found.shape[1])]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(features)).transform(X), found)


def test_layers_inside_chains(make, data):
    X, y = data
    layers = [Sequential([Conv2D(3), ReLU()]), Flatten()]
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0)
    features = CNNFeatures(clf, layer=(0, 0)).fit(X, y)
    assert features.transform(X).shape == (40, 3 * 36)
    assert features.get_feature_names_out().shape == (3 * 36,)


def test_fit_trains_a_clone(make, data):
    clf = make()
    features = CNNFeatures(clf).fit(*data)
    assert not hasattr(clf, "classes_")
    assert features.estimator_.classes_.tolist() == [0, 1, 2]
    assert features.n_features_in_ == 36


def test_images_of_any_shape(make, uint8_images):
    X, y = uint8_images
    features = CNNFeatures(make(), layer=-2).fit(X, y)
    found = features.transform(X)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(features.transform(X.reshape(len(X), -1)), found)
    with pytest.raises(ValueError, match="the network was fitted on images of shape"):
        features.transform(X[:, :20])


def test_a_fitted_classifier_can_be_frozen(fitted, data):
    X, y = data
    before = pickle.dumps(fitted)
    features = CNNFeatures(FrozenEstimator(fitted))
    expected = fitted.activations(X, layer=-2)
    np.testing.assert_array_equal(features.fit_transform(X), expected)  # without y
    np.testing.assert_array_equal(clone(features).fit(X[:5], y[:5]).transform(X), expected)
    np.testing.assert_array_equal(make_pipeline(features, "passthrough").fit(X, y).transform(X), expected)
    assert pickle.dumps(fitted) == before
    assert features.n_features_in_ == 36


def test_in_a_pipeline_with_another_classifier(split_digits):
    X_train, X_test, y_train, y_test = split_digits
    clf = NumpyCNNClassifier(max_iter=5, random_state=0)
    pipeline = make_pipeline(CNNFeatures(clf), LogisticRegression(max_iter=1000))
    assert pipeline.fit(X_train, y_train).score(X_test, y_test) > 0.95


def test_in_a_search_over_the_layer_and_the_network(make, data):
    pipeline = make_pipeline(CNNFeatures(make()), LogisticRegression())
    grid = {"cnnfeatures__layer": [-1, -2], "cnnfeatures__estimator__n_kernels": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    n_kernels = search.best_params_["cnnfeatures__estimator__n_kernels"]
    assert search.best_estimator_[0].estimator_.coefs_[0].shape[-1] == n_kernels


def test_tables(make, data):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(data[0], columns=[f"pixel{i}" for i in range(36)])
    features = CNNFeatures(make()).set_output(transform="pandas").fit(table, data[1])
    assert features.feature_names_in_.tolist() == table.columns.tolist()
    found = features.transform(table)
    assert found.columns.tolist() == ["cnnfeatures0", "cnnfeatures1", "cnnfeatures2", "cnnfeatures3"]
    assert not hasattr(features.fit(*data), "feature_names_in_")


def test_weights_reach_the_classifier(make, data):
    X, y = data
    weight = np.linspace(0, 2, 40)
    expected = make().fit(X, y, sample_weight=weight).activations(X, layer=-2)
    np.testing.assert_array_equal(CNNFeatures(make()).fit(X, y, sample_weight=weight).transform(X), expected)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = CNNFeatures(make().set_fit_request(sample_weight=True))
        pipeline = make_pipeline(routed, LogisticRegression().set_fit_request(sample_weight=False))
        pipeline.fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(pipeline[0].transform(X), expected)


@pytest.mark.parametrize(
    ("estimator", "layer", "error", "text"),
    [
        (
            MLPClassifier(),
            -2,
            TypeError,
            "must be a NumpyCNNClassifier, or a FrozenEstimator of one, got MLP",
        ),
        (FrozenEstimator(MLPClassifier()), -2, TypeError, "got MLPClassifier in a FrozenEstimator"),
        (FrozenEstimator(NumpyCNNClassifier()), -2, NotFittedError, "NumpyCNNClassifier instance is not fitted"),
        (NumpyCNNClassifier(max_iter=1), "relu", TypeError, "layer='relu' must be an int"),
        (NumpyCNNClassifier(max_iter=1, n_kernels=1), 9, IndexError, "layer=9: the network has 7 layers"),
    ],
)
def test_wrong_arguments_are_named(data, estimator, layer, error, text):
    with pytest.raises(error, match=re.escape(text)):
        CNNFeatures(estimator, layer=layer).fit(*data)


def test_before_fit(make, data):
    features = CNNFeatures(make())
    assert not hasattr(features, "n_features_in_")
    for method in (features.transform, features.get_feature_names_out):
        with pytest.raises(NotFittedError):
            method(data[0])
    with pytest.raises(ValueError, match="requires y"):
        features.fit(data[0])
