"""The contract of a layer.

A layer is a frozen dataclass: configuration, no arrays, no state. `out_shape` says what it makes of a shape, `init`
draws its parameters, `forward` computes its output and what the way back needs to know, and `backward` turns the
gradient of the output into those of the input and the parameters. Nothing stays on the layer, so the same one may serve
many networks, and many threads at once.
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
Exchange = Generator[Array, Array, Result]  # a pass that yields its part of a sum and is sent the total
Forward = tuple[Array, Any]  # out, cache
Backward = tuple[Array | None, Any]  # d_x, the gradients by what `prepare` returned

_NOTHING: Any = MappingProxyType({})


class Context(NamedTuple):
    """What a pass is told besides parameters and input. Read its fields by name: there may be more of them one day.

    Attributes
    ----------
    train : bool
        Whether `backward` may follow.
    rng : numpy.random.Generator or None
        The random stream of these samples, for layers that say `draws`; None outside training, or where none draws.
    state : mapping
        What the layer remembers from earlier batches; empty for most.
    need_d_x : bool
        False where nothing before this layer has parameters: then `backward` may return None for `d_x`.
    weight : ndarray (n,) or None
        Weights of these samples; None: all 1.
    n_samples : int or None
        Samples of the whole batch, of which these may be a part.
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
    """Base of all layers. As it stands, it is the identity.

    Attributes
    ----------
    draws : bool
        Whether a training pass draws from ``context.rng``.
    depends_on_batch : bool
        Whether the output for a sample depends on the other samples of its batch. Batches are split into shards, which
        may run at the same time. So `forward` and `backward` of such a layer are generators: they yield their part of a
        sum over the batch and are sent the total, as in ``total = yield x.sum(axis=0)``.
    """

    draws: ClassVar[bool] = False
    depends_on_batch: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (cls.forward is Layer.forward) != (cls.backward is Layer.backward):
            # the other half would be the identity, and no shape would tell
            raise TypeError(f"{cls.__name__} must define forward and backward, or neither")
        if cls.depends_on_batch is False and (isgeneratorfunction(cls.forward) or isgeneratorfunction(cls.backward)):
            raise TypeError(f"{cls.__name__} yields in forward or backward, so it must set depends_on_batch = True")

    def out_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of one output, given that of one input.

        Parameters
        ----------
        in_shape : tuple of int
            Without the batch axis: (h, w, c) for a feature map, (p,) for a row.

        Raises
        ------
        ValueError
            If the layer does not fit `in_shape`. The network puts the layer's index and name before the text.
        """
        return in_shape

    def init(self, in_shape: Shape, rng: Rng, dtype: Any) -> Params:
        """Draw the parameters.

        Parameters
        ----------
        in_shape : tuple of int
            One that `out_shape` accepts.
        rng : numpy.random.Generator
        dtype : dtype
            Of the parameters, and of all that the layer computes.

        Returns
        -------
        params : dict of ndarray, or of such dicts
        """
        return {}

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        """Return what the layer remembers before the first batch. For most layers that is nothing."""
        return {}

    def next_state(self, state: Params, cache: Any) -> Params:
        """Return what the layer remembers after a training batch, given the cache of one of its shards."""
        return state

    def prepare(self, params: Params, in_shape: Shape, context: Context) -> Any:
        """Bring the parameters into the form in which the passes use them: once a batch rather than once a shard.

        `forward`, `backward` and `gradients` are given what this returns in place of `params`. Most layers use their
        parameters as they are.
        """
        return params

    def forward(self, params: Any, x: Array, context: Context = PREDICT) -> Any:
        """Compute the output.

        Parameters
        ----------
        params : object
            What `prepare` returned: by default the parameters. Not to be written to.
        x : ndarray of shape (n,) + in_shape
            C-contiguous. Not to be written to.
        context : Context

        Returns
        -------
        out : ndarray of shape (n,) + out_shape
        cache : object
            What `backward` needs; None unless training.
        """
        return x, None

    def backward(self, params: Any, cache: Any, d_out: Array, context: Context = TRAIN) -> Any:
        """Turn the gradient of the loss by the output into those by the input and the parameters.

        Parameters
        ----------
        params : object
            As given to `forward`.
        cache : object
            As returned by it; used up.
        d_out : ndarray of shape (n,) + out_shape
            Not to be written to.
        context : Context

        Returns
        -------
        d_x : ndarray of shape (n,) + in_shape, or None if ``context.need_d_x`` is False
        grads : dict
            The same names and shapes as `params`, summed over the samples, in arrays of their own, since training
            writes to them. A layer with a `prepare` of its own returns the gradients by what that returned, as an
            array, or as dicts, lists or tuples of arrays.
        """
        return d_out, {}

    def gradients(self, params: Any, d_prepared: Any) -> Params:
        """Return the gradients by the parameters, given the sums over all shards of those that `backward` returned."""
        grads: Params = d_prepared
        return grads

    def window(self, in_shape: Shape) -> Window | None:
        """Return size and stride of the window that one output sees, or None if it sees the whole input."""
        return (1, 1), (1, 1)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        """Return the multiply-adds that the matrix products of one forward pass of one input take.

        From these the network estimates its work, and so how many samples make a shard.
        """
        return 0

    def apply(self, params: Params, x: Array, context: Context = PREDICT) -> Array:
        """Return the layer's output for x (n,) + in_shape. For use by hand; networks prepare once for many calls.

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
        """Return the gradients of ``sum(apply(params, x, context) * d_out)`` by x and by the parameters.

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
    """Run a pass whose samples are the whole batch: each of its parts is the total."""
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
    """Raise ValueError unless `in_shape` is that of a feature map (h, w, c)."""
    if len(in_shape) != 3:
        raise ValueError(
            f"needs feature maps (h, w, c), got rows of shape {in_shape}; place it before Flatten or a global pool"
        )
