"""Threads that work on the shards of a batch, and return their results in a fixed order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from skcnn._engine.process import numpy_settings
from skcnn.layers.base import Exchange, alone, total_of

__all__ = ["Workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """The threads of one call of fit or predict. They end with the call, so that no fork can lose them.

    Parameters
    ----------
    n_threads : int
        How many threads work at the same time, including the calling thread. With 1, no thread is started.
    """

    def __init__(self, n_threads: int):
        self.n_threads = n_threads
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Yield function(item) in the order of the items. The calls must not wait for each other.

        The calling thread works too, on items that no other thread has started.
        """
        if self.n_threads == 1 or len(items) == 1:
            return map(function, items)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.n_threads - 1, "skcnn")
        submit, quiet = self._executor.submit, _quietly(function)
        return _work_too(function, (_Task(item, submit(quiet, item)) for item in items), 4 * self.n_threads)

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


@dataclass(eq=False)
class _Task:
    """An item that was submitted to the workers, and its result if the calling thread has computed it instead."""

    item: Any
    future: Future[Any]
    own: list[Any] = field(default_factory=list)

    def is_done(self) -> bool:
        return bool(self.own) or self.future.done()

    def is_free(self) -> bool:
        """Return whether no thread has started on the item. If so, no worker will start on it any more."""
        return not self.own and self.future.cancel()

    def result(self) -> Any:
        return self.own[0] if self.own else self.future.result()


def _work_too(function: Callable[[Any], Result], tasks: Iterator[_Task], ahead: int) -> Iterator[Result]:
    """Yield the tasks' results in order. Instead of waiting, work on tasks that no worker has started.

    At most `ahead` tasks are submitted in advance, so that neither tasks nor results pile up.
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
        with numpy_settings():  # a new thread starts with NumPy's defaults, not with the settings of its caller
            return function(*args)

    return quiet
