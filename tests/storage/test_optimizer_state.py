"""States of optimizers: what cannot come back as it was is refused."""

from collections import OrderedDict, namedtuple
from enum import IntEnum, StrEnum

import numpy as np
import pytest

from skcnn._storage.encoding import Decoder, Encoder
from skcnn._storage.optimizer_state import encode_optimizer_state

Pair = namedtuple("Pair", "n v")
FLAT, OTHER, LIST, RANDOM = np.zeros(6), np.ones(6), [1], np.random.RandomState(0)


class Phase(IntEnum):
    WARM_UP = 1


class Name(StrEnum):
    WARM_UP = "warm-up"


class Numbers(list):
    pass


def encoded(state, weights=()):
    encoder = Encoder("do this")
    encoder.encode(list(weights), "params")
    return encode_optimizer_state(encoder, state), encoder.arrays


@pytest.mark.parametrize(
    "part",
    [Pair(0, 1), [Pair(0, 1)], {"a": (1, Pair(0, 1))}, Numbers([1]), OrderedDict(a=1), Phase.WARM_UP, Name.WARM_UP,
     {Phase.WARM_UP: 1}, np.zeros(2).view(np.recarray)],
    ids=repr,
)  # fmt: skip
def test_types_that_a_file_does_not_keep_are_refused(part):
    with pytest.raises(
        TypeError, match=r"(?s)solver\.state\['x'\].* is .*, which cannot be stored without code; do this"
    ):
        encoded({"n": 0, "x": part})


@pytest.mark.parametrize(
    "views",
    [[FLAT, FLAT[:2]], [FLAT[:4], FLAT[3:]], [FLAT[2:], FLAT.reshape(2, 3)], [FLAT, FLAT.view(np.int64)],
     [FLAT, FLAT[:]]],
)  # fmt: skip
def test_views_of_the_same_memory_are_refused(views):
    with pytest.raises(TypeError, match=r"(?s)solver\.state\['v'\]\[\d\] is .*, which shares memory with another"):
        encoded({"v": views})


def test_a_view_of_a_weight_is_refused_but_not_the_weight_itself():
    node, arrays = encoded({"weights": [FLAT, OTHER]}, [FLAT, OTHER])
    read = Decoder(arrays, {}).decode(node, "")
    assert read["weights"][0] is arrays["params.0"]
    with pytest.raises(TypeError, match="shares memory with another array"):
        encoded({"weights": [FLAT.ravel()[:]]}, [FLAT])


@pytest.mark.parametrize(
    "arrays", [[FLAT[:3], FLAT[3:]], [FLAT[::2], FLAT[1::2]], [FLAT, FLAT], [OTHER, FLAT]], ids=str
)
def test_other_arrays_of_one_memory_are_kept(arrays):
    node, found = encoded({"v": arrays})
    read = Decoder(found, {}).decode(node, "")["v"]
    np.testing.assert_array_equal(read, arrays)
    assert (read[0] is read[1]) == (arrays[0] is arrays[1])


@pytest.mark.parametrize(
    "state", [[LIST, LIST], {"a": LIST, "b": (LIST,)}, {"a": LIST, "b": {"c": LIST}}, [RANDOM, RANDOM]]
)
def test_the_same_object_twice_is_refused(state):
    with pytest.raises(TypeError, match=r"(?s)solver\.state.* is .*, the same object as another part of the state"):
        encoded(state)


def test_a_state_that_contains_itself_is_refused():
    state = {"n": 1}
    state["state"] = state
    with pytest.raises(
        TypeError, match=r"(?s)solver\.state\['state'\] is .*the same object as another part of the state"
    ):
        encoded(state)
