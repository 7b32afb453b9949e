"""Checkpoint: a training state in a file, from which training can be resumed if it was killed."""

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
    """The content of a checkpoint."""

    state: TrainingState
    seed: int  # the seed of all random streams of training


class Checkpoint:
    """A file from which a fit can resume. It is written completely or not at all.

    Parameters
    ----------
    path : str or path-like
        While the checkpoint is being written, a second file exists, with ``.part`` added to this name.

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
        """Return the content of the file, or None if there is no file.

        Parameters
        ----------
        fingerprint : str
            The fingerprint of everything that the fit depends on.

        Raises
        ------
        ValueError
            If the file is not a checkpoint, is damaged, or has another fingerprint and so belongs to another fit.
        OSError
            If the file cannot be written, so that the error occurs before the first epoch.
        """
        self.fingerprint = fingerprint
        saved = self._load() if self.path.exists() else None
        with open(self._part, "wb"):
            pass
        self._part.unlink()
        return saved

    def _load(self) -> Saved:
        whole, remedy = self.path.read_bytes(), "remove it to start from scratch, or pass another path"
        head, rest = whole[: len(_MAGIC) + _HASH_SIZE], whole[len(_MAGIC) + _HASH_SIZE :]
        if head != _MAGIC + hashlib.sha256(rest).digest():
            raise ValueError(f"checkpoint={str(self.path)!r} is not a checkpoint, or is damaged; {remedy}")
        version, written_for, body = rest.split(b"\n", 2)
        if (version, written_for) != (__version__.encode(), self.fingerprint.encode()):
            what = "a fit with other parameters, data or initial weights"
            what = what if version == __version__.encode() else f"skcnn {version.decode()}"
            raise ValueError(
                f"checkpoint={str(self.path)!r} was written by {what}, so this fit cannot resume from it; {remedy}"
            )
        try:
            return Saved(**joblib.load(io.BytesIO(body)))
        except Exception as error:  # unpickling can run any code
            raise ValueError(f"checkpoint={str(self.path)!r} cannot be read here: {error!r}; {remedy}") from error

    def save(self, state: TrainingState, seed: int) -> None:
        """Replace the content of the file. If the process is killed meanwhile, the old or the new content remains."""
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
        """Remove the file, and any ``.part`` file left by a killed process, unless training can be resumed."""
        if stop_reason not in _MAY_BE_RESUMED:
            for path in (self.path, self._part):
                path.unlink(missing_ok=True)


def fingerprint(*content: Any) -> str:
    """Return a short text that differs if and only if the content differs, no matter which objects hold it.

    Raises
    ------
    ValueError
        If something cannot be pickled, because another process could not recognise it.
    """
    try:
        return str(joblib.hash(list(_pieces(content)), hash_name="sha1"))
    except Exception as error:  # pickling can run any code
        raise ValueError(
            "checkpoint needs parameters that can be pickled, so that another process can recognise them; instead of "
            f"lambda functions, use functions that are defined in a module: {error}"
        ) from error


def _pieces(content: Any) -> Iterator[Any]:
    """Yield the items of containers and the fields of configuration objects, one by one."""
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
