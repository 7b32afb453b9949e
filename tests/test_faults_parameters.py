"""Parameters out of range, networks that do not fit their images, and parameters shared or changed."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.signal import correlate2d
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV

from skcnn import NumpyCNNClassifier
from skcnn.layers import AvgPool2D, Conv2D, Dense, Flatten, MaxPool2D, MinPool2D, ReLU, Sigmoid, Softmax
from skcnn.optimizers import SGD


def build(layer, in_shape):
    return layer.build(in_shape, np.random.default_rng(0), np.float64)


@pytest.fixture
def images(data):
    return data[0].reshape(40, 6, 6), data[1]


# The shape of images


@pytest.mark.parametrize(
    ("image_shape", "n_features", "text"),
    [
        ((8, 8), 60, r"image_shape \(8, 8, 1\) needs 64 features, got 60"),
        ((4, 5, 3), 64, r"image_shape \(4, 5, 3\) needs 60 features, got 64"),
    ],
)
def test_row_47_image_shape_of_another_size(make, image_shape, n_features, text):
    with pytest.raises(ValueError, match=text):
        make(image_shape=image_shape).fit(np.zeros((8, n_features)), np.arange(8) % 2)


def test_row_47_image_shape_against_the_shape_of_X(make, images):
    with pytest.raises(ValueError, match=r"image_shape \(4, 9, 1\) does not agree with X of shape \(40, 6, 6\)"):
        make(image_shape=(4, 9)).fit(*images)


BAD_SHAPES = [(0, 8), (-1, 8), (8.0, 8), (8, 8, 1, 1), (64,), (), (True, 8), (8, None), "8x8", 8, True, 8.0]


@pytest.mark.parametrize("image_shape", BAD_SHAPES, ids=repr)
def test_row_48_image_shape_out_of_range(make, digits, image_shape):
    clf = make(image_shape=image_shape)  # no complaint before fit, as everywhere in scikit-learn
    clf.set_params(image_shape=image_shape)
    with pytest.raises(ValueError, match=r"image_shape.* must be .*[Gg]ot") as caught:
        clf.fit(*digits)
    assert repr(image_shape) in str(caught.value)


# The sizes of layers


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"kernel_size": 7, "padding": "valid"}, r"layers\[0\] Conv2D\(.*\): kernel 7x7 does not fit the 6x6 map"),
        (
            {"kernel_size": ((1, 9),), "padding": 1},
            r"layers\[0\] Conv2D\(.*\): kernel 1x9 .*6x6 map \(8x8 with its padding\)",
        ),
        ({"pool_size": 7}, r"layers\[2\] MaxPool2D\(.*\): window 7x7 does not fit the 6x6 map"),
        (
            {"n_kernels": (2, 2), "kernel_size": (3, 4), "padding": "valid"},
            r"layers\[3\] Conv2D\(.*\): kernel 4x4 does not fit the 2x2 map",
        ),
    ],
)
def test_row_49_layers_larger_than_their_maps(make, images, parameters, text):
    X, y = images
    with pytest.raises(ValueError, match=text):
        make(**parameters).fit(X, y)
    with pytest.raises(ValueError, match=text):
        make(**parameters, image_shape=(6, 6)).fit(X.reshape(40, 36), y)
    # where we guessed the shape ourselves, layers shrink instead
    assert make(**parameters).fit(X.reshape(40, 36), y).image_shape_ == (6, 6, 1)


OUT_OF_RANGE = [
    ("kernel_size", 0),
    ("kernel_size", -1),
    ("kernel_size", 2.5),
    ("kernel_size", True),
    ("kernel_size", (3, 0)),
    ("stride", 0),
    ("stride", (1, -1)),
    ("padding", -1),
    ("padding", (0, -1)),
    ("padding", "full"),
]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_row_50_sizes_out_of_range(make, images, name, value):
    with pytest.raises(ValueError, match=f"^Conv2D: {name} must be .*, got ") as caught:
        Conv2D(2, **{name: value})
    assert repr(value) in str(caught.value)
    in_sequence = value if not isinstance(value, tuple) else (value,)
    clf = make(**{name: in_sequence})
    with pytest.raises(ValueError, match=name) as caught:
        clf.fit(*images)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("pool", [MaxPool2D, MinPool2D, AvgPool2D])
@pytest.mark.parametrize(("name", "value"), [("pool_size", 0), ("pool_size", (2, -2)), ("stride", 0), ("stride", 1.5)])
def test_row_50_pools_out_of_range(pool, name, value):
    with pytest.raises(ValueError, match=f"^{pool.__name__}: {name} must be an int of at least 1 or a pair"):
        pool(**{name: value})


@pytest.mark.parametrize("size", [2, 4, (2, 3), (4, 1), 6])
@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1)])
@pytest.mark.parametrize("map_size", [(5, 5), (6, 7), (9, 4)])
def test_row_51_same_padding_of_even_kernels(size, stride, map_size):
    layer = Conv2D(1, size, stride, "same", bias=None)
    params, out_shape = build(layer, (*map_size, 1))
    (kh, kw), (sh, sw) = np.broadcast_to(size, 2), np.broadcast_to(stride, 2)
    assert out_shape == (math.ceil(map_size[0] / sh), math.ceil(map_size[1] / sw), 1)

    # by TensorFlow's rule, the odd row and column of zeros come last
    x, W = np.random.default_rng(1).normal(size=map_size), params["W"][:, :, 0, 0]
    total = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, s, k in zip(map_size, (sh, sw), (kh, kw), strict=True)]
    padded = np.pad(x, [(t // 2, t - t // 2) for t in total])
    out, _ = layer.forward(params, x[np.newaxis, :, :, np.newaxis])
    np.testing.assert_allclose(out[0, :, :, 0], correlate2d(padded, W, "valid")[::sh, ::sw], atol=1e-12)


def test_row_51_the_extra_padding_is_at_the_bottom_and_right():
    layer = Conv2D(1, 2, bias=None)
    ones = np.ones((1, 3, 3, 1))
    out, _ = layer.forward({"W": np.ones((2, 2, 1, 1))}, ones)
    assert out[0, :, :, 0].tolist() == [[4, 4, 2], [4, 4, 2], [2, 2, 1]]


GEOMETRIES = [
    # map, kernel, stride, padding: no two numbers of a pair alike
    ((7, 11), (3, 5), (2, 3), (1, 2)),
    ((11, 7), (5, 2), (1, 2), "valid"),
    ((8, 5), (1, 4), (3, 1), (0, 3)),
    ((5, 9), (4, 3), (2, 4), "same"),
    ((6, 10), (2, 3), (5, 4), (2, 0)),  # steps longer than the kernel: some pixels take no part
]


@pytest.mark.parametrize(("map_size", "size", "stride", "padding"), GEOMETRIES)
def test_row_53_asymmetric_convolutions(map_size, size, stride, padding):
    rng = np.random.default_rng(2)
    layer = Conv2D(4, size, stride, padding)
    params, out_shape = build(layer, (*map_size, 3))
    params["b"] = rng.normal(size=4)
    x = rng.normal(size=(2, *map_size, 3))
    out, cache = layer.forward(params, x, train=True)
    assert out.shape == (2, *out_shape)

    # SciPy's correlation, map by map, is the independent judge
    (top, bottom), (left, right) = _widths(map_size, size, stride, padding)
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for image, result in zip(padded, out, strict=True):
        for k in range(4):
            full = sum(correlate2d(image[:, :, c], params["W"][:, :, c, k], "valid") for c in range(3))
            expected = full[:: stride[0], :: stride[1]] + params["b"][k]
            np.testing.assert_allclose(result[:, :, k], expected, rtol=0, atol=1e-9)

    # the layer is linear in x and in its weights, so its gradients are its adjoints: exact, with no step size
    d_out = rng.normal(size=out.shape)
    d_x, grads = layer.backward(params, cache, d_out)
    other_x, other_W = rng.normal(size=x.shape), rng.normal(size=params["W"].shape)
    by_x, _ = layer.forward({"W": params["W"]}, other_x)
    by_W, _ = layer.forward({"W": other_W}, x)
    assert np.vdot(d_x, other_x) == pytest.approx(np.vdot(d_out, by_x), abs=1e-9)
    assert np.vdot(grads["W"], other_W) == pytest.approx(np.vdot(d_out, by_W), abs=1e-9)
    np.testing.assert_allclose(grads["b"], d_out.sum(axis=(0, 1, 2)), atol=1e-9)


def _widths(map_size, size, stride, padding):
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(map_size, stride, size, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((p, p) for p in padding)


@pytest.mark.parametrize("pool", [MaxPool2D, MinPool2D])
@pytest.mark.parametrize(("size", "stride"), [(2, None), ((2, 3), None), (3, 1), (2, 3), ((3, 2), (1, 2))])
def test_row_54_ties_have_one_winner(pool, size, stride):
    layer = pool(size, stride)
    x = np.random.default_rng(4).integers(0, 2, (3, 6, 6, 2)).astype(float)  # nothing but ties
    out, cache = layer.forward({}, x, train=True)
    d_out = np.random.default_rng(5).normal(size=out.shape)
    d_x, _ = layer.backward({}, cache, d_out)
    assert d_x.sum() == pytest.approx(d_out.sum(), abs=1e-12)

    # one window at a time: all of its gradient on one pixel, and that one is the window's result
    for window in np.ndindex(*out.shape[1:3]):
        alone = np.zeros_like(d_out)
        alone[:, window[0], window[1]] = 1
        won, _ = layer.backward({}, cache, alone)
        assert (won != 0).sum(axis=(1, 2)).tolist() == [[1, 1]] * 3
        assert np.array_equal((won * x).sum(axis=(1, 2)), out[:, window[0], window[1]])


# What to build from


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"n_kernels": 0}, r"'n_kernels' parameter .* must be an int in the range \[1, inf\).* Got 0"),
        ({"n_kernels": (2, 0)}, r"n_kernels must be an int of at least 1 or a sequence of them, got \(2, 0\)"),
        ({"n_kernels": ()}, r"n_kernels must .* at least one .*got \(\)"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be an int of at least 1 or a sequence"),
        ({"activation": "swish"}, r"'activation' parameter .*'relu'.* Got 'swish' instead"),
        (
            {"activation": ("relu", "swish")},
            r"activation\[1\] is out of range: 'swish'; .*'leaky_relu', 'logistic', 'relu'",
        ),
        ({"pool": "median"}, r"'pool' parameter .*'max'.* Got 'median' instead"),
        ({"pool": ("median",)}, r"pool\[0\] is out of range: 'median'; it must be one of \['avg', 'max', 'min'\]"),
        ({"kernel_size": (3, 5)}, r"kernel_size must be .*one for each of the 1 layers, got 2.* as in \(\(3, 5\),\)"),
        ({"solver": "adamax"}, r"'solver' parameter .*'adam'.* Got 'adamax' instead"),
    ],
)
def test_row_52_architectures_that_are_none(make, images, parameters, text):
    with pytest.raises(ValueError, match=text):
        make(**parameters).fit(*images)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ([], r"layers must hold at least one layer, got"),
        (["conv", Flatten()], r"layers\[0\] must be a layer \(.*Conv2D, Dense, Dropout, Flatten.*\), got 'conv'"),
        ([Conv2D(2), Flatten], r"layers\[1\] must be a layer \(.*\), got <class"),
        (
            [Conv2D(2), Dense(3)],
            r"layers\[1\] Dense\(n_units=3\): needs rows, got maps of shape \(6, 6, 2\); put Flatten\(\)",
        ),
        (
            [Flatten(), Conv2D(2)],
            r"layers\[1\] Conv2D\(.*\): needs maps \(h, w, c\), got rows of shape \(36,\)",
        ),
        ([Conv2D(2), ReLU()], r"layers end in maps of shape \(6, 6, 2\); end them in rows, by Flatten"),
        ([Flatten(), Softmax()], r"layers\[1\] Softmax\(\): the output layer and its link .* are always appended"),
        ((Flatten(), Dense(3), Sigmoid()), r"layers\[2\] Sigmoid\(\): the output layer and its link .* leave it out"),
    ],
)
def test_row_52_layers_that_are_no_network(images, layers, text):
    with pytest.raises(ValueError, match=text):
        NumpyCNNClassifier(layers=layers, max_iter=1).fit(*images)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_kernels", 3), ("kernel_size", 5), ("pool_size", 3), ("hidden_layer_sizes", ()), ("activation", "tanh"),
        ("stride", 2), ("padding", "valid"), ("pool", "avg"),
    ],
)  # fmt: skip
def test_row_52_layers_and_the_parameters_they_replace(images, name, value):
    with pytest.raises(
        ValueError, match=rf"layers replaces \['{name}'\]: set these parameters, or layers, but not both"
    ):
        NumpyCNNClassifier(layers=[Flatten()], **{name: value}).fit(*images)


def test_row_52_layer_fields_are_checked_at_once():
    with pytest.raises(ValueError, match="Conv2D: n_kernels must be an int of at least 1, got 0"):
        Conv2D(0)
    with pytest.raises(ValueError, match="Dense: n_units must be an int of at least 1, got -3"):
        Dense(-3)


# Training


def test_row_57_batches_larger_than_the_data_are_clipped(make, data):
    X, y = data
    with pytest.warns(UserWarning, match="batch_size=41 is larger than the 40 rows; it is clipped to them"):
        clipped = make(batch_size=41).fit(X, y)
    assert clipped.predict_proba(X).tobytes() == make(batch_size=40).fit(X, y).predict_proba(X).tobytes()


@pytest.mark.parametrize("batch_size", [1, 3, 40, "auto"])
@pytest.mark.parametrize("n", [5, 40])
def test_row_57_batches_that_fit(make, data, batch_size, n):
    # "auto" is our own choice, so it must never be clipped with a warning
    X, y = data[0][:n], data[1][:n]
    clf = make(batch_size=min(batch_size, n) if batch_size != "auto" else "auto").fit(X, y)
    assert clf.t_ == n
    assert np.isfinite(clf.predict_proba(X)).all()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param("batch_size", [0, -1, 2.5, "all"], id="row_57"),
        pytest.param("max_iter", [0, -1, 1.5], id="row_61"),
    ],
)
def test_rows_57_and_61_counts_out_of_range(make, data, name, values):
    for value in values:
        with pytest.raises(
            ValueError, match=f"The '{name}' parameter of NumpyCNNClassifier must be .* Got {value!r} inst"
        ):
            make(**{name: value}).fit(*data)


@pytest.mark.parametrize("max_iter", [1, 3])
def test_row_61_epochs_are_counted(make, data, max_iter):
    clf = make(max_iter=max_iter).fit(*data)  # and no warning that the budget was used up
    assert clf.n_iter_ == max_iter == len(clf.loss_curve_)
    assert clf.stop_reason_ == "max_iter"


def test_row_66_an_int_repeats_to_the_bit(make, data):
    first, second = (make(random_state=7, max_iter=2, early_stopping=True).fit(*data) for _ in range(2))
    assert first.predict_proba(data[0]).tobytes() == second.predict_proba(data[0]).tobytes()
    assert first.loss_curve_ == second.loss_curve_
    assert first.loss_ != make(random_state=8, max_iter=2, early_stopping=True).fit(*data).loss_


def test_row_66_a_random_state_is_drawn_from(make, data):
    state = np.random.RandomState(7)
    losses = [make(random_state=r).fit(*data).loss_ for r in (state, state, np.random.RandomState(7))]
    assert losses[0] == losses[2] != losses[1]


def test_row_66_none_differs_every_time(make, data):
    assert make(random_state=None).fit(*data).loss_ != make(random_state=None).fit(*data).loss_


@pytest.mark.parametrize("random_state", [np.random.default_rng(0), -1, "seed", 1.5], ids=str)
def test_row_66_what_is_no_random_state(make, data, random_state):
    with pytest.raises(ValueError, match="random_state"):
        make(random_state=random_state).fit(*data)


# Sharing and setting


@pytest.fixture
def layers():
    return [Conv2D(2), ReLU(), Flatten(), Dense(4), ReLU()]


def test_row_90_one_list_of_layers_for_two_estimators(layers, data):
    X, y = data
    before = list(layers)
    first = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0).fit(X, y)
    proba = first.predict_proba(X).tobytes()
    second = NumpyCNNClassifier(layers=layers, max_iter=2, random_state=1).fit(X, y % 2)
    assert layers == before  # the output layer is not written into the user's list
    assert first.layers is second.layers is layers
    assert first.predict_proba(X).tobytes() == proba
    assert not any(np.shares_memory(a, b) for a, b in zip(first.coefs_, second.coefs_, strict=True))


def test_row_90_a_list_of_layers_changed_after_fit(layers, data):
    X, y = data
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0).fit(X, y)
    proba, copy, repr_of_copy = clf.predict_proba(X).tobytes(), clone(clf), repr(layers)
    layers[0] = Conv2D(5)
    layers.append(Dense(3))
    assert clf.predict_proba(X).tobytes() == proba
    assert repr(copy.layers) == repr_of_copy
    assert copy.fit(X, y).predict_proba(X).tobytes() == proba


@pytest.mark.parametrize("go_on", ["partial_fit", "warm_start"])
def test_row_90_training_does_not_go_on_after_a_change_of_layers(layers, data, go_on):
    # the list is the same object, but no longer what the network was built from
    clf = NumpyCNNClassifier(layers=layers, max_iter=1, random_state=0, warm_start=True).fit(*data)
    layers[0] = Conv2D(5)
    with pytest.raises(
        ValueError, match=r"the network was built otherwise: layers was \(.*n_kernels=2.* and is \(.*n_kernels=5"
    ):
        (clf.fit if go_on == "warm_start" else clf.partial_fit)(*data)


def test_row_90_set_params_replaces_and_never_alters(layers, make):
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
def test_row_52_parameters_that_are_not_there(make, parameters, text):
    clf = make(solver="sgd")
    before = clf.get_params()
    with pytest.raises(ValueError, match=text):
        clf.set_params(max_iter=9, **parameters)
    assert clf.get_params() == before  # all or nothing


@pytest.mark.parametrize("grid", [{"kernel_size": [3, 7]}, {"batch_size": [8, 0]}], ids=str)
def test_row_49_a_candidate_that_does_not_fit_scores_nan(make, images, grid):
    search = GridSearchCV(make(padding="valid"), grid, cv=2, error_score=np.nan)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*images)
    assert any(
        issubclass(w.category, FitFailedWarning) and "2 fits failed out of a total of 4" in str(w.message)
        for w in caught
    )
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).tolist() == [True, False]
    assert search.best_params_ == {name: values[0] for name, values in grid.items()}
