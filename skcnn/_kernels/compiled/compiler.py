"""Compile functions with numba, and store the machine code.

Compiling all kernels takes 20 to 40 seconds for each dtype, so the machine code is stored in a folder of the user.
numba notices a change in the file of a kernel, but not in functions of other files that the kernel calls. Therefore the
name of the folder contains the version of the package, and a hash of all sources and of the versions of numba and
Python. numba reads the folder with pickle, so it must not be writable by others. If there is no such folder, every
process compiles the kernels again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config
from numba.core.caching import FunctionCache
from numba.extending import register_jitable

from skcnn._version import __version__

__all__ = ["are_compiled", "cache_folder", "compiled", "kernel"]

Function = TypeVar("Function", bound=Callable[..., Any])

# what reading a damaged or truncated pickle raises
_DAMAGED = (EOFError, pickle.UnpicklingError, AttributeError, ImportError, LookupError, TypeError, ValueError)
_functions: list[Any] = []


def compiled(function: Function) -> Function:
    """Compile a function as a part of the kernels that call it."""
    result: Function = register_jitable(error_model="numpy")(function)
    return result


def kernel(function: Function) -> Function:
    """Compile a function when Python first calls it. It does not hold Python's lock while it runs."""
    result: Any = numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    stored = _cache_in(cache_folder(), function)
    if stored is not None:
        result._cache = stored
    _functions.append(result)
    return result  # type: ignore[no-any-return]


def are_compiled() -> bool:
    """Return whether at least one kernel was compiled in this process, or was stored by an earlier one."""
    folder = cache_folder()
    in_memory = any(getattr(function, "signatures", ()) for function in _functions)
    return in_memory or (folder is not None and any(folder.rglob("*.nbi")))


class _Cache(FunctionCache):  # type: ignore[misc]
    """The stored machine code of a function. If it cannot be read or written, the function is compiled all the same."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except _DAMAGED:
            _ignoring_errors_of_files(self.flush)
            return None
        except OSError as error:
            _require_error_of_file(error)
            return None
        # if two processes store code for float32 and for float64 at the same time, one may read the code of the other
        return found if found is not None and tuple(found.signature.args) == tuple(sig) else None

    def save_overload(self, sig: Any, data: Any) -> None:
        _ignoring_errors_of_files(lambda: super(_Cache, self).save_overload(sig, data))


def _cache_in(folder: Path | None, function: Any) -> _Cache | None:
    """Return the cache of a function in a folder, or None if there cannot be one."""
    if folder is None:
        return None
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder)
    try:
        stored = _Cache(function)
    except RuntimeError:  # numba cannot write to any folder
        return None
    finally:
        config.CACHE_DIR = before
    return stored if folder in Path(stored.cache_path).parents else None  # numba may choose another folder instead


def _ignoring_errors_of_files(work: Callable[[], None]) -> None:
    try:
        work()
    except OSError as error:
        _require_error_of_file(error)


def _require_error_of_file(error: OSError) -> None:
    """Raise an error again, such as TimeoutError, if it is from a signal handler and not from a file."""
    if error.errno is None:
        raise error


@cache
def cache_folder() -> Path | None:
    """Return the folder of the machine code, which is created if needed, or None if there cannot be one."""
    parent = _user_folder()
    if not parent.is_absolute():
        return None
    folder = parent / f"{__version__}-{_hash_of_sources()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    is_own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    return folder if is_own and os.access(folder, os.W_OK | os.X_OK) else None


def _user_folder() -> Path:
    """Return the folder for cached files of the package, by the conventions of the operating system.

    It is relative if the user has no home.
    """
    if chosen := os.environ.get("SKCNN_CACHE_DIR"):
        return Path(chosen).absolute()  # the working directory may change later
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "skcnn"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "skcnn"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "skcnn"


def _hash_of_sources() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
