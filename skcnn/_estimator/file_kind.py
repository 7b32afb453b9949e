"""What saved models and checkpoints have in common: a header with versions, and errors for files of other kinds."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from skcnn._estimator.fitted import VersionWarning
from skcnn._estimator.warning import warn
from skcnn._storage.archive import CONTENT_ERRORS, DamagedFile, read_archive, write_archive
from skcnn._storage.encoding import CustomObjectError, Encoder
from skcnn._version import __version__

__all__ = ["FileKind"]

Array = NDArray[Any]
FORMAT = 1  # increased when older versions cannot read new files


class FileKind:
    """A kind of file: how it is written and read, and what error messages say about it.

    Parameters
    ----------
    name : str
        The kind in the header: "model" or "checkpoint".
    argument : str
        The name of the argument that is the path.
    description, remedy : str
        What the file must be, with an article: "a checkpoint". And what to do about a file that cannot be read.
    """

    def __init__(self, name: str, argument: str, description: str, remedy: str):
        self._name, self._argument, self._description, self._remedy = name, argument, description, remedy

    def write(self, path: str, encoder: Encoder, content: dict[str, Any]) -> None:
        """Replace a file in one step."""
        versions = {"skcnn": __version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
        header = {"format": FORMAT, "kind": self._name, **versions, "python": platform.python_version()}
        write_archive(path, {**header, **content}, encoder.arrays)

    def read(self, path: str) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the header and the arrays of a file.

        Raises
        ------
        ValueError
            If the file is of another kind, is damaged, or has a newer format than this version can read.

        Warns
        -----
        VersionWarning
            If the file was written by another version that has the same format.
        """
        with self.reading(path):
            header, arrays = read_archive(path)
            written_by, version, kind = (header[name] for name in ("skcnn", "format", "kind"))
            if type(version) is not int or not isinstance(written_by, str) or version < 1:
                raise DamagedFile("its version is invalid")
        if version > FORMAT:
            raise ValueError(
                f"{self._argument}={path!r} was written by skcnn {written_by}, and skcnn {__version__} cannot read "
                "it; update skcnn"
            )
        if kind != self._name:
            raise ValueError(f"{self._argument}={path!r} is a {kind}, but must be {self._description}; {self._remedy}")
        if written_by != __version__:
            warn(
                VersionWarning(
                    estimator_name=f"{self._argument}={path!r}",
                    current_sklearn_version=__version__,
                    original_sklearn_version=written_by,
                )
            )
        return header, arrays

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Turn any error about the content of a file into a ValueError that names the file."""
        try:
            yield
        except CustomObjectError:
            raise
        except CONTENT_ERRORS as error:  # a file with a valid checksum can still have any content
            message = f"{self._argument}={path!r} is not {self._description}, or is damaged; {self._remedy}"
            reason = str(error)[:200]  # it may contain a large part of the file
            raise ValueError(f"{message} ({reason})" if reason else message) from error
