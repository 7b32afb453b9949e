"""Progress: the output of `verbose` during training."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from skcnn._values import times
from skcnn.network import Network

__all__ = ["Progress", "announce", "announce_network", "bar_class", "hint_at_backend"]

LONG = 30.0  # seconds: a shorter training hardly gains from compiled kernels, which must be compiled first


class Progress:
    """Shows a line per epoch and, on a terminal or in a notebook, a progress bar with the loss while the epoch runs.

    Parameters
    ----------
    verbose : bool
        False: show nothing.
    """

    def __init__(self, verbose: bool):
        self._verbose = verbose
        self._bar: Any = None
        self._title = ""

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Begin epoch `number` of `n_epochs`."""
        self._title = f"Epoch {number}/{n_epochs}"
        if not self._verbose or getattr(sys.stderr, "closed", True):
            return  # with a closed or missing stderr, some versions of tqdm return an incomplete bar
        with _ignoring_lost_output():
            # disable=None: no bar if the output is not a terminal
            self._bar = bar_class()(
                total=n_steps, desc=self._title, disable=None, dynamic_ncols=True, leave=False, miniters=1
            )

    def end_step(self, loss: float) -> None:
        """Count one step; `loss` is the mean of the epoch so far."""
        if self._bar is not None and not self._bar.disable:
            with _ignoring_lost_output():
                self._bar.set_postfix_str(f"loss={loss:.4f}", refresh=False)
                self._bar.update()

    def end_epoch(self, state: Any) -> bool:
        """Show the last row of the history, and never ask to stop."""
        if not self._verbose:
            return False
        self.close()
        row = state.history[-1]
        # early stopping uses the score, so it is shown unless it is the accuracy
        last = "val_f1" if row.get("val_score") == row.get("val_accuracy") else "val_score"
        shown = (name for name in (*_SHOWN, last) if row.get(name) is not None)
        figures = " ".join(f"{name}={row[name]:.4f}" for name in shown)
        announce(f"{self._title}: {row['seconds']:.1f}s {figures}")  # fits 80 columns
        return False

    def close(self) -> None:
        """Remove the bar before a line or a traceback is printed."""
        bar, self._bar = self._bar, None
        if self._verbose:
            _free_lock(bar_class().get_lock())
        if bar is not None:
            with _ignoring_lost_output():
                bar.close()


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


def hint_at_backend(backend: str, history: Sequence[Mapping[str, Any]]) -> None:
    """Print how to train faster, after a long training with NumPy's kernels."""
    if backend == "numpy" and sum(row["seconds"] for row in history) >= LONG:
        announce('With backend="numba", training is about twice as fast. It needs numba: pip install "skcnn[fast]"')


_SHOWN = ("loss", "val_loss", "val_accuracy")


@cache
def bar_class() -> Any:
    from tqdm.auto import tqdm  # imported here, because only verbose needs it

    tqdm.get_lock()  # it makes the lock if there is none; then the subclass shares it

    class Bar(tqdm):
        monitor_interval = 0  # start no monitor thread, because it would keep running

        def __del__(self) -> None:
            """Do nothing, for `Progress` closes its bars. tqdm fails here if an exception interrupted ``__init__``."""

    return Bar


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
