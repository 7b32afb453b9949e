"""Saving classifiers without code.

`save` writes a file that contains names, numbers and arrays, but no code, so you can load files that you do not trust.
`joblib.dump` and `pickle` can save classifiers too. They also keep your own functions and layers, and classifiers in
pipelines, but loading their files can run any code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skcnn._estimator.file_kind import FileKind
from skcnn._estimator.saved_model import decode_model, encode_model, missing_for_prediction
from skcnn._estimator.sklearn_private import validate_parameter_constraints
from skcnn._storage.encoding import Decoder, Encoder
from skcnn._storage.files import Lock, resolved
from skcnn._storage.missing import Missing
from skcnn.classifier import NumpyCNNClassifier

__all__ = ["load", "save"]

_FILE = FileKind("model", "path", "a model saved by skcnn.save", "save it again")
_SECONDS_FOR_OTHERS = 10.0  # another process that writes the same file needs less


def save(clf: NumpyCNNClassifier, path: str | os.PathLike[str], *, include_optimizer: bool = False) -> None:
    """Save a fitted classifier to a file without code.

    The file contains everything that prediction needs, the parameters, and `history_`, but no training data. It is
    written completely or not at all, even if the process is killed. If `path` is a symbolic link, its target is
    replaced.

    Your own layers and other dataclasses are saved by name, with their fields, and your own functions only by name. So
    you must pass them to `load`. Callbacks and metadata requests are not saved.

    Parameters
    ----------
    clf : NumpyCNNClassifier
        A fitted classifier.
    path : str or path-like
        Any name; no suffix is added. `numpy.load` can also open the file.
    include_optimizer : bool, default=False
        Whether to save the state of the optimizer too, so that training continues as if the classifier had not been
        saved. A classifier has this state after `partial_fit`, and after `fit` with ``warm_start=True``. The file then
        becomes two or three times as large.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    TypeError
        If `clf` is not a `NumpyCNNClassifier`, or if a parameter or the labels cannot be saved without code.
    OSError
        If the file cannot be written. An existing file is not changed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import skcnn
    >>> X, y = np.random.default_rng(0).random((20, 6, 6)), np.arange(20) % 2
    >>> clf = skcnn.NumpyCNNClassifier(n_kernels=2, max_iter=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skcnn.save(clf, f"{folder}/model.skcnn")
    ...     same = skcnn.load(f"{folder}/model.skcnn")
    >>> np.array_equal(same.predict_proba(X), clf.predict_proba(X))
    True
    """
    if type(clf) is not NumpyCNNClassifier:
        raise TypeError(
            f"clf must be a NumpyCNNClassifier, got {type(clf).__name__}; save the NumpyCNNClassifier in it, such as "
            "pipeline[-1] or search.best_estimator_, or use joblib.dump"
        )
    check_is_fitted(clf)
    whole_path = resolved(path, "path")
    encoder = Encoder("use joblib.dump instead")
    content = {
        "parameters": {name: encoder.encode(value, name) for name, value in clf.get_params(deep=False).items()},
        "model": encode_model(encoder, clf._fitted, include_optimizer=include_optimizer),
    }
    Lock(whole_path, "path", _SECONDS_FOR_OTHERS).hold(partial(_FILE.write, whole_path, encoder, content))


def load(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> NumpyCNNClassifier:
    """Load a classifier that was saved by `save`. The file contains no code, so none is run.

    A file can only make objects of the package's own classes and of the dataclasses in `custom_objects`.

    Parameters
    ----------
    path : str or path-like
    custom_objects : dict, default=None
        Your own layers, functions and other objects that the classifier uses, by name. For layers and other
        dataclasses, pass the class; for anything else, the object itself, as in ``{"Scaled": Scaled, "noise": noise}``.
        Your own layers and the objects in their fields are required. Without the other objects, the classifier can
        predict, but not train.

    Returns
    -------
    clf : NumpyCNNClassifier
        Its predictions, parameters and `history_` equal those of the saved classifier, bit for bit.

    Raises
    ------
    ValueError
        If the file was not written by `save`, is damaged, or has a newer format than this version of skcnn can read.
        Also if `custom_objects` lacks a layer, or an object in its fields, that prediction needs.
    OSError
        If the file cannot be read.

    Warns
    -----
    InconsistentVersionWarning
        If the file was saved by another version of skcnn.
    """
    custom_objects = {} if custom_objects is None else custom_objects
    if not isinstance(custom_objects, Mapping):
        raise TypeError(f"custom_objects must be a dict of names and objects, got {custom_objects!r}")
    path = resolved(path, "path")
    header, arrays = _FILE.read(path)
    with _FILE.reading(path):
        missing = missing_for_prediction(header["model"], custom_objects)
    if missing:
        pass_them = ", ".join(f"{name!r}: ..." for name in missing)
        raise ValueError(
            f"path={path!r}: the model contains your own layers, and prediction needs them and the objects in their "
            f"fields; pass custom_objects={{{pass_them}}}"
        )
    decoder = Decoder(arrays, custom_objects)
    with _FILE.reading(path):
        parameters = {name: decoder.decode(value, name) for name, value in header["parameters"].items()}
        clf = NumpyCNNClassifier(**parameters)
        known = {name: value for name, value in parameters.items() if not isinstance(value, Missing)}
        validate_parameter_constraints(clf._parameter_constraints, known, caller_name=type(clf).__name__)
        clf._hand_over(decode_model(decoder, header["model"]))
    return clf
