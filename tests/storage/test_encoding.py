"""Values from JSON that anyone can have written."""

import time
from fractions import Fraction
from pathlib import Path
from subprocess import Popen

import numpy as np
import pytest

from skcnn._storage.encoding import CustomObjectError, Decoder, Encoder, names_that_layers_need

PRIME = 2**61 - 1  # integers that differ by a multiple of it have equal hashes


def test_keys_with_equal_hashes_are_refused_at_once():
    node, start = {"items": [[{"int": hex(PRIME * i)}, 0] for i in range(1, 20_000)]}, time.process_time()
    with pytest.raises(ValueError, match="random_state has 19999 keys with equal hashes"):
        Decoder({}, {}).decode(node, "random_state")
    assert time.process_time() - start < 2


def test_many_keys_of_other_hashes_are_read():
    node = {"items": [[key, key] for key in range(20_000)]}
    assert Decoder({}, {}).decode(node, "class_weight") == {key: key for key in range(20_000)}


def test_the_number_of_random_states_is_limited():
    state = {"random state": [{"array": "key"}, 0, 0, 0.0]}
    decoder, start = Decoder({"key": np.zeros(624, np.uint32)}, {}), time.process_time()
    with pytest.raises(ValueError, match="more than 1000 random states"):
        decoder.decode([state] * 20_000, "random_state")
    assert time.process_time() - start < 2


@pytest.mark.parametrize("item", [Path, Popen, Fraction, dict, print, Path.home()], ids=str)
def test_a_file_can_have_only_dataclasses_made(item, tmp_path):
    node = {"custom": "Own", "fields": {"args": {"tuple": ["sh", "-c", f"touch {tmp_path}/made"]}}}
    with pytest.raises(CustomObjectError, match=r"custom_objects\['Own'\] must be the class of a dataclass, got "):
        Decoder({}, {"Own": item}).decode(node, "augment")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [Fraction(1, 500), Fraction(-7), Fraction(2**70, 3), [Fraction(1, 3)]], ids=str)
def test_fractions(value):
    assert Decoder({}, {}).decode(Encoder("").encode(value, "x"), "x") == value


@pytest.mark.parametrize("content", [[1, 0], ["1e999999999", 1], [1.5, 2], [1], [True, 2], "1/2", None], ids=str)
def test_what_is_no_fraction(content):
    with pytest.raises((ValueError, ZeroDivisionError)):
        Decoder({}, {}).decode({"fraction": content}, "alpha")


def test_the_size_of_integers_is_limited():
    largest = -(2**4096 - 1)
    assert Decoder({}, {}).decode(Encoder("").encode(largest, "x"), "x") == largest
    with pytest.raises(ValueError, match="x is too large"):
        Decoder({}, {}).decode({"int": "-0x1" + "0" * 1024}, "x")
    with pytest.raises(TypeError, match="x is an integer of 4097 bits"):
        Encoder("").encode(2**4096, "x")


@pytest.mark.parametrize("value", [np.ma.masked_array([1, 2], [0, 1]), np.arange(4).view(np.recarray)], ids=repr)
def test_arrays_that_are_more_than_their_elements_are_refused(value):
    with pytest.raises(TypeError, match=r"(?s)center is .*which cannot be stored without code; do this"):
        Encoder("do this").encode(value, "center")


def test_a_memory_map_is_an_array(tmp_path):
    value = np.memmap(tmp_path / "file", np.uint8, "w+", shape=3)
    encoder = Encoder("")
    assert encoder.encode(value, "x") == {"array": "x"}
    assert encoder.arrays["x"] is value


def test_a_scalar_of_dates_without_length_is_refused():
    with pytest.raises(ValueError, match=r"the dtype of alpha is invalid: M8\[0D\]"):
        Decoder({}, {}).decode({"scalar": "01" * 8, "dtype": "M8[0D]"}, "alpha")


OWN = {"custom": "f"}


@pytest.mark.parametrize(
    ("node", "names"),
    [([OWN, {"object": "Conv2D", "fields": {"initializer": OWN}}], []),
     ([{"object": "Conv2D", "fields": {"initializer": {"custom": "I", "fields": {"f": OWN}}}}], []),
     ([{"custom": "L", "layer": True}], ["L"]),
     ([{"custom": "L", "fields": {"custom": 1, "layer": True, "x": {"tuple": [OWN]}}, "layer": True}], ["L", "f"]),
     ([{"custom": "L", "fields": {"x": {"object": "Conv2D", "fields": {"initializer": OWN}}}, "layer": True}], ["L"]),
     ([{"object": "Sequential", "fields": {"layers": {"tuple": [{"custom": "L", "layer": True}]}}}], ["L"]),
     ([{"custom": "L", "fields": {"x": {"dict": {"object": {"items": [[1, OWN]]}}}}, "layer": True}], ["L", "f"])],
)  # fmt: skip
def test_names_that_layers_need(node, names):
    assert list(names_that_layers_need(node)) == names


@pytest.mark.parametrize("node", [{}, [{"object": "Conv2D", "fields": {"x": {}}}]], ids=str)
def test_an_object_without_a_tag_is_no_json_of_layers(node):
    with pytest.raises(KeyError):
        list(names_that_layers_need(node))
