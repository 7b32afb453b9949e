"""Threads: one inside BLAS, the shards of a batch outside.

float32 matrix products differ in their last bits with the number of BLAS threads. So BLAS runs on one, and the work is
cut into shards by size alone, which any number of threads may carry out: the results are the same to the bit.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import OpenBLASController, ThreadpoolController

__all__ = ["Shard", "Workers", "allowed_threads", "calculation", "cut", "one_blas_thread", "rows_per_shard"]

Array = NDArray[Any]
Item = TypeVar("Item")
Result = TypeVar("Result")

# The C library gives the memory of large arrays back to the system as soon as they are freed, and asks for it again,
# page by page, for the next ones: that takes as long as computing them. glibc stops doing so for blocks no larger than
# the largest that was ever freed, up to 32 MiB. So one that nobody touches is freed here; that costs a microsecond.
np.empty(2**25 - 2**16, dtype=np.uint8)

PIXELS_PER_SHARD = 2**15  # so many that Python's part takes little of the time, so few that a cache holds their maps
ROWS_PER_SHARD = 8  # at least, even of large images: a dense layer's gradient costs the same for one row as for some,
MOST_PIXELS = 2**19  # but no more pixels than this, for the sake of memory
PIXELS_WORTH_CUTTING = 2**14  # a batch of fewer is done by one thread before another has begun
MOST_MEETING_SHARDS = 64  # shards that meet live all at once, each on a thread of its own


class _BlasGuard:
    """Holds the process's BLAS at one thread while anybody needs it so.

    The limit is global, so overlapping users are counted: the first in sets it, the last out restores what was. The
    libraries are looked up once, since that takes a hundred times as long as setting the limit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limit: Any = None
        self._controller: ThreadpoolController | None = None
        self._allowed = 1
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._after_in_child
            )

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._allowed = self._read_allowed()
                with _any_thread_may_set_limits():
                    self._limit = self._controller and self._controller.limit(limits=1, user_api="blas")
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._restore()

    def allowed_threads(self) -> int:
        """Return how many threads BLAS may use when the guard is not held."""
        with self._lock:
            return self._allowed if self._users else self._read_allowed()

    def _read_allowed(self) -> int:
        if self._controller is None:
            self._controller = ThreadpoolController().select(user_api="blas")
        counts = [int(library.num_threads) for library in self._controller.lib_controllers]
        return max(counts) if counts else int(joblib.cpu_count())

    def _restore(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            with _any_thread_may_set_limits():
                limit.restore_original_limits()

    def _after_in_child(self) -> None:
        # the threads that held the guard do not exist in the child
        self._users = 0
        self._restore()
        self._lock.release()


@contextmanager
def _any_thread_may_set_limits() -> Iterator[None]:
    """Lift the ownership of OpenBLAS's limit, which threadpoolctl 3.8 gives to the first thread that sets it.

    To any other thread it says nothing and does nothing, but the last user of the guard need not be the first.
    """
    clear = getattr(OpenBLASController, "clear_controlling_thread", lambda force: None)
    clear(force=True)
    try:
        yield
    finally:
        clear(force=True)


one_blas_thread = _BlasGuard()
allowed_threads = one_blas_thread.allowed_threads


@contextmanager
def calculation() -> Iterator[None]:
    """Surround a calculation: one BLAS thread, and the caller's `np.errstate` kept out.

    Whether results are finite is checked where it matters, not by floating-point flags, which an underflow raises too.
    """
    with one_blas_thread, np.errstate(all="ignore"):
        yield


def cut(n_rows: int, rows_per_shard: int) -> list[slice]:
    """Cut rows into shards of at most `rows_per_shard`, of nearly equal size.

    There are as few as will do, but 1, 2, 4 or a multiple of 8, so that some threads come to an end together.

    Examples
    --------
    >>> cut(5, 2)
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None), slice(4, 5, None)]
    """
    least = max(1, -(-n_rows // rows_per_shard))
    n_shards = min(n_rows, 1 << (least - 1).bit_length() if least <= 8 else -(-least // 8) * 8)
    size, longer = divmod(n_rows, n_shards)
    starts = [i * size + min(i, longer) for i in range(n_shards + 1)]
    return [slice(start, stop) for start, stop in pairwise(starts)]


def rows_per_shard(n_rows: int, in_shape: tuple[int, ...]) -> int:
    """Return how many of a batch's images of a shape (h, w, c) make up a shard."""
    pixels = in_shape[0] * in_shape[1]
    most = max(1, PIXELS_PER_SHARD // pixels, min(ROWS_PER_SHARD, MOST_PIXELS // pixels))
    return min(most, -(-n_rows // 2)) if n_rows * pixels > PIXELS_WORTH_CUTTING else n_rows


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
        with np.errstate(all="ignore"):  # a new thread starts with NumPy's defaults, not with its caller's settings
            return function(*args)

    return quiet
