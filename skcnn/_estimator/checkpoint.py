"""Checkpoint: a training run kept in a file while it goes on, so that a killed one need not begin anew."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import joblib

from skcnn._values import Value
from skcnn._version import __version__

__all__ = ["Checkpoint", "digest"]

_MAGIC = b"skcnn checkpoint\n"
_HASH_SIZE = hashlib.sha256().digest_size


class Checkpoint:
    """A file with what a fit needs to go on, written whole or not at all.

    Parameters
    ----------
    path : str or path-like
        While it is written, a second file of this name and ``.part`` stands beside it.
    digest : str
        Of all that the fit depends on: a file of another digest is refused.
    """

    def __init__(self, path: str | os.PathLike[str], digest: str):
        self.path, self.digest = Path(path), digest
        self._part = self.path.with_name(self.path.name + ".part")

    def load(self) -> dict[str, Any] | None:
        """Return what was last saved, or None if there is no file.

        Raises
        ------
        ValueError
            If the file is no checkpoint, is damaged, or is another fit's.
        """
        if not self.path.exists():
            return None
        whole, remedy = self.path.read_bytes(), "remove it to start anew, or name another file"
        head, rest = whole[: len(_MAGIC) + _HASH_SIZE], whole[len(_MAGIC) + _HASH_SIZE :]
        if head != _MAGIC + hashlib.sha256(rest).digest():
            raise ValueError(f"checkpoint={str(self.path)!r} is not a checkpoint, or is damaged; {remedy}")
        version, digest, body = rest.split(b"\n", 2)
        if (version, digest) != (__version__.encode(), self.digest.encode()):
            what = "a fit of other parameters, data or weights"
            what = what if version == __version__.encode() else f"skcnn {version.decode()}"
            raise ValueError(
                f"checkpoint={str(self.path)!r} was written by {what}, so this fit cannot go on from it; {remedy}"
            )
        try:
            saved: dict[str, Any] = joblib.load(io.BytesIO(body))
        except Exception as error:  # unpickling calls code of any object
            raise ValueError(f"checkpoint={str(self.path)!r} cannot be read here: {error!r}; {remedy}") from error
        return saved

    def save(self, **content: Any) -> None:
        """Put new content in the place of the old; a process that is killed meanwhile leaves one or the other."""
        rest = io.BytesIO()
        rest.write(f"{__version__}\n{self.digest}\n".encode())
        joblib.dump(content, rest)
        try:
            with open(self._part, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(rest.getbuffer()).digest())
                file.write(rest.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            os.replace(self._part, self.path)
        except OSError:
            self._part.unlink(missing_ok=True)
            raise

    def check_place(self) -> None:
        """Raise OSError if nothing can be written there: better now than after an epoch."""
        with open(self._part, "wb"):
            pass
        self._part.unlink()

    def remove(self) -> None:
        """Remove the file, and what a killed writer may have left beside it."""
        for path in (self.path, self._part):
            path.unlink(missing_ok=True)


def digest(*content: Any) -> str:
    """Return a short text that differs wherever the content does, be it in one object or in equal ones.

    Raises
    ------
    ValueError
        If something cannot be pickled, and so not be recognised by another process.
    """
    try:
        return str(joblib.hash(list(_pieces(content)), hash_name="sha1"))
    except Exception as error:  # pickling calls code of any object
        raise ValueError(
            "checkpoint needs parameters that can be pickled, so that another process can tell that they are the same; "
            f"write functions as those of a module rather than as lambda: {error}"
        ) from error


def _pieces(content: Any) -> Iterator[Any]:
    """Yield what there is in containers and configuration, each piece on its own."""
    if isinstance(content, Value):
        content = {"type": type(content), **{field.name: getattr(content, field.name) for field in fields(content)}}
    if isinstance(content, dict):
        content = sorted(content.items(), key=lambda item: str(joblib.hash(item[0])))  # equal dicts in any order
    if isinstance(content, list | tuple):
        yield len(content)
        for item in content:
            yield from _pieces(item)
    else:
        yield joblib.hash(content, hash_name="sha1")
