"""Archives: what comes back, and what is refused."""

import contextlib
import hashlib
import io
import json
import random
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from skcnn._engine import surely
from skcnn._storage import archive, files
from skcnn._storage.archive import DamagedFile, is_plain, read_archive, write_archive
from tests.storage.interruptions import raised_at

ARRAYS = {
    "float": np.arange(6.0).reshape(2, 3),
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "none": np.zeros((0, 3), np.float32),
    "number": np.array(3, np.int8),
    "strided": np.arange(12)[::2],
    "text": np.array(["a", "ü", ""]),
    "dates": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "big-endian": np.arange(3, dtype=">i4"),
    "long double": np.array([1.5], np.longdouble),
}


def test_arrays_come_back(tmp_path):
    path = str(tmp_path / "file")
    write_archive(path, {"a": [1, {"b": None}]}, ARRAYS)
    header, arrays = read_archive(path)
    assert header == {"a": [1, {"b": None}]}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].flags.f_contiguous == np.ascontiguousarray(array).flags.f_contiguous or name == "Fortran"
        assert arrays[name].flags.writeable
    assert arrays["Fortran"].flags.f_contiguous


@pytest.mark.parametrize("depth", [10, 300, 100_000])
def test_a_header_that_is_nested_too_deeply(depth, tmp_path):
    header, path = {}, str(tmp_path / "file")
    for _ in range(min(depth, 900)):
        header = {"[": header}
    if depth == 10:
        write_archive(path, header, {})
        assert read_archive(path)[0] == header
    else:
        with pytest.raises(ValueError, match="nested more than 200 levels deep"):
            write_archive(path, header, {})


@pytest.mark.parametrize(
    "header", [{"a": '["'}, {"a": "\\"}, {"a": '\\"['}, {"[[": ["]", {"\\\\": '"'}]}, {"a": "[" * 999}]
)
def test_brackets_in_strings_do_not_count(header, tmp_path):
    path = str(tmp_path / "file")
    write_archive(path, header, {})
    assert read_archive(path)[0] == header
    deep = json.loads('{"a":' * 201 + json.dumps(header) + "}" * 201)
    with pytest.raises(ValueError, match="nested more than 200 levels deep"):
        write_archive(path, deep, {})


@pytest.mark.parametrize("item", [[], {}, {"a": []}, [[[]]]], ids=str)
def test_a_header_of_very_many_empty_lists_is_refused_at_once(item, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(craft({"header.json": json.dumps({"a": [item] * 500_000})}))
    start = time.process_time()
    with pytest.raises(DamagedFile, match=r"contain \d+ lists and objects"):
        read_archive(str(path))
    assert time.process_time() - start < 2


def counted(value):
    """Return the number of lists and dicts in a value, and how deeply they are nested."""
    children = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    counts = [counted(child) for child in children]
    is_one = isinstance(value, list | dict)
    return is_one + sum(n for n, _ in counts), is_one + max((depth for _, depth in counts), default=0)


def drawn(draw, depth=0):
    kind = draw.random() if depth < 7 else 1
    if kind < 0.35:
        return [drawn(draw, depth + 1) for _ in range(draw.randrange(4))]
    if kind < 0.7:
        return {text(draw): drawn(draw, depth + 1) for _ in range(draw.randrange(4))}
    return text(draw)


def text(draw):
    return "".join(draw.choices('a"\\[]{}\n', k=draw.randrange(8)))


def test_lists_and_levels_are_counted_as_json_counts_them(monkeypatch):
    draw = random.Random(0)
    for _ in range(2000):
        value = drawn(draw)
        content, (n_lists, depth) = json.dumps(value).encode(), counted(value)
        monkeypatch.setattr(archive, "_MOST_LISTS", n_lists - len(content) // 50)
        monkeypatch.setattr(archive, "_DEEPEST", depth)
        archive._require_moderate(content)
        if depth:
            monkeypatch.setattr(archive, "_DEEPEST", depth - 1)
            with pytest.raises(ValueError, match="levels deep"):
                archive._require_moderate(content)
            monkeypatch.setattr(archive, "_MOST_LISTS", n_lists - len(content) // 50 - 1)
            with pytest.raises(ValueError, match=f"contain {n_lists} lists"):
                archive._require_moderate(content)


@pytest.mark.parametrize("part", ["0,", '"ab",', '"', "[", "]", "\\", '\\"', " ", '"abcdefgh",'])
def test_the_check_of_the_header_takes_little_memory(part):
    content = (part * (10**6 // len(part))).encode()
    tracemalloc.start()
    with contextlib.suppress(ValueError):
        archive._require_moderate(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * len(content)


@pytest.mark.parametrize("dtype", ["M8[0D]", "m8[0s]"])
def test_dates_in_units_of_no_length_are_refused(dtype, tmp_path):
    assert not is_plain(np.dtype(dtype))
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": f"<{dtype}", "fortran_order": False, "shape": (2,)})
    (tmp_path / "file").write_bytes(craft({"header.json": "{}", "a.npy": array.getvalue() + bytes(16)}))
    with pytest.raises(DamagedFile, match=r"the dtype of an array is \w+\[0\w\], which cannot be stored"):
        read_archive(str(tmp_path / "file"))


def test_a_header_of_many_lists_with_content(tmp_path):
    header, path = {"history": [{"epoch": i, "loss": 0.1234567890123456} for i in range(100_000)]}, str(tmp_path / "a")
    write_archive(path, header, {})
    assert read_archive(path)[0] == header


def test_the_number_of_arrays_is_limited(tmp_path):
    path, array = tmp_path / "file", np.zeros(1)
    with pytest.raises(ValueError, match="at most 9999 arrays can be stored, got 10000"):
        write_archive(str(path), {}, {str(i): array for i in range(10_000)})
    path.write_bytes(craft({"header.json": "{}", **{f"{i}.npy": "" for i in range(10_000)}}))
    with pytest.raises(DamagedFile, match="it has 10001 members"):
        read_archive(str(path))


@pytest.mark.parametrize("part", ["[", '{"a":', '"a\\', '"', "\\", "9", '"]', "]"])
def test_a_large_header_that_is_no_json_is_refused_at_once(part, tmp_path):
    path = tmp_path / "file"
    content = craft({"header.json": part * (2**20 // len(part))})
    path.write_bytes(content)
    start = time.process_time()
    with pytest.raises(DamagedFile):
        read_archive(str(path))
    assert time.process_time() - start < 2


def craft(members):
    """Return an archive with a valid checksum."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
        file.comment = b"skcnn sha256 " + b"0" * 64
    content = whole.getvalue()[:-64]
    return content + hashlib.sha256(content).hexdigest().encode()


def test_any_change_of_a_byte_is_found(tmp_path):
    path = tmp_path / "file"
    write_archive(str(path), {"a": 1}, {"x": np.arange(3)})
    content = path.read_bytes()
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        with pytest.raises(DamagedFile):
            read_archive(str(path))


class Interrupted(Exception):
    """Raised by a signal handler."""


# Python complains when it deletes half-made objects of io and zipfile, which hold only memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [Interrupted, TimeoutError, KeyboardInterrupt, RuntimeError])
def test_an_exception_of_a_signal_handler_comes_out(error, tmp_path):
    path = str(tmp_path / "file")
    arrays = {"x": np.arange(3)}
    modules = [archive, files, surely, *([] if error is TimeoutError else [zipfile])]  # which hides any OSError
    for function in (lambda: write_archive(path, {"a": 1}, arrays), lambda: read_archive(path)):
        n = 1
        while raised_at(n, error(), modules, function):
            n += 7
        assert n > 300, "the whole way was tried"
