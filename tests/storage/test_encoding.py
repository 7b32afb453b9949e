"""Values from JSON that anyone can have written."""

import time

import numpy as np
import pytest

from skcnn._storage.encoding import Decoder

PRIME = 2**61 - 1  # integers that differ by a multiple of it have equal hashes


def test_keys_with_equal_hashes_are_refused_at_once():
    node, start = {"items": [[{"int": hex(PRIME * i)}, 0] for i in range(1, 20_000)]}, time.perf_counter()
    with pytest.raises(ValueError, match="random_state has 19999 keys with equal hashes"):
        Decoder({}, {}).decode(node, "random_state")
    assert time.perf_counter() - start < 1


def test_many_keys_of_other_hashes_are_read():
    node = {"items": [[key, key] for key in range(20_000)]}
    assert Decoder({}, {}).decode(node, "class_weight") == {key: key for key in range(20_000)}


def test_the_number_of_random_states_is_limited():
    state = {"random state": [{"array": "key"}, 0, 0, 0.0]}
    decoder, start = Decoder({"key": np.zeros(624, np.uint32)}, {}), time.perf_counter()
    with pytest.raises(ValueError, match="more than 1000 random states"):
        decoder.decode([state] * 20_000, "random_state")
    assert time.perf_counter() - start < 1
