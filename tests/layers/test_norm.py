"""Batch normalisation: its statistics, and a comparison with PyTorch where it is installed."""

import numpy as np
import pytest

from skcnn import NumpyCNNClassifier
from skcnn.layers import TRAIN, BatchNorm, Context, Conv2D, Flatten
from skcnn.layers.base import alone


def made(shape, momentum=0.9, epsilon=1e-5):
    rng = np.random.default_rng(0)
    layer = BatchNorm(momentum, epsilon)
    params = {"scale": rng.normal(size=shape[-1]), "shift": rng.normal(size=shape[-1])}
    return layer, params, layer.initial_state(shape[1:], np.float64), 3 + 2 * rng.normal(size=shape), rng


def trained(layer, params, state, x, weight=None):
    """The output of a training pass of the whole batch, and the running statistics after it."""
    context = Context(train=True, state=state, weight=weight, n_samples=len(x))
    out, cache = alone(layer.forward(params, x, context))
    return out, layer.next_state(state, cache)


@pytest.mark.parametrize("shape", [(6, 4), (5, 3, 4, 2)])
def test_each_channel_gets_mean_shift_and_deviation_scale(shape):
    layer, params, state, x, _ = made(shape, epsilon=1e-12)
    out, new = trained(layer, params, state, x)
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(out.mean(axis=axes), params["shift"], atol=1e-12)
    np.testing.assert_allclose(out.std(axis=axes), np.abs(params["scale"]), rtol=1e-9)
    np.testing.assert_allclose(new["mean"], 0.1 * x.mean(axis=axes), rtol=1e-12)
    np.testing.assert_allclose(new["variance"], 0.9 + 0.1 * x.var(axis=axes), rtol=1e-12)


def test_a_weight_of_two_is_two_samples():
    layer, params, state, x, rng = made((4, 3, 3, 2))
    d_out, weight = rng.normal(size=x.shape), np.array([1.0, 2.0, 1.0, 2.0])
    rows = np.repeat(np.arange(4), [1, 2, 1, 2])
    once, of_weights = trained(layer, params, state, x, weight)
    again, of_rows = trained(layer, params, state, x[rows])
    np.testing.assert_allclose(again, once[rows], rtol=1e-12)
    for name in ("mean", "variance"):
        np.testing.assert_allclose(of_rows[name], of_weights[name], rtol=1e-12)
    # the loss holds the weights, and so does its gradient
    weighted = d_out * weight[:, np.newaxis, np.newaxis, np.newaxis]
    d_x, grads = layer.gradient(params, x, weighted, TRAIN._replace(weight=weight))
    d_rows, grads_of_rows = layer.gradient(params, x[rows], d_out[rows])
    np.testing.assert_allclose(d_rows * np.array([1, 2, 2, 1, 2, 2])[:, None, None, None], d_x[rows], rtol=1e-9)
    for name, gradient in grads.items():
        np.testing.assert_allclose(grads_of_rows[name], gradient, rtol=1e-9)


def test_weights_too_small_for_the_precision_take_no_part(data):
    X, y = data
    weight = np.ones(40)
    weight[3] = 1e-60
    settings = {"n_kernels": 2, "hidden_layer_sizes": 4, "batch_norm": True, "batch_size": 1, "dtype": "float32"}
    clf = NumpyCNNClassifier(**settings, max_iter=2, random_state=0)
    clf.fit(X, y, sample_weight=weight)
    assert (clf.stop_reason_, clf.t_) == ("max_iter", 2 * 39)
    clf.partial_fit(X, y)
    with pytest.raises(ValueError, match="in float32, all weights round to 0 when divided by the mean weight of"):
        clf.partial_fit(X, y, sample_weight=np.full(40, 1e-60))


def test_an_epsilon_must_not_vanish_in_the_precision():
    BatchNorm(epsilon=1e-50).init((2,), None, np.float64)
    with pytest.raises(ValueError, match="epsilon=1e-50 is 0 in float32"):
        BatchNorm(epsilon=1e-50).init((2,), None, np.float32)


def parts_of(passing):
    """What a pass of the whole batch yields, and its result."""
    parts, total = [], None
    try:
        while True:
            total = passing.send(total)
            parts.append(total)
    except StopIteration as end:
        return parts, end.value


@pytest.mark.parametrize("weight", [None, np.ones(4)])
def test_it_yields_two_sums_on_the_way_forward_and_one_on_the_way_back(weight):
    layer, params, state, x, _ = made((4, 3, 3, 2))
    context = Context(train=True, state=state, weight=weight, n_samples=4)
    parts, (_, cache) = parts_of(layer.forward(params, x, context))
    assert len(parts) == 2
    parts, _ = parts_of(layer.backward(params, cache, x, context))
    assert len(parts) == 1
    assert parts_of(layer.forward(params, x, Context(state=state)))[0] == []


def test_prediction_uses_the_running_statistics():
    layer, params, _, x, _ = made((4, 3, 3, 2))
    state = {"mean": np.array([1.0, -2.0]), "variance": np.array([4.0, 0.25])}
    out, cache = alone(layer.forward(params, x, Context(state=state)))
    expected = params["scale"] * (x - state["mean"]) / np.sqrt(state["variance"] + 1e-5) + params["shift"]
    np.testing.assert_allclose(out, expected, rtol=1e-12)
    assert cache is None


SINGLE = pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3), (1, 2, 2, 3)])


