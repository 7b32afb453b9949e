"""Archives: a header and arrays in one file, without code, with a checksum over all of it.

An archive is a zip file, without compression, of arrays in NumPy's format and a header in JSON. So
``numpy.load(path, allow_pickle=False)`` opens it. The comment of the zip file, which is at its very end, is the SHA-256
of everything before it. The same content always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skcnn._storage.files import read_file, replace_file

__all__ = ["CONTENT_ERRORS", "DamagedFile", "is_plain", "read_archive", "write_archive"]

Array = NDArray[Any]
# the errors that reading invalid content can raise. RuntimeError is not among them, although some of its subclasses
# are: signal handlers often raise it, and their exceptions must not be caught
CONTENT_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    StopIteration,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    struct.error,
    zipfile.BadZipFile,
)
_HEADER = "header.json"
_BEGINS = b"PK\x03\x04"
_MARK = b"skcnn sha256 "
_HASH = 64  # characters
_DATE = (1980, 1, 1, 0, 0, 0)  # the first one that a zip file can hold
_KINDS = "biufcSUmM"  # numbers, text and dates, but no Python objects
_LONGEST_NPY_HEADER = 2000
_DEEPEST = 200  # levels of lists and objects in the header
_MOST_LISTS, _BYTES_PER_LIST = 50_000, 50  # a header may have 50,000 lists and objects, and one more for 50 bytes
_NO_MARKS = bytes(set(range(256)) - set(b'[]{}"'))
_MOST_MEMBERS = 10_000


class DamagedFile(ValueError):
    """The error for a file that is not an archive, or is damaged. The message says why, or is empty."""


def write_archive(path: str, header: dict[str, Any], arrays: Mapping[str, Array]) -> None:
    """Replace a file by an archive, in one step.

    Parameters
    ----------
    path : str
        A resolved path, which this process has locked.
    header : dict
        JSON.
    arrays : mapping of str to ndarray
    """
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    _require_moderate(text)
    if len(arrays) >= _MOST_MEMBERS:
        raise ValueError(f"at most {_MOST_MEMBERS - 1} arrays can be stored, got {len(arrays)}")
    whole = io.BytesIO()
    archive: Any = None
    try:
        archive = zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED)
        archive.writestr(_member(_HEADER), text)
        for name in sorted(arrays):
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=arrays[name].nbytes >= 2**31 - 2**16) as file:
                np.lib.format.write_array(file, _compact(arrays[name]), version=(1, 0), allow_pickle=False)
        archive.comment = _MARK + b"0" * _HASH
        archive.close()
    finally:
        if archive is not None:
            archive.fp = None  # after an error, `close` would raise another error instead
    with whole.getbuffer() as content:
        content[-_HASH:] = hashlib.sha256(content[:-_HASH]).hexdigest().encode()
        replace_file(path, content)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system, info.external_attr = 3, 0o600 << 16  # the same on all systems
    return info


def _compact(array: Array) -> Array:
    """Return a contiguous array in the same memory order, which can affect the last bits of products."""
    return np.asarray(array, order="F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C")


def read_archive(path: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the header and the arrays of an archive. The arrays are writable.

    Raises
    ------
    DamagedFile
        If the file is not an archive, or is damaged. The memory used is at most a small multiple of the file's size.
    """
    end = len(_MARK) + _HASH
    whole = read_file(path, _BEGINS, end, _MARK)
    if whole is None or hashlib.sha256(memoryview(whole)[:-_HASH]).hexdigest().encode() != whole[-_HASH:]:
        raise DamagedFile("")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            members = _checked_members(archive, len(whole))
            header = _read_header(archive.read(_HEADER))
            arrays = {name.removesuffix(".npy"): _read_array(archive.read(name)) for name in members}
    except CONTENT_ERRORS as error:  # a file with a valid checksum can still have any content
        raise DamagedFile(str(error)) from error
    return header, arrays


def _checked_members(archive: zipfile.ZipFile, size: int) -> list[str]:
    """Return the names of the arrays. Members must not be compressed or overlap, so their sizes can be trusted."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if len(set(names)) < len(names) or names[:1] != [_HEADER]:
        raise ValueError("its members are not those of an archive")
    if any(info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size for info in infos):
        raise ValueError("it is compressed")
    if any(info.flag_bits & 1 for info in infos):
        raise ValueError("it is encrypted")
    if len(infos) > _MOST_MEMBERS:
        raise ValueError(f"it has {len(infos)} members, which is too many")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("its members are larger than the file")
    return names[1:]


def _read_header(text: bytes) -> dict[str, Any]:
    _require_moderate(text)
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    return header


def _require_moderate(text: bytes) -> None:
    """Raise ValueError if reading JSON could exhaust the stack or take long.

    It could if the JSON is deeply nested, or contains a great many nearly empty lists and objects.
    """
    marks = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_MARKS), np.uint8)
    is_quote = marks == ord('"')
    brackets = marks[~np.logical_xor.accumulate(is_quote) & ~is_quote]  # outside of strings
    if (n_lists := len(brackets) // 2) > _MOST_LISTS + len(text) // _BYTES_PER_LIST:
        raise ValueError(f"the parameters contain {n_lists} lists and objects, which is too many")
    steps = np.where((brackets == ord("[")) | (brackets == ord("{")), 1, -1)
    if np.cumsum(steps).max(initial=0) > _DEEPEST:
        raise ValueError(f"the parameters are nested more than {_DEEPEST} levels deep")


def _read_array(content: bytes) -> Array:
    """Read an array in NumPy's format. Its shape is checked against the size of the content first."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array has another version of NumPy's format")
    try:
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_LONGEST_NPY_HEADER)
    except MemoryError as error:  # from a deeply nested expression
        raise ValueError("the header of an array is too complex") from error
    data = memoryview(content)[file.tell() :]
    if not is_plain(dtype):
        raise ValueError(f"the dtype of an array is {dtype}, which cannot be stored")
    if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {dtype} and shape {shape} does not have {len(data)} bytes")
    order: Any = "F" if fortran_order else "C"
    array: Array = np.frombuffer(data, dtype).reshape(shape, order=order).copy(order=order)
    return array


def is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether an array of a dtype can be stored: numbers, text or dates, with at least one byte per element.

    Dates in units of length 0, such as "M8[0D]", are not: NumPy divides by this length, which ends the process.
    """
    has_length = dtype.kind not in "mM" or np.datetime_data(dtype)[1] > 0
    return dtype.kind in _KINDS and dtype.itemsize > 0 and dtype.names is None and dtype.subdtype is None and has_length
