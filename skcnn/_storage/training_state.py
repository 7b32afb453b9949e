"""The training state as JSON and arrays."""

from __future__ import annotations

from numbers import Real
from typing import Any

from skcnn._storage.encoding import Decoder, Encoder, Json
from skcnn._storage.networks import decode_arrays, encode_arrays, require_state_of
from skcnn._storage.optimizer_state import encode_optimizer_state
from skcnn._training.state import Row, TrainingState
from skcnn._trees import leaves
from skcnn.network import Network
from skcnn.optimizers import Optimizer

__all__ = ["checked_history", "decode_state", "encode_state"]

_COLUMNS = {"epoch", "loss", "val_loss", "val_score"}  # the ones that fitted attributes show
_REASONS = (None, "max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged")


def encode_state(encoder: Encoder, state: TrainingState) -> Json:
    """Return a training state as JSON."""
    stopping = state.early_stopping
    return {
        **encode_arrays(encoder, state.network),
        "optimizer state": encode_optimizer_state(encoder, state.optimizer_state),
        "early stopping": stopping
        and {
            "highest": encoder.encode(stopping.highest, "scoring"),
            "best_score": encoder.encode(stopping.best_score, "scoring"),
            "best_epoch": stopping.best_epoch,
            "stale": stopping.stale,
            "stopped_at": stopping.stopped_at,
            "best": stopping.best and encode_arrays(encoder, stopping.best, "best."),
        },
        "first_epoch": state.first_epoch,
        "history": encoder.encode(state.history, "history"),
        "stop_reason": state.stop_reason,
        "n_seen": state.n_seen,
        "penalty": encoder.encode(state.penalty, "penalty"),
        "divergence": state.divergence,
    }


def decode_state(decoder: Decoder, node: Json, state: TrainingState, optimizer: Optimizer) -> None:
    """Write the content of some JSON into the initial state of a training from scratch.

    Raises
    ------
    Exception
        Any, if the JSON was not made by `encode_state` for such a state. The state may then be partly changed.
    """
    network = _network_like(state.network, decoder, node)
    optimizer_state = decoder.decode(node["optimizer state"], "solver.state")
    require_state_of(optimizer, optimizer_state, [array for _, array in leaves(network.params)])
    history = checked_history(decoder.decode(node["history"], "history"))
    counts = {name: node[name] for name in ("first_epoch", "n_seen")}
    if node["stop_reason"] not in _REASONS or not all(type(n) is int and 0 <= n < 2**63 for n in counts.values()):
        raise ValueError("a count or the reason why training ended is invalid")
    if (stopping := state.early_stopping) is not None:
        saved = node["early stopping"]
        stopping.highest = decoder.decode(saved["highest"], "scoring")
        stopping.best_score = decoder.decode(saved["best_score"], "scoring")
        stopping.best_epoch = None if saved["best_epoch"] is None else int(saved["best_epoch"])
        stopping.stale = int(saved["stale"])
        stopping.stopped_at = None if saved["stopped_at"] is None else int(saved["stopped_at"])
        stopping.best = _network_like(state.network, decoder, saved["best"]) if saved["best"] else None
    state.network, state.optimizer_state, state.history = network, optimizer_state, history
    state.first_epoch, state.n_seen = counts["first_epoch"], counts["n_seen"]
    state.stop_reason, state.divergence = node["stop_reason"], str(node["divergence"])
    state.penalty = float(decoder.decode(node["penalty"], "penalty"))


def _network_like(network: Network, decoder: Decoder, node: Json) -> Network:
    return decode_arrays(decoder, node, network.layers, network.shapes, network.dtype)


def checked_history(history: Any) -> list[Row]:
    """Return a history. Raise ValueError if it is not one."""
    if not (isinstance(history, list) and all(map(_is_row, history))):
        raise ValueError("its history is invalid")
    rows: list[Row] = history
    return rows


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not row.keys() >= _COLUMNS:
        return False
    are_numbers = all(value is None or isinstance(value, Real) for value in row.values())
    return are_numbers and type(row["epoch"]) is int and row["loss"] is not None
