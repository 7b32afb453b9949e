"""The contract of a layer.

A layer is a frozen dataclass. It holds its configuration, but no arrays and no state. `out_shape` returns the shape of
the output, and `init` draws the parameters. `forward` returns the output and a cache, and `backward` uses the cache to
turn the gradient with respect to the output into the gradients with respect to the input and the parameters. Nothing is
stored on the layer, so several networks and several threads can use the same layer at the same time.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from inspect import isgeneratorfunction
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Pair, Value

Array = NDArray[Any]
Params = dict[str, Any]  # arrays by name, or further dicts for a layer that contains layers
Shape = tuple[int, ...]
Window = tuple[Pair, Pair]  # size and stride
Rng = np.random.Generator
Result = TypeVar("Result")
Exchange = Generator[Array, Array, Result]  # a pass that yields its part of a sum and receives the total
Forward = tuple[Array, Any]  # out, cache
Backward = tuple[Array | None, Any]  # d_x, the gradients with respect to the prepared parameters

_NOTHING: Any = MappingProxyType({})


class Context(NamedTuple):
    """Everything that a pass receives besides parameters and input. Read its fields by name: more may be added later.

    Attributes
    ----------
    train : bool
        Whether `backward` may follow.
    rng : numpy.random.Generator or None
        The random stream for these samples, for layers with ``draws = True``. None in prediction, or if no layer draws.
    state : mapping
        The layer's state from earlier batches. Empty for most layers.
    need_d_x : bool
        False if no layer before this one has parameters. Then `backward` may return None for `d_x`.
    weight : ndarray (n,) or None
        The weights of these samples. None: all weights are 1.
    n_samples : int or None
        The number of samples in the whole batch. The input may be only a part of it.
    """

    train: bool = False
    rng: Rng | None = None
    state: Params = _NOTHING
    need_d_x: bool = True
    weight: Array | None = None
    n_samples: int | None = None


PREDICT = Context()
TRAIN = Context(train=True)


@dataclass(frozen=True, repr=False)
class Layer(Value):
    """Base class of all layers. It is the identity, unless a subclass overrides its methods.

    Attributes
    ----------
    draws : bool
        Whether a training pass draws from ``context.rng``.
    depends_on_batch : bool
        Whether the output for a sample depends on the other samples of its batch. Batches are split into shards, which
        may run at the same time. So `forward` and `backward` of such a layer are generators: they yield their part of a
        sum over the batch and receive the total, as in ``total = yield x.sum(axis=0)``.
    """

    draws: ClassVar[bool] = False
    depends_on_batch: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (cls.forward is Layer.forward) != (cls.backward is Layer.backward):
            # the missing method would be the identity, and the shape checks would not find this
            raise TypeError(f"{cls.__name__} must define forward and backward, or neither")
        if cls.depends_on_batch is False and (isgeneratorfunction(cls.forward) or isgeneratorfunction(cls.backward)):
            raise TypeError(f"{cls.__name__} yields in forward or backward, so it must set depends_on_batch = True")

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of one output, given the shape of one input.

        Parameters
        ----------
        in_shape : tuple of int
            Without the batch axis: (h, w, c) for a feature map, (p,) for a row.

        Raises
        ------
        ValueError
            If the layer does not fit `in_shape`. The network puts the layer's index and name before the message.
        """
        return in_shape

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        """Draw the parameters.

        Parameters
        ----------
        in_shape : tuple of int
            A shape that `out_shape` accepts.
        rng : numpy.random.Generator
        dtype : dtype
            The dtype of the parameters and of all results.

        Returns
        -------
        params : dict of ndarray, or of further dicts
        """
        return {}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        """Return the layer's state before the first batch. Most layers have no state."""
        return {}

    def next_state(self, state: Params, cache: Any) -> Params:
        """Return the layer's state after a training batch, given the cache of one shard."""
        return state

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        """Convert the parameters to the form that the passes use, once per batch rather than once per shard.

        `forward`, `backward` and `gradients` receive the prepared parameters instead of `params`. By default, they are
        the same object.
        """
        return params

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Any:
        """Compute the output.

        Parameters
        ----------
        params : object
            The prepared parameters: by default, the parameters themselves. Do not write to them.
        x : ndarray of shape (n,) + in_shape
            C-contiguous. Do not write to it.
        context : Context

        Returns
        -------
        out : ndarray of shape (n,) + out_shape
        cache : object
            What `backward` needs. None in prediction.
        """
        return x, None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Any:
        """Turn the gradient with respect to the output into the gradients with respect to the input and the parameters.

        Parameters
        ----------
        params : object
            The prepared parameters, as in `forward`.
        cache : object
            The cache that `forward` returned. It is used only once.
        d_out : ndarray of shape (n,) + out_shape
            Do not write to it.
        context : Context

        Returns
        -------
        d_x : ndarray of shape (n,) + in_shape, or None if ``context.need_d_x`` is False
        grads : dict
            The gradients, summed over the samples, with the same names and shapes as `params`. They must be new arrays,
            because training writes to them. A layer that defines `prepare` returns the gradients with respect to the
            prepared parameters: an array, or dicts, lists or tuples of arrays.
        """
        return d_out, {}

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        """Return the gradients with respect to the parameters.

        `d_prepared` is the sum of the gradients that `backward` returned for all shards.
        """
        grads: Params = d_prepared
        return grads

    def window(self, in_shape: Shape) -> Window | None:
        """Return the size and stride of the window that one output element sees, or None if it sees the whole input."""
        return (1, 1), (1, 1)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        """Return the number of multiply-adds in the matrix products of a forward pass for one sample.

        From this, the network estimates the work, and so chooses how many samples a shard has.
        """
        return 0

    def apply(self, params: Params, x: Array, context: Context = PREDICT) -> Array:
        """Return the layer's output for x (n,) + in_shape. It lets you use a layer without a network.

        Examples
        --------
        >>> import numpy as np
        >>> from skcnn.layers import ReLU
        >>> ReLU().apply({}, np.array([[-1.0, 0.0, 2.0]]))
        array([[0., 0., 2.]])
        """
        context = self._of_whole_batch(x, context)
        prepared = self.prepare(params, x.shape[1:], context)
        out: Array = self._run(self.forward(prepared, x, context))[0]
        return out

    def gradient(self, params: Params, x: Array, d_out: Array, context: Context = TRAIN) -> tuple[Array | None, Params]:
        """Return the gradients of ``sum(apply(params, x, context) * d_out)`` with respect to x and the parameters.

        Examples
        --------
        >>> import numpy as np
        >>> from skcnn.layers import ReLU
        >>> ReLU().gradient({}, np.array([[-1.0, 0.0, 2.0]]), np.ones((1, 3)))
        (array([[0., 0., 1.]]), {})
        """
        context = self._of_whole_batch(x, context)
        prepared = self.prepare(params, x.shape[1:], context)
        _, cache = self._run(self.forward(prepared, x, context))
        d_x, d_prepared = self._run(self.backward(prepared, cache, d_out, context))
        return d_x, self.gradients(prepared, d_prepared)

    def _of_whole_batch(self, x: Array, context: Context) -> Context:
        state = context.state or self.initial_state(x.shape[1:], x.dtype)
        return context._replace(state=state, n_samples=len(x))

    def _run(self, result: Any) -> Any:
        return alone(result) if self.depends_on_batch else result


