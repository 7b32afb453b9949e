"""Ctrl-C waits for the end of a training step, so that the weights that it leaves are those of a whole step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType

__all__ = ["Interruption", "deferred_interrupt"]

AT_ONCE = 2.0  # seconds: a Ctrl-C so soon after another one is not held back
_last_press = [-inf]


class Interruption:
    """Whether Ctrl-C was pressed.

    Attributes
    ----------
    requested : bool
    """

    requested = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Hold back the first Ctrl-C, and yield an object that tells whether there was one.

    A second Ctrl-C interrupts at once, by KeyboardInterrupt. So does one within two seconds of another, even if the
    first one ended an earlier fit, as in a search. If the application handles the signal itself, or in a thread other
    than the main thread, to which Python sends no signals, nothing is held back.
    """
    interruption = Interruption()

    def hold_back(signum: int, frame: FrameType | None) -> None:
        soon = monotonic() - _last_press[0] < AT_ONCE
        _last_press[0] = monotonic()
        if soon:
            raise KeyboardInterrupt
        interruption.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler):
        yield interruption
        return
    signal.signal(signal.SIGINT, hold_back)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
