"""Parameters: get_params, set_params and clone."""

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from skcnn.optimizers import SGD, Adam
from skcnn.schedules import Cosine


def test_set_params_reaches_layers_and_solver():
    conv, sgd = Conv2D(4), SGD()
    layers = [conv, Flatten()]
    clf = NumpyCNNClassifier(layers=layers, solver=sgd)
    clf.set_params(layers__0__n_kernels=8, solver__momentum=0.5)
    assert clf.layers == [Conv2D(8), Flatten()]
    assert clf.solver == SGD(momentum=0.5)
    assert (conv, sgd, layers) == (Conv2D(4), SGD(), [Conv2D(4), Flatten()]), "the objects of the user are not changed"
    assert clf.get_params()["layers__0__n_kernels"] == 8
    assert clf.set_params(layers=[Conv2D(2)], layers__0__stride=2).layers == [Conv2D(2, stride=2)]
    assert clf.set_params(layers__0=Dense(3)).layers == [Dense(3)]
    assert isinstance(NumpyCNNClassifier(layers=(conv,)).set_params(layers__0__stride=2).layers, tuple)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers__0__n_kernel": 8}, r"has no parameter 'n_kernel'; it has \['n_kernels', 'kernel_size'"),
        ({"layers__0__n_kernels": 0}, "Conv2D: n_kernels must be an int of at least 1, got 0"),
        ({"layers__7__n_kernels": 1}, r"has no parameter '7'; it has \['0', '1'\]"),
        ({"solver__momentum": 0.5}, r"pass an optimizer object, as in solver=SGD\(momentum=0.9\)"),
        ({"nothing__at_all": 0.5}, "Invalid parameter 'nothing'"),
        ({"nothing": 0.5}, "Invalid parameter 'nothing'"),
    ],
)
def test_set_params_sets_all_or_nothing(params, message):
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()])
    before = clf.get_params()
    with pytest.raises(ValueError, match=message):
        clf.set_params(max_iter=3, **params)
    assert clf.get_params() == before


def test_clone_copies_configuration_only(split_digits):
    X, _, y, _ = split_digits
    clf = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()], solver=Adam(beta_1=0.8), max_iter=1).fit(X, y)
    copy = clone(clf)
    assert copy.get_params() == clf.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]


def test_html_shows_the_parameters(split_digits):
    html = NumpyCNNClassifier(layers=[Conv2D(4), Flatten()])._repr_html_()
    assert "NumpyCNNClassifier" in html
    assert "Conv2D(n_kernels=4, kernel_size=3)" in html


def test_a_subclass_may_have_parameters_of_its_own(split_digits):
    class Small(NumpyCNNClassifier):
        def __init__(self, max_iter=2):
            super().__init__(layers=[Conv2D(4), ReLU(), MaxPool2D(), Flatten()], max_iter=max_iter)

    assert clone(Small()).fit(split_digits[0], split_digits[2]).n_iter_ == 2


@pytest.mark.parametrize(("name", "value"), [("solver", SGD), ("learning_rate", Cosine)])
def test_a_class_in_place_of_an_object_is_an_error(split_digits, name, value):
    with pytest.raises(ValueError, match=f"{name} must be an object, as in {value.__name__}"):
        NumpyCNNClassifier(**{name: value}).fit(split_digits[0], split_digits[2])


@pytest.fixture
def layers():
    return [Conv2D(2), ReLU(), Flatten(), Dense(4), ReLU()]


def test_one_list_of_layers_for_two_estimators(layers, data):
    X, y = data
    before = list(layers)
    first = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0).fit(X, y)
    proba = first.predict_proba(X).tobytes()
    second = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=1).fit(X, y % 2)
    assert layers == before  # the output layer is not added to the list of the user
    assert first.layers is second.layers is layers
    assert first.predict_proba(X).tobytes() == proba
    assert not any(np.shares_memory(a, b) for a, b in zip(first.coefs_, second.coefs_, strict=True))


def test_a_list_of_layers_changed_after_fit(layers, data):
    X, y = data
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0).fit(X, y)
    proba, copy, repr_of_copy = clf.predict_proba(X).tobytes(), clone(clf), repr(layers)
    layers[0] = Conv2D(5)
    layers.append(Dense(3))
    assert clf.predict_proba(X).tobytes() == proba
    assert repr(copy.layers) == repr_of_copy
    assert copy.fit(X, y).predict_proba(X).tobytes() == proba


@pytest.mark.parametrize("go_on", ["partial_fit", "warm_start"])
def test_training_does_not_go_on_after_a_change_of_layers(layers, data, go_on):
    # the list is the same object, but its layers differ from those of the network
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0, warm_start=True).fit(*data)
    layers[0] = Conv2D(5)
    with pytest.raises(
        ValueError, match=r"built with other parameters: layers was \(.*n_kernels=2.* and is now \(.*n_kernels=5"
    ):
        (clf.fit if go_on == "warm_start" else clf.partial_fit)(*data)


def test_set_params_replaces_and_never_alters(layers, make):
    solver, clf = SGD(), make(solver=SGD(), layers=layers)
    before = list(layers)
    clf.set_params(layers__0__n_kernels=7, solver__momentum=0.5)
    assert (clf.layers[0].n_kernels, clf.solver.momentum) == (7, 0.5)
    assert (layers, solver) == (before, SGD())


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"solver__momentum": 0.5}, r"solver='sgd' has no parameter 'momentum'; pass .* solver=SGD\("),
        ({"solver": SGD(), "solver__momentun": 0.5}, r"no parameter 'momentun'; it has \['momentum', 'nesterov'\]"),
        ({"solver": SGD(), "solver__momentum": 2}, r"SGD: momentum must be a number in \[0, 1\), got 2"),
        ({"layers__0__n_kernels": 3}, r"layers=None has no parameter '0'"),
        ({"kernels__0": 3}, r"Invalid parameter 'kernels' for estimator NumpyCNNClassifier"),
        ({"kernels": 3}, r"Invalid parameter 'kernels' for estimator NumpyCNNClassifier"),
    ],
)
def test_parameters_that_are_not_there(make, parameters, text):
    clf = make(solver="sgd")
    before = clf.get_params()
    with pytest.raises(ValueError, match=text):
        clf.set_params(max_iter=9, **parameters)
    assert clf.get_params() == before  # a call that fails sets no parameter


def test_a_subclass_may_answer_for_its_tags_from_its_parameters(data):
    class Random(NumpyCNNClassifier):
        def __sklearn_tags__(self):
            tags = super().__sklearn_tags__()
            tags.non_deterministic = self.random_state is None
            return tags

    assert Random(n_kernels=2, max_iter=1).fit(*data).predict(data[0]).shape == (40,)
