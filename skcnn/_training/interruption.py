"""Interruption: Ctrl-C waits for the end of a step, so that what it leaves is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import FrameType

__all__ = ["deferred_interrupt"]

AT_ONCE = 2.0  # seconds: a Ctrl-C so soon after another is not held back
_last_press = [-inf]


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold back the first Ctrl-C; yield a function that tells whether there was one.

    A second one interrupts at once, by KeyboardInterrupt; so does one that follows another within two seconds, even if
    that one ended an earlier fit, as in a search. Where somebody else handles the signal, or in a thread that Python
    never tells of signals, nothing is held back.
    """
    asked: list[int] = []

    def hold_back(signum: int, frame: FrameType | None) -> None:
        soon = monotonic() - _last_press[0] < AT_ONCE
        _last_press[0] = monotonic()
        if soon:
            raise KeyboardInterrupt
        asked.append(signum)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, hold_back)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
