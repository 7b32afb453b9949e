"""Threads: the shards of a batch.

The work is cut into shards by its size alone, which any number of threads may carry out, and their results are put
together in a fixed order. So they are the same to the bit, however many threads there are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.process import numpy_settings

__all__ = ["Shard", "Workers", "cut"]

Array = NDArray[Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

FEW_SHARDS = 16
MOST_MEETING_SHARDS = 64  # shards that meet live all at once, each on a thread of its own


def cut(n_rows: int, rows_per_shard: int) -> list[slice]:
    """Cut rows into shards of at most `rows_per_shard`.

    A few shards are of nearly equal size, and 1, 2, 4, 8 or 16 of them, so that some threads come to an end together.
    Of many, all but the last are full, so that what they take of memory does not depend on how many there are.

    Examples
    --------
    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    least = max(1, -(-n_rows // rows_per_shard))
    if least > FEW_SHARDS:
        starts = [*range(0, n_rows, rows_per_shard), n_rows]
    else:
        n_shards = min(n_rows, 1 << (least - 1).bit_length())
        size, longer = divmod(n_rows, n_shards)
        starts = [i * size + min(i, longer) for i in range(n_shards + 1)]
    return [slice(start, stop) for start, stop in pairwise(starts)]


class _Meeting:
    """Where the shards of one batch wait for each other and add up what they bring."""

    def __init__(self, n_shards: int, permits: threading.Semaphore):
        self._parts: list[Any] = [None] * n_shards
        self._total: Any = None
        self._permits = permits
        self._barrier = threading.Barrier(n_shards, action=self._add)

    def _add(self) -> None:
        # in the order of the shards, whichever came first, so that the bits do not depend on it
        self._total = np.asarray(sum(self._parts[1:], start=self._parts[0]))
        self._total.flags.writeable = False  # all shards are given this one

    def sum(self, index: int, part: Array) -> Array:
        self._parts[index] = part
        self._permits.release()  # whoever waits leaves its place to another shard
        try:
            self._barrier.wait()
        finally:
            self._permits.acquire()
        total: Array = self._total
        return total

    def abort(self) -> None:
        self._barrier.abort()


@dataclass(frozen=True)
class Shard:
    """A shard's place in its batch, for layers whose rows depend on each other.

    Attributes
    ----------
    n_rows : int
        Rows of the whole batch.
    weight : ndarray (rows of this shard,) or None
        Their weights; None: all 1.
    """

    n_rows: int
    weight: Array | None = None
    index: int = 0
    _meeting: _Meeting | None = field(default=None, repr=False)

    def sum(self, part: Array) -> Array:
        """Add up an array over all shards of the batch. Every shard must call this, in the same places.

        The result is not to be written to.
        """
        return part if self._meeting is None else self._meeting.sum(self.index, part)


class Workers:
    """The threads of one call of fit or predict. They end with it, so none is left to be lost in a fork.

    Parameters
    ----------
    n_threads : int
        How many items are worked on at a time.
    """

    def __init__(self, n_threads: int):
        self.n_threads = n_threads
        self._executors: dict[int, ThreadPoolExecutor] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        for executor in self._executors.values():
            executor.shutdown(wait=True, cancel_futures=True)

    def _executor(self, n_threads: int) -> ThreadPoolExecutor:
        if n_threads not in self._executors:
            self._executors[n_threads] = ThreadPoolExecutor(n_threads, "skcnn")
        return self._executors[n_threads]

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield function(item) in the order of the items; the calls must not need each other.

        The thread that asks works too, on items that no other has begun.
        """
        if self.n_threads == 1 or len(items) == 1:
            return map(function, items)
        executor, quiet = self._executor(self.n_threads - 1), _quietly(function)
        return _work_too(function, (_Task(item, executor.submit(quiet, item)) for item in items), 4 * self.n_threads)

    def meet(
        self, function: Callable[[Item, Shard], Result], items: Sequence[Item], shards: Sequence[Shard]
    ) -> list[Result]:
        """Return function(item, shard) of all items, whose shards may meet while they run.

        All are under way at the same time, on a thread each, but only `n_threads` of them run.
        """
        if len(items) == 1:
            return [function(items[0], shards[0])]
        permits = threading.Semaphore(self.n_threads)
        meeting = _Meeting(len(items), permits)

        def attend(item: Item, shard: Shard) -> Result:
            with permits:
                try:
                    return function(item, Shard(shard.n_rows, shard.weight, shard.index, meeting))
                except BaseException:
                    meeting.abort()
                    raise

        executor = self._executor(len(items))
        try:
            futures = [executor.submit(_quietly(attend), *both) for both in zip(items, shards, strict=True)]
            errors = [error for error in (future.exception() for future in futures) if error is not None]
        except BaseException:
            meeting.abort()  # those already waiting must not wait for one that never comes
            raise
        # a shard that failed breaks the others' waiting; its own error is the one to tell
        for error in sorted(errors, key=lambda e: isinstance(e, threading.BrokenBarrierError)):
            raise error
        return [future.result() for future in futures]


@dataclass(eq=False)
class _Task:
    """An item that a worker has been asked to work on, and the result if its asker did it."""

    item: Any
    future: Future[Any]
    own: list[Any] = field(default_factory=list)

    def is_done(self) -> bool:
        return bool(self.own) or self.future.done()

    def is_free(self) -> bool:
        """Whether nobody has begun it, and from now on no worker will."""
        return not self.own and self.future.cancel()

    def result(self) -> Any:
        return self.own[0] if self.own else self.future.result()


def _work_too(function: Callable[[Any], Result], tasks: Iterator[_Task], ahead: int) -> Iterator[Result]:
    """Yield the tasks' results in order; work on tasks that no worker has begun instead of waiting.

    So many are asked for `ahead`, and not all, that neither they nor their results pile up.
    """
    window = deque(islice(tasks, ahead))
    while window:
        while not window[0].is_done():
            free = next((task for task in window if task.is_free()), None)
            if free is None:
                break
            free.own.append(function(free.item))
        yield window.popleft().result()
        window.extend(islice(tasks, 1))


def _quietly(function: Callable[..., Result]) -> Callable[..., Result]:
    def quiet(*args: Any) -> Result:
        with numpy_settings():  # a new thread starts with NumPy's defaults, not with its caller's
            return function(*args)

    return quiet
