"""Compiling a function, and where the result is stored.

Compiling all kernels takes some seconds, so the machine code is kept in a folder of the user's own. Its name contains
the version of the package and a hash of the kernels' sources, because numba would not notice that a function which a
kernel calls has changed. numba reads the folder with pickle, so it must not be writable by others. If there is no such
folder, the kernels are compiled in every process.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config

from skcnn._version import __version__

__all__ = ["are_stored", "cache_folder", "compiled"]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called. It does not hold Python's lock while it runs."""
    folder = cache_folder()
    before = config.CACHE_DIR
    if folder is not None:
        config.CACHE_DIR = str(folder)  # numba reads it while it decorates a function, and at no other time
    try:
        result: Function = numba.njit(nogil=True, error_model="numpy", cache=folder is not None)(function)
        return result
    finally:
        config.CACHE_DIR = before


@cache
def cache_folder() -> Path | None:
    """Return the folder of the machine code, which is created if needed, or None if there cannot be one."""
    folder = _user_folder() / f"{__version__}-{_hash_of_sources()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    is_own = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    return folder if is_own and os.access(folder, os.W_OK | os.X_OK) else None


def are_stored() -> bool:
    """Return whether compiled kernels are stored, so that a new process need not compile them."""
    folder = cache_folder()
    return folder is not None and any(folder.rglob("*.nbi"))


def _user_folder() -> Path:
    """Return the folder for cached files of the package, by the conventions of the operating system."""
    if chosen := os.environ.get("SKCNN_CACHE_DIR"):
        return Path(chosen)
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "skcnn"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "skcnn"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "skcnn"


def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
