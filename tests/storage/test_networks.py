"""Networks as JSON and arrays: every layer fits its arrays, and no others."""

import numpy as np
import pytest

from skcnn._storage.networks import require_arrays_of, require_state_of
from skcnn.layers import Sequential
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop
from tests.layers.table import every_layer


def arrays_of(layer, in_shape):
    rng = np.random.default_rng(0)
    return layer.init(in_shape, rng, np.float64), layer.initial_state(in_shape, np.float64)


def require(layer, in_shape, params, state):
    require_arrays_of(layer, in_shape, layer.out_shape(in_shape), params, state, np.dtype(np.float64))


@every_layer
def test_the_arrays_of_every_layer_are_accepted(layer, in_shape):
    for chain in (layer, Sequential([layer])):
        require(chain, in_shape, *arrays_of(chain, in_shape))


@every_layer
def test_other_arrays_are_refused(layer, in_shape):
    chain = Sequential([layer])
    params, state = arrays_of(chain, in_shape)
    for tree in (params, state):
        arrays = tree.get("0", {})
        others = [tree | {"1": {"W": np.zeros(1)}}, tree | {"0": {**arrays, "x": np.zeros(1)}}]
        others += [tree | {"0": {**arrays, name: wrong}} for name in arrays for wrong in (np.zeros((2,) * 5), "text")]
        others += [
            tree | {"0": {**arrays, name: np.full_like(array, np.nan)}}
            for name, array in arrays.items()
            if isinstance(array, np.ndarray)
        ]
        others += [{}] if arrays else []
        for other in others:
            with pytest.raises(ValueError, match=r"must (have the|not have the|have dicts of|be)"):
                require(chain, in_shape, *((other, state) if tree is params else (params, other)))


@pytest.mark.parametrize(
    "optimizer", [SGD(), SGD(0), Adam(), AdamW(), RMSprop(momentum=0.5), ClipNorm(Adam())], ids=repr
)
def test_states_of_optimizers(optimizer):
    weights = [np.zeros(3), np.zeros((2, 2))]
    state = optimizer.init(weights)
    require_state_of(optimizer, state, weights)
    for other in (None, {}, {"x": []}, {**state, "x": 1}, {key: [] for key in state}, dict.fromkeys(state, -1)):
        if other != state:
            with pytest.raises(ValueError, match="the state does not fit"):
                require_state_of(optimizer, other, weights)


def test_an_optimizer_of_one_s_own_can_have_any_state():
    class Own:
        def init(self, weights):
            raise AssertionError

    require_state_of(Own(), [1, 2], [])
    clip = ClipNorm(SGD())
    object.__setattr__(clip, "optimizer", Own())
    require_state_of(clip, [1, 2], [])
