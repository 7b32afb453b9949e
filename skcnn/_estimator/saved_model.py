"""A fitted classifier as JSON and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import prod
from numbers import Real
from typing import Any

import numpy as np

from skcnn._estimator.images import ImageFormat
from skcnn._estimator.magnitudes import Magnitudes
from skcnn._estimator.model import FittedModel
from skcnn._storage.encoding import Decoder, Encoder, Json, names_that_layers_need
from skcnn._storage.networks import decode_network, encode_network, require_state_of
from skcnn._storage.optimizer_state import encode_optimizer_state
from skcnn._storage.training_state import checked_history
from skcnn._trees import leaves
from skcnn.network import Network
from skcnn.optimizers import Optimizer, State

__all__ = ["decode_model", "encode_model", "missing_for_prediction"]

# the fields of FittedModel that are plain values, and their types
_PLAIN: dict[str, tuple[type, ...]] = {
    "seed": (int,),
    "n_seen": (int,),
    "mean_weight": (Real, type(None)),
    "stop_reason": (str, type(None)),
    "best_epoch": (int, type(None)),
    "best_score": (Real, type(None)),
}


def encode_model(encoder: Encoder, model: FittedModel, *, include_optimizer: bool) -> Json:
    """Return a model as JSON."""
    kept = model.optimizer if include_optimizer else None
    return {
        "network": encode_network(encoder, model.network),
        "features": encoder.encode(model.features, "features"),
        "classes": encoder.encode(model.classes, "classes_"),
        "image_format": _encoded_format(encoder, model.image_format),
        "magnitudes": {name: encoder.encode(value, name) for name, value in vars(model.magnitudes).items()},
        "built_from": {name: encoder.encode(value, name) for name, value in model.built_from.items()},
        "history": encoder.encode(list(model.history), "history_"),
        "optimizer": kept and [encoder.encode(kept[0], "solver"), encode_optimizer_state(encoder, kept[1])],
        **{name: encoder.encode(getattr(model, name), name) for name in _PLAIN},
    }


def _encoded_format(encoder: Encoder, image_format: ImageFormat) -> Json:
    names = [field.name for field in fields(image_format)]
    values = {name: getattr(image_format, name) for name in names} | {"dtype": image_format.dtype.name}
    return {name: encoder.encode(value, f"scaling.{name}") for name, value in values.items()}


def missing_for_prediction(node: Json, custom_objects: Mapping[str, Any]) -> list[str]:
    """Return the names of the user's own layers and of the objects in them that the network needs, but lacks."""
    return sorted(set(names_that_layers_need(node["network"]["layers"])) - set(custom_objects))


def decode_model(decoder: Decoder, node: Json) -> FittedModel:
    """Return the model of some JSON.

    Raises
    ------
    Exception
        Any, if the JSON was not made by `encode_model`.
    """
    network = decode_network(decoder, node["network"])
    model = FittedModel(
        features=decoder.decode(node["features"], "features"),
        classes=decoder.decode(node["classes"], "classes_"),
        image_format=_decoded_format(decoder, node["image_format"]),
        magnitudes=_decoded_magnitudes(decoder, node["magnitudes"]),
        built_from={name: decoder.decode(value, name) for name, value in node["built_from"].items()},
        network=network,
        history=tuple(checked_history(decoder.decode(node["history"], "history_"))),
        optimizer=node["optimizer"] and _decoded_optimizer(decoder, node["optimizer"], network),
        **{name: _decoded_plain(decoder, node, name) for name in _PLAIN},
    )
    _require_consistent(model)
    return model


def _decoded_plain(decoder: Decoder, node: Json, name: str) -> Any:
    value = decoder.decode(node[name], name)
    fits = isinstance(value, _PLAIN[name]) and not isinstance(value, bool)
    if not fits or not (value is None or name in ("stop_reason", "best_score") or 0 <= value < 2**63):
        raise ValueError(f"{name} is invalid: {value!r}")
    return value


def _decoded_optimizer(decoder: Decoder, node: Json, network: Network) -> tuple[Optimizer, State]:
    optimizer, state = decoder.decode(node[0], "solver"), decoder.decode(node[1], "solver.state")
    require_state_of(optimizer, state, [array for _, array in leaves(network.params)])
    return optimizer, state


def _decoded_format(decoder: Decoder, node: Json) -> ImageFormat:
    values = {name: decoder.decode(value, f"scaling.{name}") for name, value in node.items()}
    image_format = ImageFormat(**values | {"dtype": np.dtype(str(values["dtype"]))})
    channels = image_format.shape[2:]
    for name in ("center", "width"):
        value = np.asarray(values[name])
        fits = value.dtype.kind in "iuf" and value.shape in ((), channels) and bool(np.isfinite(value).all())
        if not fits or (name == "width" and not np.all(value > 0)):
            raise ValueError(f"the {name} of the scaling is invalid: {values[name]!r}")
    if image_format.data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"data_format is invalid: {image_format.data_format!r}")
    return image_format


def _decoded_magnitudes(decoder: Decoder, node: Json) -> Magnitudes:
    found = Magnitudes(**{name: decoder.decode(value, name) for name, value in node.items()})
    numbers = (found.smallest, found.largest, found.log_sum)
    if not all(isinstance(number, float) and number == number for number in numbers) or type(found.count) is not int:
        raise ValueError(f"the magnitudes of the images are invalid: {found}")
    return found


def _require_consistent(model: FittedModel) -> None:
    """Raise ValueError if the images, the features or the classes do not fit the network."""
    network, shape, features = model.network, model.image_format.shape, dict(model.features)
    if (network.shapes[0], network.dtype) != (shape, model.image_format.dtype):
        raise ValueError(
            f"the network takes {network.dtype} images of shape {network.shapes[0]}, but they are "
            f"{model.image_format.dtype} of shape {shape}"
        )
    classes = model.classes
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or not len(classes):
        raise ValueError("classes_ is not an array of labels")
    if network.shapes[-1] != (1 if len(classes) == 2 else len(classes),):
        raise ValueError(f"the network has outputs of shape {network.shapes[-1]} for {len(classes)} classes")
    names = features.pop("feature_names_in_", None)
    if features != {"n_features_in_": prod(shape)} or (names is not None and np.shape(names) != (prod(shape),)):
        raise ValueError(f"the features do not fit images of shape {shape}")
