"""Checkpoint: a training state in a file, from which training can be resumed if it was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from numpy.typing import NDArray

from skcnn._estimator.file_kind import FileKind
from skcnn._storage.encoding import Decoder, Encoder, Json
from skcnn._storage.files import Lock, flush_folder, resolved
from skcnn._storage.identity import describe, readable
from skcnn._storage.training_state import decode_state, encode_state
from skcnn._training.state import TrainingState
from skcnn.optimizers import Optimizer

__all__ = ["Checkpoint", "Saved"]

Result = TypeVar("Result")
_MAY_BE_RESUMED = ("interrupted", "max_time")
_REMEDY = "remove it to start from scratch, or pass another path"
_FILE = FileKind("checkpoint", "checkpoint", "a checkpoint", _REMEDY)


class Saved:
    """The content of a checkpoint.

    Attributes
    ----------
    seed : int
        The seed of all random streams of training.
    """

    def __init__(self, path: str, header: Json, arrays: dict[str, NDArray[Any]]):
        self.seed: int = header["seed"]
        if type(self.seed) is not int or not 0 <= self.seed < 2**63:
            raise ValueError(f"the seed is invalid: {self.seed!r}")
        self._path, self._header, self._arrays = path, header, arrays

    def restore(self, state: TrainingState, optimizer: Optimizer) -> None:
        """Write the content into the initial state of a training from scratch.

        Raises
        ------
        ValueError
            If the content does not fit.
        """
        with _FILE.reading(self._path):
            decode_state(Decoder(self._arrays, {}), self._header["state"], state, optimizer)


class Checkpoint:
    """A file from which a fit can resume. It is written completely or not at all, and is locked during the fit.

    Parameters
    ----------
    path : str or path-like
        Links and relative paths are resolved now, so the working directory may change later. While the checkpoint is in
        use, two more files may exist, with ``.lock`` and ``.part`` added to this name. When training is complete,
        ``.finished`` is added to the name of the file.

    Raises
    ------
    TypeError, ValueError, OSError
        If `path` is not the path of a file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = resolved(path, "checkpoint")
        self.finished_path = resolved(self.path + ".finished", "checkpoint")
        self._lock = Lock(self.path, "checkpoint")
        self._depends_on: dict[str, Json] = {}
        self._is_finished = False

    def hold(self, fit: Callable[[], Result]) -> Result:
        """Call a function while no other process can use the file, and return its result."""
        return self._lock.hold(fit)

    def open(self, depends_on: dict[str, Json]) -> Saved | None:
        """Return the content of the file, or None if there is no file.

        Parameters
        ----------
        depends_on : dict
            Descriptions of everything that the fit depends on, by name. Those of the parameters are in a dict under the
            name "parameters".

        Raises
        ------
        ValueError
            If the file is not a checkpoint, is damaged, or belongs to another fit.
        """
        self._depends_on = depends_on
        self._is_finished = os.path.exists(self.finished_path)
        path = self.finished_path if self._is_finished else self.path
        if not os.path.exists(path):
            return None
        header, arrays = _FILE.read(path)
        with _FILE.reading(path):
            differences = list(_differences(header["depends_on"], depends_on))
            saved = Saved(path, header, arrays)
        if differences:
            raise ValueError(
                f"checkpoint={path!r} was written by a fit with other parameters, data or initial weights "
                f"({'; '.join(differences)}), so this fit cannot resume from it; {_REMEDY}"
            )
        return saved

    def save(self, state: TrainingState, seed: int) -> None:
        """Replace the content of the file. If the process is killed meanwhile, the old or the new content remains."""
        encoder = _Encoder("train without a checkpoint")
        content = {"seed": seed, "depends_on": self._depends_on, "state": encode_state(encoder, state)}
        _FILE.write(self.path, encoder, content)

    def finish(self, state: TrainingState, seed: int) -> None:
        """Save the result of training and rename the file, unless training can be resumed."""
        if self._is_finished or state.stop_reason in _MAY_BE_RESUMED:
            return
        self.save(state, seed)
        os.replace(self.path, self.finished_path)
        flush_folder(os.path.dirname(self.path))


class _Encoder(Encoder):
    """Refuses objects of the user's own code, because the fit that resumes would not get them."""

    def encode_own(self, value: Any, where: str) -> Json:
        raise self.refusal(value, where)


_ADDED_LATER = {"backend": describe("numpy", "backend", "")}  # parameters that older checkpoints lack


def _differences(old: dict[str, Json], new: dict[str, Json]) -> list[str]:
    """Say in which parameters and data two fits differ."""
    parameters = [_ADDED_LATER | of_fit["parameters"] for of_fit in (old, new)]
    names = sorted({*parameters[0], *parameters[1]})
    was, is_now = ({name: of_fit.get(name) for name in names} for of_fit in parameters)
    changes = [
        f"{name} was {readable(was[name])} and is now {readable(is_now[name])}"
        for name in names
        if was[name] != is_now[name]
    ]
    return changes + [f"{name} has changed" for name in new if name != "parameters" and old.get(name) != new[name]]
