"""Steps of optimizers with compiled kernels, for ``backend="numba"``. Importing this module imports numba."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skcnn._engine.workers import Workers
from skcnn._kernels.compiled import optimizers as kernels
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, Optimizer, RMSprop, State

__all__ = ["with_compiled_steps"]

Array = NDArray[Any]
_Part = list[tuple[int, tuple[Any, ...]]]
DTYPES = np.dtype(np.float32), np.dtype(np.float64)  # in the byte order of the machine
BYTES_OF_PART = 2**21  # at least: waking a thread for less takes longer than the thread saves


def with_compiled_steps(optimizer: Optimizer, workers: Workers) -> Optimizer:
    """Return an optimizer that takes the same steps, bit for bit, but if possible in one pass and on all threads."""
    # the types must be exactly these, because a subclass may compute something else
    if type(optimizer) is ClipNorm:
        return replace(optimizer, optimizer=with_compiled_steps(optimizer.optimizer, workers))
    return CompiledOptimizer(optimizer, workers) if type(optimizer) in _UPDATES else optimizer


class _Update(NamedTuple):
    """What one step computes.

    Attributes
    ----------
    kernel : callable
        See `skcnn._kernels.compiled.optimizers`.
    names : tuple of str
        The lists of arrays in the optimizer's state that the kernel updates.
    numbers : tuple
        The last arguments of the kernel.
    others : dict
        The new values of everything else in the state.
    """

    kernel: Any
    names: tuple[str, ...]
    numbers: tuple[float, ...]
    others: State


def _sgd(optimizer: SGD, state: State, learning_rate: float) -> _Update:
    if not optimizer.momentum:
        return _Update(kernels.sgd, (), (learning_rate,), {})
    numbers = learning_rate, optimizer.momentum, bool(optimizer.nesterov)
    return _Update(kernels.momentum_sgd, ("velocities",), numbers, {})


def _adam(optimizer: Adam, state: State, learning_rate: float) -> _Update:
    t, beta_1, beta_2 = state["n_steps"] + 1, float(optimizer.beta_1), float(optimizer.beta_2)
    rate, correction = learning_rate / (1 - beta_1**t), 1 / sqrt(1 - beta_2**t)
    numbers = rate, correction, optimizer.epsilon, beta_1, 1 - beta_1, beta_2, 1 - beta_2
    return _Update(kernels.adam, ("means", "squares"), numbers, {"n_steps": t})


def _rmsprop(optimizer: RMSprop, state: State, learning_rate: float) -> _Update:
    rho = float(optimizer.rho)
    numbers = learning_rate, optimizer.epsilon, rho, 1 - rho
    if not optimizer.momentum:
        return _Update(kernels.rmsprop, ("squares",), numbers, {})
    return _Update(kernels.momentum_rmsprop, ("squares", "velocities"), (*numbers, optimizer.momentum), {})


_UPDATES: dict[type, Callable[[Any, State, float], _Update]] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    RMSprop: _rmsprop,
}


class CompiledOptimizer:
    """An optimizer whose steps are computed by compiled kernels, unless there are arrays that these cannot update."""

    def __init__(self, optimizer: Optimizer, workers: Workers):
        self._optimizer, self._workers = optimizer, workers
        self._updated = _Updated([], 1)

    def init(self, weights: list[Array]) -> State:
        return self._optimizer.init(weights)

    def step(self, weights: list[Array], grads: list[Array], state: State, learning_rate: float) -> None:
        kernel, names, numbers, others = _UPDATES[type(self._optimizer)](self._optimizer, state, float(learning_rate))
        lists = [weights, *(state[name] for name in names)]
        if not self._updated.are(lists):
            self._updated = _Updated(lists, self._workers.n_threads)
        flat = self._updated.flattened(grads)
        if flat is None:
            self._optimizer.step(weights, grads, state, learning_rate)
            return

        def compute(part: _Part) -> None:
            for index, arrays_and_range in part:
                kernel(flat[index], *arrays_and_range, *numbers)

        state.update(others)
        for _ in self._workers.map(compute, self._updated.parts):
            pass


class _Updated:
    """The arrays that the steps update: the weights, and lists in the optimizer's state.

    Attributes
    ----------
    parts : list of list
        Parts of the weights with nearly the same number of elements, one for each thread. A part is a list of tuples:
        the index of an array of weights, and what a kernel receives between its gradient and the numbers.
    """

    def __init__(self, lists: list[list[Any]], n_threads: int):
        self._lists = lists
        of_weights = list(zip(*lists, strict=True))
        self._fit = all(map(_are_plain, of_weights))
        self._like = [(arrays[0].dtype, arrays[0].size) for arrays in of_weights]
        n_bytes = sum(arrays[0].nbytes * (1 + len(arrays)) for arrays in of_weights)
        n_parts = max(1, min(n_threads, n_bytes // BYTES_OF_PART))
        cut = _cut([size for _, size in self._like], n_parts) if self._fit else []
        self.parts = [
            [(i, (*(array.reshape(-1) for array in of_weights[i]), start, stop)) for i, start, stop in part]
            for part in cut
        ]

    def are(self, lists: list[list[Any]]) -> bool:
        """Return whether these are the lists. Almost always, they are those of the step before."""
        return [*map(id, lists)] == [*map(id, self._lists)]

    def flattened(self, grads: list[Array]) -> list[Array] | None:
        """Return the gradients as flat arrays, or None if the kernels cannot update the weights by them."""
        flat = [array.reshape(-1) for array in grads]
        fit = [type(g) is np.ndarray and (g.dtype, g.size) == like for g, like in zip(flat, self._like, strict=True)]
        return flat if self._fit and all(fit) else None


def _are_plain(arrays: tuple[Any, ...]) -> bool:
    """Return whether arrays have one shape and a dtype of the kernels, so that no kernel is compiled anew for them."""
    w = arrays[0]
    return w.dtype in DTYPES and all(
        type(array) is np.ndarray and array.flags.carray and array.dtype == w.dtype and array.shape == w.shape
        for array in arrays
    )


def _cut(sizes: list[int], n_parts: int) -> list[list[tuple[int, int, int]]]:
    """Cut arrays of these sizes into parts with equally many elements: lists of (index of the array, start, stop)."""
    ends = list(accumulate(sizes, initial=0))
    limits = [ends[-1] * part // n_parts for part in range(n_parts + 1)]
    return [
        [
            (index, max(first, low) - first, min(last, high) - first)
            for index, (first, last) in enumerate(pairwise(ends))
            if max(first, low) < min(last, high)
        ]
        for low, high in pairwise(limits)
    ]
