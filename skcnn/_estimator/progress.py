"""Progress: what training tells whoever watches it."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

__all__ = ["Progress"]


class Progress:
    """A line an epoch; on a terminal or in a notebook, a bar with the loss in it while the epoch runs.

    Parameters
    ----------
    verbose : bool
        False: say nothing.
    """

    def __init__(self, verbose: bool):
        self._verbose = verbose
        self._bar: Any = None
        self._title = ""

    def start_epoch(self, number: int, n_epochs: int, n_steps: int) -> None:
        """Begin epoch `number` of `n_epochs`."""
        self._title = f"Epoch {number}/{n_epochs}"
        if not self._verbose or getattr(sys.stderr, "closed", True):
            return  # some versions of tqdm make a half-made bar of a closed or missing stderr
        from tqdm.auto import tqdm  # here, since only those who watch need it

        with suppress(*_NOBODY_WATCHES):
            # disable=None: no bar where it could not overwrite itself
            self._bar = tqdm(total=n_steps, desc=self._title, disable=None, dynamic_ncols=True, leave=False)

    def step(self, loss: float) -> None:
        """Count one batch; `loss` is the epoch's mean so far."""
        if self._bar is not None and not self._bar.disable:
            with suppress(*_NOBODY_WATCHES):
                self._bar.set_postfix_str(f"loss={loss:.4f}", refresh=False)
                self._bar.update()

    def end_epoch(self, run: Any) -> bool:
        """Show the last row of the run's history; never ask for an end."""
        if not self._verbose:
            return False
        self.close()
        row = run.history[-1]
        last = "val_f1" if row["val_score"] == row["val_accuracy"] else "val_score"  # what early stopping looks at
        shown = (name for name in (*_SHOWN, last) if row[name] is not None)
        figures = " ".join(f"{name}={row[name]:.4f}" for name in shown)
        with suppress(*_NOBODY_WATCHES):
            print(f"{self._title}: {row['seconds']:.1f}s {figures}", flush=True)  # fits 80 columns
        return False

    def close(self) -> None:
        """Take the bar away; a line, or a traceback, follows."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(*_NOBODY_WATCHES):
                bar.close()


_SHOWN = ("loss", "val_loss", "val_accuracy")
# what a closed or missing stdout or stderr raises: no reason to lose the training
_NOBODY_WATCHES = (ValueError, OSError, AttributeError)
