"""Every layer of the table has every property that the contract of layers states."""

import copy
import itertools
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest

from skcnn import layers
from skcnn._trees import leaves
from skcnn.layers import PREDICT, TRAIN, Dense, Layer
from skcnn.layers.base import alone
from tests.layers.reference import numeric_gradient, relative_error
from tests.layers.table import (
    LAYERS,
    both_precisions,
    every_layer,
    every_plain_layer,
    made,
    passed,
    trained,
    training,
)

PUBLIC = [getattr(layers, name) for name in layers.__all__]
PUBLIC_LAYERS = [public for public in PUBLIC if isinstance(public, type) and issubclass(public, Layer)]
PUBLIC_LAYERS.remove(Layer)


def gradient_errors(layer, in_shape):
    params, x, d_out = made(layer, in_shape)

    def value():
        return (trained(layer, params, x) * d_out).sum()

    results = passed(layer, params, x, d_out)
    return {
        name: relative_error(results[name], numeric_gradient(value, array))
        for name, array in {"d_x": x, **dict(leaves(params))}.items()
    }


def test_every_public_layer_has_a_row():
    assert {type(row.values[0]).__name__ for row in LAYERS} == {layer.__name__ for layer in PUBLIC_LAYERS}


@every_layer
def test_gradients_are_those_of_central_differences(layer, in_shape):
    errors = gradient_errors(layer, in_shape)
    assert max(errors.values()) < 1e-6, errors


@dataclass(frozen=True, repr=False)
class _WrongByLittle(Dense):
    """One of its gradients is wrong by a hundred-thousandth."""

    wrong: str = "d_x"

    def backward(self, params, cache, d_out, context=TRAIN):
        d_x, grads = super().backward(params, cache, d_out, context)
        gradient = {"d_x": d_x, **grads}[self.wrong]
        gradient.flat[np.abs(gradient).argmax()] *= 1 + 1e-5
        return d_x, grads


@pytest.mark.parametrize("name", ["d_x", "W", "b"])
def test_the_gradient_check_finds_a_wrong_gradient(name):
    errors = gradient_errors(_WrongByLittle(4, wrong=name), (6,))
    assert errors.pop(name) > 1e-6
    assert max(errors.values()) < 1e-6


@every_layer
def test_shapes_are_as_out_shape_says(layer, in_shape):
    params, out_shape = layer.init(in_shape, np.random.default_rng(0), np.float32), layer.out_shape(in_shape)
    _, x, d_out = made(layer, in_shape, np.float32)
    results = passed(layer, params, x, d_out)
    assert results.pop("out").shape == (3, *out_shape)
    assert results.pop("d_x").shape == (3, *in_shape)
    assert {name: g.shape for name, g in results.items()} == {name: p.shape for name, p in leaves(params)}
    assert all(type(length) is int for length in out_shape)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(layer, in_shape, dtype):
    params, state = layer.init(in_shape, np.random.default_rng(0), dtype), layer.initial_state(in_shape, dtype)
    results = passed(layer, *made(layer, in_shape, dtype))
    arrays = [array for _, array in leaves([params, state, results])]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@every_layer
@pytest.mark.parametrize("n", [1, 3])
def test_nothing_given_is_written_to_or_handed_on_as_gradient(layer, in_shape, n):
    params, x, d_out = given = made(layer, in_shape, n=n)
    arrays = [x, d_out, *dict(leaves(params)).values()]
    before = copy.deepcopy(given)
    for writeable in (True, False):
        for array in arrays:
            array.flags.writeable = writeable
        results = passed(layer, *given)
        np.testing.assert_equal(given, before)
    # training adds to the gradients of the parameters, so they must not share memory with other arrays
    owned = [results[name] for name, _ in leaves(params)]
    assert all(gradient.flags.writeable for gradient in owned)
    assert not any(np.shares_memory(gradient, array) for gradient in owned for array in arrays)


@every_plain_layer
@both_precisions
def test_a_batch_is_its_images_one_by_one(layer, in_shape, dtype, tolerance):
    params, x, d_out = made(layer, in_shape, dtype)
    together = passed(layer, params, x, d_out)
    alone = [passed(layer, params, x[i : i + 1], d_out[i : i + 1]) for i in range(len(x))]
    for name, result in together.items():
        combine = np.concatenate if name in ("out", "d_x") else sum
        expected = combine([one[name] for one in alone])
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance, err_msg=name)


@every_layer
def test_prediction_computes_the_same_and_keeps_nothing(layer, in_shape):
    params, x, _ = made(layer, in_shape)
    before = pickle.dumps((layer, params))
    context = PREDICT._replace(state=layer.initial_state(in_shape, x.dtype))
    result = layer.forward(layer.prepare(params, in_shape, context), x, context)
    out, cache = alone(result) if layer.depends_on_batch else result
    assert cache is None
    assert pickle.dumps((layer, params)) == before
    np.testing.assert_array_equal(out, layer.apply(params, x))
    if not (layer.depends_on_batch or layer.draws):
        np.testing.assert_array_equal(out, trained(layer, params, x))


@every_layer
def test_gradients_of_parameters_do_not_need_that_of_the_input(layer, in_shape):
    params, x, d_out = made(layer, in_shape)
    _, grads = layer.gradient(params, x, d_out, training()._replace(need_d_x=False))
    expected = passed(layer, params, x, d_out)
    grads = dict(leaves(grads))
    assert grads.keys() == dict(leaves(params)).keys()
    for name, gradient in grads.items():
        np.testing.assert_array_equal(gradient, expected[name])


@every_layer
def test_a_layer_is_a_value(layer, in_shape):
    for name in [*(f.name for f in fields(layer)), "anything"]:
        with pytest.raises(FrozenInstanceError):
            setattr(layer, name, 1)
    again = type(layer)(**{f.name: getattr(layer, f.name) for f in fields(layer)})
    for other in (again, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), eval(repr(layer), vars(layers))):
        assert other == layer
        assert hash(other) == hash(layer)


def test_layers_are_equal_exactly_when_they_print_the_same():
    for one, other in itertools.combinations([row.values[0] for row in LAYERS], 2):
        assert (one == other) == (repr(one) == repr(other))
