"""Progress: the output of `verbose` during training."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import StringIO
from typing import Any

from skcnn._values import times
from skcnn.network import Network

__all__ = ["Progress", "announce", "announce_network", "new_bar"]

LONG = 30.0  # seconds: a shorter training hardly gains from compiled kernels, which must be compiled first


class Progress:
    """Shows one progress bar for all epochs on a terminal or in a notebook, and a line per epoch elsewhere.

    Parameters
    ----------
    verbose : int
        0: show nothing. 2 or more: show the lines in addition to the bar.
    hints : bool, default=False
        Whether to say after the first epoch of a long training how it would be faster.
    """

    def __init__(self, verbose: int, *, hints: bool = False):
        self._verbose, self._hints = verbose, hints
        self._n_epochs = 0
        self._bar: Any = None
        self._title = ""
        self._score = ""  # of the last epoch

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Begin epoch `number` of `n_epochs`."""
        self._title, self._n_epochs = f"Epoch {number}/{n_epochs}", n_epochs
        if not self._verbose:
            return
        with _ignoring_lost_output():
            if self._bar is None:
                done = (number - 1) * n_steps  # more than 0 if a checkpoint is resumed
                self._bar = new_bar(n_epochs * n_steps, self._title, initial=done, bar_format=_BAR, smoothing=0)
            self._bar.set_description_str(self._title, refresh=False)

    def end_step(self, loss: float, accuracy: float) -> None:
        """Count one step; `loss` and `accuracy` are the means of the epoch so far."""
        if self._has_bar:
            with _ignoring_lost_output():
                self._show_in_bar(loss, accuracy, refresh=False)
                self._bar.update()

    def end_epoch(self, state: Any) -> bool:
        """Show the last row of the history, and never ask to stop."""
        if not self._verbose:
            return False
        row = state.history[-1]
        if row.get("val_score") is not None:
            name = "val_acc" if row["val_score"] == row.get("val_accuracy") else "val_score"
            self._score = f" {name}={row['val_score']:.4f}"
        if self._has_bar:
            with _ignoring_lost_output():
                self._show_in_bar(row["loss"], row["accuracy"])
        if not self._has_bar or self._verbose > 1:
            self._show_line(row)
        if self._hints:
            self._hint_at_backend(row["seconds"] * self._n_epochs)
        return False

    def close(self) -> None:
        """End the bar, before a line or a traceback is printed. It stays on the screen."""
        had_bar, bar, self._bar = self._has_bar, self._bar, None
        if self._verbose:
            _free_lock(bar_class().get_lock())
        if bar is not None:
            with _ignoring_lost_output():
                if had_bar:
                    bar.bar_format = _ENDED_BAR
                bar.close()

    @property
    def _has_bar(self) -> bool:
        return self._bar is not None and not self._bar.disable

    def _show_in_bar(self, loss: float, accuracy: float, *, refresh: bool = True) -> None:
        """Show figures behind the bar, with short names, so that there is room for the bar in 80 columns."""
        self._bar.set_postfix_str(f"loss={loss:.4f} acc={accuracy:.4f}{self._score}", refresh=refresh)

    def _show_line(self, row: Mapping[str, Any]) -> None:
        """Print the figures of an epoch in a line that fits 80 columns."""
        # early stopping uses the score, so it is shown unless it is the accuracy
        last = "val_f1" if row.get("val_score") == row.get("val_accuracy") else "val_score"
        shown = (name for name in (*_SHOWN, last) if row.get(name) is not None)
        figures = " ".join(f"{name}={row[name]:.4f}" for name in shown)
        self._print(f"{self._title}: {row['seconds']:.1f}s {figures}")

    def _hint_at_backend(self, seconds: float) -> None:
        """Say once that compiled kernels are faster, if training takes long."""
        self._hints = False
        if seconds >= LONG:
            self._print(
                f"Training takes about {max(1, round(seconds / 60))} min. It is about twice as fast with "
                'backend="numba", which needs numba: pip install "skcnn[fast]"'
            )

    def _print(self, line: str) -> None:
        if self._has_bar:
            with _ignoring_lost_output():
                self._bar.write(line)  # above the bar
        else:
            announce(line)


def announce(line: str) -> None:
    """Print a line, unless stdout is closed or missing."""
    with _ignoring_lost_output():
        print(line, flush=True)


def announce_network(network: Network) -> None:
    """Print the shape of the images, and what the network consists of."""
    layers = (
        f"{type(layer).__name__} {params['W'].shape[-1]}"
        for layer, params in zip(network.layers, network.params, strict=True)
        if "W" in params
    )
    announce(f"Images of {times(network.shapes[0])}: {', '.join(layers)}; {network.n_params:,} parameters")


_SHOWN = ("loss", "accuracy", "val_accuracy")
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_ENDED_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


def new_bar(total: int, title: str, *, is_shown: bool = True, **settings: Any) -> Any:
    """Return a progress bar, which is disabled unless `is_shown` is true and there is a terminal or a notebook."""
    if is_shown and _is_notebook():
        return notebook_bar_class()(total=total, desc=title, file=StringIO(), ascii=False, miniters=1, **settings)
    # with a closed or missing stderr, some versions of tqdm return an incomplete bar
    is_off = not is_shown or getattr(sys.stderr, "closed", True)
    disable = True if is_off else None  # None: no bar if the output is not a terminal
    ncols = None if is_off or _has_width(sys.stderr) else 80
    return bar_class()(
        total=total, desc=title, disable=disable, dynamic_ncols=ncols is None, ncols=ncols, miniters=1, **settings
    )


def _is_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None


def _has_width(stream: Any) -> bool:
    """Return whether a terminal knows its width. In a container, it may be 0, and a bar would be empty."""
    width = 0
    with _ignoring_lost_output():
        width = os.get_terminal_size(stream.fileno()).columns
    return width > 0


@cache
def bar_class() -> Any:
    from tqdm.std import tqdm  # imported here, because only verbose needs it

    tqdm.get_lock()  # it makes the lock if there is none; then the subclass shares it

    class Bar(tqdm):
        monitor_interval = 0  # start no monitor thread, because it would keep running

        def __del__(self) -> None:
            """Do nothing, for `Progress` closes its bars. tqdm fails here if an exception interrupted ``__init__``."""

    return Bar


@cache
def notebook_bar_class() -> Any:
    """Return the bar for notebooks: one line of text that is replaced.

    tqdm's own is a widget. It needs ipywidgets, and a saved notebook does not show it.
    """
    display = import_module("IPython.display").display

    class NotebookBar(bar_class()):  # type: ignore[misc]  # a class at run time
        @staticmethod
        def status_printer(file: Any) -> Callable[[str], None]:
            handle = display({"text/plain": ""}, raw=True, display_id=True)
            return lambda line: handle.update({"text/plain": line}, raw=True)

    return NotebookBar


def _free_lock(lock: Any) -> None:
    """Release tqdm's lock. If a signal handler's exception left it locked, other threads would wait forever."""
    for part in getattr(lock, "locks", ()):  # one between processes, one between threads
        is_owned = part._semlock._is_mine if hasattr(part, "_semlock") else part._is_owned
        while is_owned():
            part.release()


@contextmanager
def _ignoring_lost_output() -> Iterator[None]:
    """Suppress errors because stdout or stderr is closed or missing, which must not end training.

    An OSError from a signal handler, such as TimeoutError, is not suppressed.
    """
    try:
        yield
    except (ValueError, AttributeError):
        pass
    except OSError as error:
        if error.errno is None:
            raise
