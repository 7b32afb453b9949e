"""Ctrl-C takes effect at the end of a training step, so that no step is left incomplete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from types import FrameType
from typing import TypeVar

from skcnn._engine.surely import surely

__all__ = ["Interruption", "deferring_interrupt"]

Result = TypeVar("Result")

AT_ONCE = 2.0  # seconds: if a Ctrl-C follows another one within this time, it interrupts at once
_last_press = [-inf]


class Interruption:
    """Whether Ctrl-C was pressed.

    Attributes
    ----------
    requested : bool
    """

    requested = False


def deferring_interrupt(work: Callable[[Interruption], Result]) -> Result:
    """Return ``work(interruption)``. Meanwhile, defer the first Ctrl-C: `interruption` records that it was pressed.

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

    def begin_and_work() -> Result:
        signal.signal(signal.SIGINT, hold_back)
        return work(interruption)

    def end() -> None:
        if signal.getsignal(signal.SIGINT) is hold_back:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    is_main = threading.get_ident() == threading.main_thread().ident
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return surely(begin_and_work, end)
    return work(interruption)
