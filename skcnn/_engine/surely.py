"""Undoing a change of shared state, even if a signal handler raises an exception at any point.

Python runs signal handlers between any two instructions of the main thread. So Ctrl-C, or a time limit that uses
SIGALRM, may raise an exception within ``__enter__``, within ``__exit__``, or in a ``finally`` block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["surely"]

Result = TypeVar("Result")


def surely(work: Callable[[], Result], undo: Callable[[], object]) -> Result:
    """Return ``work()``, and call ``undo()`` at the end, whatever happens.

    Parameters
    ----------
    work : callable
        It makes the change that is to be undone. It may be interrupted when it has made only a part of the change.
    undo : callable
        It is called twice, because an exception may interrupt the first call. So it must do nothing if there is nothing
        to undo, and must be able to complete what an interrupted call began.
    """
    try:
        try:
            return work()
        finally:
            undo()
    finally:
        undo()
