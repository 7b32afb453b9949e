"""Threads that work on the shards of a batch, and return their results in a fixed order.

The threads and the caller exchange tasks through queues that are written in C. An exception raised by a signal handler
cannot leave these locked, but it can leave the locks of `threading` and `concurrent.futures` locked. For the same
reason, the threads are started by `_thread`: `threading.Thread.start` waits for the new thread.
"""

from __future__ import annotations

import _thread
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

from skcnn.layers.base import Exchange, alone, total_of

__all__ = ["Workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_WAIT = 0.2  # seconds: after an exception, a thread may still be in the middle of a long task


class Workers:
    """The threads of one call of fit or predict. They end with the call, so that no fork can lose them.

    Parameters
    ----------
    n_threads : int
        How many threads work at the same time, including the calling thread. Threads are started when they are needed.
        If one cannot be started, the others do its work.
    begin : callable
        Each thread calls it first.
    """

    def __init__(self, n_threads: int, begin: Callable[[], object]):
        self.n_threads = n_threads
        self._begin = begin
        self._tasks: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._news: SimpleQueue[None] = SimpleQueue()  # one item whenever a thread has done a task
        self._ends: list[Any] = []  # for each thread, a lock that is held until the thread ends
        self._ended: list[Any] = []  # the locks of threads that have ended
        self._is_closed = False
        self._deadline = 0.0  # until when `close` waits
        self._process = os.getpid()

    def close(self) -> None:
        """Let the threads end, and wait for them, but not longer than `LONGEST_WAIT` in all."""
        self._is_closed = True
        self._deadline = self._deadline or monotonic() + LONGEST_WAIT
        for _ in self._ends:
            self._tasks.put(None)
        for end in self._ends if self._process == os.getpid() else ():
            if end not in self._ended:
                end.acquire(timeout=max(0.0, self._deadline - monotonic()))

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield function(item) in the order of the items. The calls must not wait for each other.

        The calling thread works too, on items that no other thread has started.
        """
        self._start_threads(len(items) - 1)
        if not self._ends or len(items) == 1:
            return map(function, items)
        return self._work_too(_Task(function, item) for item in items)

    def run_together(self, passes: Sequence[Exchange[Result]]) -> list[Result]:
        """Run passes that exchange sums by all-reduce: each pass yields its part of a sum and receives the total.

        The parts are added in the order of the passes, no matter which is ready first. So the result is the same, bit
        for bit, for any number of threads.

        Raises
        ------
        RuntimeError
            If some passes yield more often than others.
        """
        if len(passes) == 1:
            return [alone(passes[0])]
        # turns of several passes alternate on a thread, and those of one pass may come on several: each pass has a
        # context of its own, so that settings which it makes within it, as by np.errstate, stay its own
        in_contexts = [(copy_context(), passing) for passing in passes]
        total: Any = None
        while True:
            turns = list(self.map(partial(_take_turn, total), in_contexts))
            if all(turn.finished for turn in turns):
                return [turn.value for turn in turns]
            waiting = next(passing for passing, turn in zip(passes, turns, strict=True) if not turn.finished)
            if any(turn.finished for turn in turns):
                waiting.throw(RuntimeError("a layer that depends on the batch must yield equally often for all shards"))
            total = total_of([turn.value for turn in turns], waiting)

    def _start_threads(self, n_threads: int) -> None:
        while len(self._ends) < min(n_threads, self.n_threads - 1):
            end = _thread.allocate_lock()
            self._ends.append(end)  # first, so that `close` knows of every thread
            try:
                end.acquire()
                _thread.start_new_thread(self._work, (end,))
            except RuntimeError as error:  # there are too many threads, or the interpreter is shutting down
                if not str(error).startswith("can't"):
                    raise  # a signal handler has raised it
                self._ends.pop()
                self.n_threads = len(self._ends) + 1

    def _work(self, end: Any) -> None:
        """Do tasks until the call ends."""
        try:
            self._begin()
            while (task := self._tasks.get()) is not None:
                try:
                    if not self._is_closed:
                        task.do_and_keep_error()
                finally:
                    self._news.put(None)
        finally:
            self._ended.append(end)
            end.release()

    def _work_too(self, tasks: Iterator[_Task[Result]]) -> Iterator[Result]:
        """Yield the tasks' results in order. Instead of waiting, do tasks that no thread has started.

        At most a few tasks are handed out in advance, so that neither tasks nor results pile up.
        """
        window: deque[_Task[Result]] = deque()
        try:
            self._hand_out(islice(tasks, 4 * self.n_threads), window)
            while window:
                while not window[0].is_done:
                    self._do_one_or_wait(window[0])
                yield window.popleft().result()
                self._hand_out(islice(tasks, 1), window)
        finally:
            self._take_back()

    def _hand_out(self, tasks: Iterator[_Task[Result]], window: deque[_Task[Result]]) -> None:
        for task in tasks:
            window.append(task)
            self._tasks.put(task)

    def _do_one_or_wait(self, needed: _Task[Any]) -> None:
        try:
            task = self._tasks.get_nowait()
        except Empty:
            if self._process == os.getpid():
                self._news.get()
                return
            task = needed  # this is a forked process: the thread that began the task does not exist here
        assert task is not None  # only `close` adds None
        task.do()

    def _take_back(self) -> None:
        """Remove tasks that are no longer needed, because one of them has failed."""
        while not (self._is_closed or self._tasks.empty()):
            try:
                self._tasks.get_nowait()
            except Empty:  # a thread was faster
                return


class _Task(Generic[Result]):
    """A function to call, and its result or the error that it raised."""

    __slots__ = ("_error", "_function", "_item", "_result", "is_done")

    def __init__(self, function: Callable[[Any], Result], item: Any):
        self._function, self._item = function, item
        self._result: Any = None
        self._error: BaseException | None = None
        self.is_done = False

    def do(self) -> None:
        self._result = self._function(self._item)
        self.is_done = True

    def do_and_keep_error(self) -> None:
        """Call the function in another thread than the one that needs the result."""
        try:
            self._result = self._function(self._item)
        except BaseException as error:
            self._error = error
        finally:
            self.is_done = True

    def result(self) -> Result:
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # the error's traceback holds this frame, and the frame holds the task
        result: Result = self._result
        return result


class _Turn(NamedTuple):
    """What a pass returns in one turn: its next part of a sum or, at the end, its result."""

    value: Any
    finished: bool


def _take_turn(total: Any, in_context: tuple[Context, Exchange[Any]]) -> _Turn:
    context, passing = in_context
    try:
        return _Turn(context.run(passing.send, total), finished=False)
    except StopIteration as end:
        return _Turn(end.value, finished=True)