@SINGLE
def test_a_single_sample_is_normalised_as_in_prediction(shape):
    layer, params, _, x, rng = made(shape)
    state = {"mean": rng.normal(size=3), "variance": rng.uniform(1, 4, 3)}
    out, _ = trained(layer, params, state, x)
    np.testing.assert_allclose(out, layer.apply(params, x, Context(state=state)), rtol=1e-12)
    d_out = rng.normal(size=shape)
    d_x, grads = layer.gradient(params, x, d_out, Context(train=True, state=state, n_samples=1))
    factor = params["scale"] / np.sqrt(state["variance"] + 1e-5)
    np.testing.assert_allclose(d_x, d_out * factor, rtol=1e-12)
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(grads["shift"], d_out.sum(axis=axes), rtol=1e-12)
    of_scale = d_out * (out - params["shift"]) / params["scale"]
    np.testing.assert_allclose(grads["scale"], of_scale.sum(axis=axes), rtol=1e-12)


@SINGLE
def test_single_samples_tell_the_mean_and_the_variance_of_all(shape):
    layer, params, state, _, rng = made(shape, momentum=0.999)
    for _ in range(20_000):
        x = rng.normal([1, -2, 3], [1, 2, 0.5], 3) + rng.normal(size=shape)  # images differ from each other, too
        _, state = trained(layer, params, state, x)
    np.testing.assert_allclose(state["mean"], [1, -2, 3], atol=0.3)
    np.testing.assert_allclose(state["variance"], np.array([1, 4, 0.25]) + 1, rtol=0.2)


def test_a_large_mean_costs_no_digits_of_the_variance():
    layer, params, state, _, rng = made((500, 3, 3, 2))
    x = 1e4 + rng.normal(size=(500, 3, 3, 2))
    _, new = trained(layer, params, state, x)
    variance = (new["variance"] - 0.9) / 0.1
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-9)
    params, state = ({name: array.astype(np.float32) for name, array in d.items()} for d in (params, state))
    _, new = trained(layer, params, state, x.astype(np.float32))
    variance = (new["variance"].astype(float) - 0.9) / 0.1
    np.testing.assert_allclose(variance, x.var(axis=(0, 1, 2)), rtol=1e-4)  # the pixels have few digits in float32


def test_constant_numbers_stay_finite():
    layer, params, state, x, rng = made((4, 3))
    sevens = np.full_like(x, 7.0)
    out, _ = trained(layer, params, state, sevens)
    np.testing.assert_allclose(out, np.broadcast_to(params["shift"], x.shape))
    assert np.isfinite(layer.gradient(params, sevens, rng.normal(size=x.shape))[0]).all()


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_networks_with_it_train_on_any_batch(batch_size, data):
    X, y = data
    clf = NumpyCNNClassifier(4, batch_norm=True, batch_size=batch_size, max_iter=3, random_state=0)
    clf.fit(X, y)
    assert clf.stop_reason_ == "max_iter"
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]
    assert np.isfinite(clf.predict_proba(X)).all()
    assert [type(layer) for layer in clf.network_.layers[:2]] == [Conv2D, BatchNorm]
    assert clf.intercepts_[:2] == [None, None]
    assert clf.n_layers_ == 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_a_network_learns_from_one_image_at_a_time(how, rng):
    y = np.arange(100) % 2
    X = rng.integers(0, 60, (100, 32, 32))
    X[y == 0, ::4] += 120
    X[y == 1, :, ::4] += 120
    X = X.astype(np.uint8)
    clf = NumpyCNNClassifier((4, 8), hidden_layer_sizes=8, batch_norm=True, batch_size=1, random_state=0)
    if how == "fit":
        clf.set_params(max_iter=3).fit(X[:60], y[:60])
    else:
        for i in [*range(60)] * 3:
            clf.partial_fit(X[i : i + 1], y[i : i + 1], classes=[0, 1])
    assert clf.score(X[60:], y[60:]) > 0.9


def test_weights_do_not_depend_on_a_constant_added_to_the_images(data):
    """Training uses the statistics of the batch, so a constant has no effect."""
    X, y = data
    settings = {"scaling": None, "dtype": "float64", "max_iter": 2, "learning_rate_init": 0.03, "random_state": 0}
    layers = [BatchNorm(), Flatten()]
    one, other = (NumpyCNNClassifier(layers=layers, **settings).fit(X + c, y) for c in (0, 50))
    np.testing.assert_allclose(other.coefs_[0], one.coefs_[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(6, 4), (5, 3, 4, 2)])
def test_it_is_that_of_pytorch(shape):
    torch = pytest.importorskip("torch")
    layer, params, state, x, rng = made(shape)
    d_out = rng.normal(size=shape)
    make = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    theirs = make(shape[-1], eps=1e-5, momentum=0.1, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(params["scale"]))
        theirs.bias.copy_(torch.tensor(params["shift"]))
    given = torch.tensor(np.moveaxis(x, -1, 1).copy(), requires_grad=True)
    expected = theirs(given)
    expected.backward(torch.tensor(np.moveaxis(d_out, -1, 1).copy()))
    out, new = trained(layer, params, state, x)
    d_x, grads = layer.gradient(params, x, d_out)
    n = x[..., 0].size
    pairs = [
        (out, np.moveaxis(expected.detach().numpy(), 1, -1)),
        (d_x, np.moveaxis(given.grad.numpy(), 1, -1)),
        (grads["scale"], theirs.weight.grad.numpy()),
        (grads["shift"], theirs.bias.grad.numpy()),
        (new["mean"], theirs.running_mean.numpy()),
        # PyTorch divides by n - 1
        ((new["variance"] - 0.9) * n / (n - 1) + 0.9, theirs.running_var.numpy()),
    ]
    for ours, of_torch in pairs:
        np.testing.assert_allclose(ours, of_torch, rtol=1e-9, atol=1e-12)
