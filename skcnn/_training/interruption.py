"""Ctrl-C takes effect at the end of a training step, so that no step is left incomplete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType

__all__ = ["Interruption", "deferred_interrupt"]

AT_ONCE = 2.0  # seconds: if a Ctrl-C follows another one within this time, it interrupts at once
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
    """Defer the first Ctrl-C, and yield an object that records whether it was pressed.

    A second Ctrl-C raises KeyboardInterrupt at once. So does a Ctrl-C within two seconds of another one, even if the
    other one ended an earlier fit, as in a search. Nothing is deferred if the application handles the signal itself, or
    in threads other than the main thread, because Python sends them no signals.
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
