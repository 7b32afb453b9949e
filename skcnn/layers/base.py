"""The contract of a layer.

A layer is a frozen dataclass: configuration, no arrays, no state. `build` draws its parameters, `forward` computes its
output and what the way back needs to know, `backward` turns the gradient of the output into those of the input and the
parameters. Nothing stays on the layer, so the same one may serve many networks, and many threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from skcnn._values import Pair, Value

Array = NDArray[Any]
Params = dict[str, Any]  # arrays by name, or further dicts for a layer that contains layers
Shape = tuple[int, ...]
Window = tuple[Pair, Pair]  # size and stride
Rng = np.random.Generator
Forward = tuple[Array, Any]  # out, cache
Backward = tuple[Array | None, Params]  # d_x, grads


@dataclass(frozen=True, repr=False)
class Layer(Value):
    """Base of all layers; as it stands, the identity.

    Attributes
    ----------
    is_random : bool
        Whether a training forward draws from `rng`. Where no layer does, `rng` is None.
    couples_rows : bool
        Whether the rows of a batch influence each other in training. Batches are split into shards that run at the same
        time; such a layer is given two more arguments, ``forward(..., state, shard)`` and ``backward(..., shard)``, in
        which the shards meet (see `Shard`), and its training cache is a pair ``(new_state, cache)``.
        What it remembers between batches starts as `initial_state` and lives beside the parameters: training commits
        the new state after the step, prediction is given the last one and `shard` None.
    """

    is_random: ClassVar[bool] = False
    couples_rows: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if (cls.forward is Layer.forward) != (cls.backward is Layer.backward):
            # the identity that is inherited would be the wrong half, and nobody would notice
            raise TypeError(f"{cls.__name__} must define forward and backward, or neither")

    def build(self, in_shape: Shape, rng: Rng, dtype: Any) -> tuple[Params, Shape]:
        """Draw the parameters.

        Parameters
        ----------
        in_shape : tuple of int
            One input without the batch axis: (h, w, c) for a map, (p,) for a row.
        rng : numpy.random.Generator
        dtype : dtype
            Of the parameters, and of all that the layer computes.

        Returns
        -------
        params : dict of ndarray, or of such dicts
        out_shape : tuple of int

        Raises
        ------
        ValueError
            If the layer does not fit `in_shape`. The network puts the layer's index and name before the text.
        """
        return {}, in_shape

    def initial_state(self, in_shape: Shape, dtype: Any) -> Params:
        """Return what the layer remembers before the first batch: nothing, for most."""
        return {}

    def forward(self, params: Params, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        """Compute the output.

        Parameters
        ----------
        params : dict
            As `build` returned them, or as training has changed them since. Not to be written to.
        x : ndarray of shape (n,) + in_shape
            C-contiguous. Not to be written to.
        train : bool
            Whether `backward` may follow.
        rng : numpy.random.Generator or None
            The shard's own stream, for layers that say `is_random`.

        Returns
        -------
        out : ndarray of shape (n,) + out_shape
        cache : object
            What `backward` needs; None unless training.
        """
        return x, None

    def backward(self, params: Params, cache: Any, d_out: Array, *, need_d_x: bool = True) -> Backward:
        """Turn the gradient of the loss by the output into those by the input and the parameters.

        Parameters
        ----------
        params : dict
            As given to `forward`.
        cache : object
            As returned by it.
        d_out : ndarray of shape (n,) + out_shape
            Not to be written to.
        need_d_x : bool
            False where nothing before this layer has parameters: then None may be returned for `d_x`.

        Returns
        -------
        d_x : ndarray of shape (n,) + in_shape, or None
        grads : dict
            The same names and shapes as `params`, summed over the rows. Arrays of their own: training writes to them.
        """
        return d_out, {}

    def place(self, in_shape: Shape) -> Placed:
        """Return what the network computes in place of this layer, where the input's shape is known: the same, faster.

        For layers that can do part of their work once a step rather than once for every shard, in `prepare`.
        """
        return self

    def prepare(self, params: Params, need_d_x: bool = False) -> Any:
        """See `Placed`."""
        return params

    def gradients(self, d_prepared: Any) -> Params:
        """See `Placed`."""
        grads: Params = d_prepared
        return grads

    def window(self, in_shape: Shape) -> Window | None:
        """Return size and stride of the window one output sees, or None if it sees the whole input."""
        return (1, 1), (1, 1)

    def multiply_adds(self, in_shape: Shape, out_shape: Shape) -> int:
        """Return the multiply-adds of a forward pass of one input: matrix products only.

        From these the network estimates its work, and so how many images make a shard.
        """
        return 0


class Placed(Protocol):
    """A layer in its place in a network: the passes, and what is done once a step before and after them.

    A layer is one itself, for which there is nothing to do before and after. Where the layer couples rows, the passes
    take `state` and `shard` as the layer's do.
    """

    def prepare(self, params: Params, need_d_x: bool = False) -> Any:
        """Bring the parameters into the form in which the passes need them; `need_d_x` as in `backward`."""

    def forward(self, params: Any, x: Array, *, train: bool = False, rng: Rng | None = None) -> Forward:
        """Compute the layer's output, with parameters as `prepare` made them."""

    def backward(self, params: Any, cache: Any, d_out: Array, *, need_d_x: bool = True) -> tuple[Array | None, Any]:
        """Return the gradients by the input and by the prepared parameters, the latter as a tree of arrays.

        Those of the shards of a batch are added up.
        """

    def gradients(self, d_prepared: Any) -> Params:
        """Return the gradients by the parameters, given those by the prepared ones."""


def require_map(in_shape: Shape) -> None:
    """Raise ValueError unless `in_shape` is that of a map (h, w, c)."""
    if len(in_shape) != 3:
        raise ValueError(
            f"needs maps (h, w, c), got rows of shape {in_shape}; place it before Flatten or a global pool"
        )
