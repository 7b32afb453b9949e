"""Checkpoint: a training state in a file, from which a training that was killed can be resumed."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import joblib

from skcnn._training.state import TrainingState
from skcnn._values import Value
from skcnn._version import __version__

__all__ = ["Checkpoint", "Saved", "fingerprint"]

_MAGIC = b"skcnn checkpoint\n"
_HASH_SIZE = hashlib.sha256().digest_size
_MAY_BE_RESUMED = ("interrupted", "max_time")


class Saved(NamedTuple):
    """What a checkpoint holds."""

    state: TrainingState
    seed: int  # that the random streams of the training are made from


class Checkpoint:
    """A file with what a fit needs to resume, written completely or not at all.

    Parameters
    ----------
    path : str or path-like
        While it is written, a second file of this name and ``.part`` stands beside it.

    Raises
    ------
    TypeError
        If `path` is not a path.
    """

    def __init__(self, path: str | os.PathLike[str]):
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"checkpoint must be a path, got {path!r}")
        self.path, self.fingerprint = Path(path), ""
        self._part = self.path.with_name(self.path.name + ".part")

    def open(self, fingerprint: str) -> Saved | None:
        """Return what was last saved, or None if there is no file.

        Parameters
        ----------
        fingerprint : str
            Of all that the fit depends on.

        Raises
        ------
        ValueError
            If the file is not a checkpoint, is damaged, or has another fingerprint and so belongs to another fit.
        OSError
            If the file cannot be written, which is better known before the first epoch.
        """
        self.fingerprint = fingerprint
        saved = self._load() if self.path.exists() else None
        with open(self._part, "wb"):
            pass
        self._part.unlink()
        return saved

    def _load(self) -> Saved:
        whole, remedy = self.path.read_bytes(), "remove it to start anew, or name another file"
        head, rest = whole[: len(_MAGIC) + _HASH_SIZE], whole[len(_MAGIC) + _HASH_SIZE :]
        if head != _MAGIC + hashlib.sha256(rest).digest():
            raise ValueError(f"checkpoint={str(self.path)!r} is not a checkpoint, or is damaged; {remedy}")
        version, written_for, body = rest.split(b"\n", 2)
        if (version, written_for) != (__version__.encode(), self.fingerprint.encode()):
            what = "a fit of other parameters, data or weights"
            what = what if version == __version__.encode() else f"skcnn {version.decode()}"
            raise ValueError(
                f"checkpoint={str(self.path)!r} was written by {what}, so this fit cannot go on from it; {remedy}"
            )
        try:
            return Saved(**joblib.load(io.BytesIO(body)))
        except Exception as error:  # unpickling calls code of any object
            raise ValueError(f"checkpoint={str(self.path)!r} cannot be read here: {error!r}; {remedy}") from error

    def save(self, state: TrainingState, seed: int) -> None:
        """Replace the content of the file. A process that is killed meanwhile leaves the old content or the new."""
        rest = io.BytesIO()
        rest.write(f"{__version__}\n{self.fingerprint}\n".encode())
        joblib.dump({"state": state, "seed": seed}, rest)
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

    def finish(self, stop_reason: str | None) -> None:
        """Remove the file, and what a killed writer may have left beside it, unless the training may be resumed."""
        if stop_reason not in _MAY_BE_RESUMED:
            for path in (self.path, self._part):
                path.unlink(missing_ok=True)


def fingerprint(*content: Any) -> str:
    """Return a short text that differs if the content does, whichever objects it is made of.

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
    """Yield what containers and configuration hold, each piece by itself."""
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
