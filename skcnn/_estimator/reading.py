"""Reading: what an estimator makes of X, y and weights, and the untrained network that follows from them."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from skcnn._estimator.architecture import ARCHITECTURE, build_classifier, layers_from
from skcnn._estimator.images import Images, flatten, image_format_for, numeric_dtype, require_same_shape, stack_shape
from skcnn._estimator.targets import check_labels, encode, row_weights
from skcnn._training.config import Samples
from skcnn._training.randomness import stream

__all__ = ["ReadingMixin"]


class ReadingMixin:
    """Reads the input of `NumpyCNNClassifier`, and sets the fitted attributes that depend on it."""

    def _rows(self, X, y="no_validation", *, reset):
        """Return X with one validated row an image (and y, where given), and see to the images' shape."""
        if not reset:
            require_same_shape(stack_shape(X), self.image_shape_, self._format_.data_format)
        flat = flatten(X)
        with np.errstate(all="ignore"):  # sums of huge values of both signs are no error yet
            return validate_data(self, flat, y, dtype=numeric_dtype(flat), reset=reset)

    def _samples(self, X, y, sample_weight):
        """Return the validated samples and sample_weight; in a first fit, set all that depends on them."""
        first = not self._is_fitted()
        check_labels(y)
        rows_of_X, y = self._rows(X, y, reset=first)
        if not hasattr(self, "classes_"):
            self.classes_ = np.unique(y)
        y_index = encode("y", y, self.classes_)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, rows_of_X, ensure_non_negative=True)
        weight = row_weights(sample_weight, self.class_weight, y_index, self.classes_)
        rows = np.arange(len(y_index)) if weight is None else np.flatnonzero(weight > 0)
        if first:
            self._start(rows_of_X, stack_shape(X) or rows_of_X.shape, rows, weight)
        elif self._built_from_ != self._foundations():
            self._refuse_other_foundations()
        return Samples(Images(rows_of_X, self._format_), y_index, weight, rows), sample_weight

    def _start(self, X, shape, rows, weight):
        """Set the seed, the image format and the untrained network."""
        self._built_from_ = self._foundations()
        self._seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._format_, guessed = image_format_for(
            X, shape, rows, weight, self.image_shape, self.data_format, self.scaling, self.dtype
        )
        self.image_shape_ = self._format_.shape
        layers = layers_from(self._built_from_, self._defaults(), self.image_shape_, shrink=guessed)
        n_outputs = 1 if len(self.classes_) == 2 else len(self.classes_)
        rng = stream(self._seed_, "weights")
        self.network_ = build_classifier(layers, n_outputs, self.image_shape_, rng, self._format_.dtype)
        self.history_, self.t_ = [], 0

    def _foundations(self):
        """Return the parameters that are built into a network; lists as tuples, which nobody changes meanwhile."""
        names = (*ARCHITECTURE, "layers", "image_shape", "data_format", "scaling", "dtype")
        parameters = {name: getattr(self, name) for name in names}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in parameters.items()}

    def _refuse_other_foundations(self):
        both = ((name, old, self._foundations()[name]) for name, old in self._built_from_.items())
        changes = [f"{name} was {old} and is {new}" for name, old, new in both if old != new]
        raise ValueError(
            f"training cannot go on, since the network was built otherwise: {', '.join(changes)}. "
            "Put it back, or start anew: set warm_start=False and call fit"
        )

    def _check_classes(self, classes):
        """Set `classes_` in a first call of partial_fit, or hold later calls to it."""
        if classes is None:
            if not hasattr(self, "classes_"):
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return
        classes = np.unique(np.asarray(classes))
        if not hasattr(self, "classes_"):
            self.classes_ = classes
        elif not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes.tolist()} is not the same as on the first call: {self.classes_.tolist()}"
            )

    @staticmethod
    def _defaults():
        """Return the defaults of the estimator's parameters, by name."""
        raise NotImplementedError

    def _is_fitted(self):
        return hasattr(self, "network_")