def alone(passes: Exchange[Result]) -> Result:
    """Run a pass for a whole batch in one shard: each part that it yields is already the total."""
    total: Any = None
    try:
        while True:
            total = total_of([passes.send(total)], passes)
    except StopIteration as end:
        result: Result = end.value
        return result


def total_of(parts: Sequence[Any], passing: Exchange[Any]) -> Array:
    """Return the sum of what the shards yielded, in their order. All are sent this array, so it is read-only.

    If there is none, the error is raised where one of the passes has yielded, so that it names the layer.
    """
    try:
        first, *others = (np.asarray(part) for part in parts)
        if first.dtype.kind not in "biufc" or any(part.shape != first.shape for part in others):
            shapes = ", ".join(str(part.shape) for part in (first, *others))
            raise TypeError(f"yield arrays of numbers, of one shape for all shards, got {first.dtype} of {shapes}")
        total = np.asarray(sum(others, start=first)).view()
        total.flags.writeable = False
    except Exception as error:
        passing.throw(error)
        raise
    return total


def require_map(in_shape: Shape) -> None:
    """Raise ValueError unless `in_shape` is the shape of a feature map (h, w, c)."""
    if len(in_shape) != 3:
        raise ValueError(
            f"needs feature maps (h, w, c), got rows of shape {in_shape}; put it before Flatten or a global pool"
        )
