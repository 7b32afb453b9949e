"""NumpyCNNClassifier: the network as a scikit-learn classifier."""

from __future__ import annotations

import inspect
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import joblib
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skcnn._engine.process import allowed_threads
from skcnn._estimator.architecture import ACTIVATIONS, POOLS
from skcnn._estimator.callbacks import CallbackSupportMixin, FitCallbacks, with_callbacks
from skcnn._estimator.fitting import FittingMixin
from skcnn._estimator.images import Images, warn_if_scale_is_off
from skcnn._estimator.parameters import NestedValuesMixin
from skcnn._estimator.persistence import FittedStateMixin
from skcnn._estimator.prediction import predict
from skcnn._estimator.progress import Progress
from skcnn._estimator.reading import ReadingMixin
from skcnn._estimator.record import RecordMixin
from skcnn._estimator.targets import mean_weight, require_classes
from skcnn.layers import Layer
from skcnn.losses import loss_for
from skcnn.optimizers import OPTIMIZERS
from skcnn.schedules import SCHEDULES, Constant, schedule_from

__all__ = ["NumpyCNNClassifier"]

_COUNT = Interval(Integral, 1, None, closed="left")


def _has_partial_fit(classifier):
    """Tell scikit-learn whether there is a `partial_fit`; where there is none, the error says why."""
    if isinstance(classifier.class_weight, str):
        raise ValueError(
            "class_weight='balanced' needs all rows at once, so there is no partial_fit; pass a dict of weights, which "
            "sklearn.utils.class_weight.compute_class_weight can tell for the whole data"
        )
    return True


class NumpyCNNClassifier(
    CallbackSupportMixin,
    RecordMixin,
    ReadingMixin,
    FittingMixin,
    FittedStateMixin,
    NestedValuesMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Convolutional network classifier.

    A stack of convolutions with activations and pools, then fully connected layers, trained by stochastic gradient
    descent on the cross-entropy. Where a parameter is one of `sklearn.neural_network.MLPClassifier`, so is its name.

    `kernel_size`, `stride`, `padding`, `pool`, `pool_size`, `activation` and `dropout` take one value, or a sequence
    with one for each layer; a pair (rows, columns) then stands inside the sequence.

    Parameters
    ----------
    n_kernels : int or sequence of int, default=(16, 32)
        Kernels of each convolution; as many convolutions as numbers.
    kernel_size : int, or sequence of int or (int, int), default=3
        Rows and columns of the kernels.
    pool_size : int, or sequence of int or (int, int), default=2
        Windows of the pools, which are also their steps; 1: no pool after that convolution.
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the fully connected layers before the output; () for none.
    activation : str, layer, or sequence of them, default="relu"
        After every convolution and every hidden layer: "relu", "leaky_relu", "elu", "gelu", "silu", "tanh",
        "logistic" or "identity", or a layer.
    stride : int, or sequence of int or (int, int), default=1
        Steps of the kernels.
    padding : {"same", "valid"}, int, or sequence of them or (int, int), default="same"
        See `skcnn.layers.Conv2D`.
    pool : {"max", "min", "avg"} or sequence of them, default="max"
        What a pool keeps of its window.
    batch_norm : bool, default=False
        Whether a `BatchNorm` follows every convolution and every hidden layer, before the activation; these have no
        bias then.
    dropout : float in [0, 1), or sequence of them, default=0.0
        Part of the numbers that `Dropout` leaves out after every block of a convolution and after every hidden layer.
    layers : sequence of Layer, default=None
        All layers before the output; takes the place of the ten parameters above, which must keep their defaults. It
        must end in rows, as after `Flatten`, `GlobalAvgPool2D` or `Dense`. The output layer is appended.
    image_shape : (h, w) or (h, w, c), default=None
        What a flat row of X unrolls into. None: (s, s, 1) if rows have s * s features, else (1, n_features, 1); kernels
        and pools then shrink to the maps they meet.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Whether colour images are (n, h, w, c) or (n, c, h, w), and in which order flat rows unroll.
    scaling : {"auto", "standard"}, (low, high) or None, default="auto"
        "auto": the training data's range, 0..255 for uint8, is mapped to -0.5..0.5. "standard": each channel to mean 0
        and standard deviation 1. (low, high): that range to -0.5..0.5. None: pixels are used as they are.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Precision of all computation. "auto": float64 if X is, else float32.
    solver : {"adam", "adamw", "rmsprop", "sgd"} or optimizer, default="adamw"
        A name, or an object of `skcnn.optimizers`: ``SGD(momentum=0.9)``, ``ClipNorm(Adam(), max_norm=1.0)``.
    learning_rate_init : float, default=0.002
        The learning rate, times the schedule's factor.
    learning_rate : {"constant", "step", "exponential", "cosine", "one_cycle", "plateau"} or callable, default="cosine"
        The schedule: a name, an object of `skcnn.schedules`, or ``schedule(epoch, max_iter)`` that returns the factor
        at a (fractional) epoch.
    alpha : float or "auto", default="auto"
        Weight decay, of all weights but biases and the scales of a normalisation. With "adamw" it is decoupled: the
        weights shrink by ``learning_rate * alpha`` of themselves at every step. With any other solver it is an L2
        penalty: ``0.5 * alpha * sum(W ** 2)`` is added to the mean loss; unlike MLPClassifier's it is not divided by
        the rows of the batch. "auto": 0.05 where it is decoupled, 0.0001 elsewhere.
    batch_size : int or "auto", default="auto"
        Images a step. "auto": a hundredth of the rows, but 8 to 64.
    max_iter : int, default=15
        Epochs. A budget: reaching it is no failure and warns of nothing.
    max_time : float or None, default=None
        Seconds after which `fit` ends, after a whole step.
    shuffle : bool, default=True
        Whether each epoch goes through the rows in a new order.
    augment : callable, sequence of them or None, default=None
        What is done to the images of every step: objects of `skcnn.augmentation`, or any ``(images, rng) -> images`` of
        the scaled images (n, h, w, c).
    label_smoothing : float in [0, 1), default=0.0
        The part of each label that is spread over all classes alike in training: it keeps the network from being too
        sure. Losses on held-out images are measured without it.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes by label, not negative; "balanced": every class weighs the same in total.
    early_stopping : bool, default=False
        Whether to hold rows out, stop when the score on them no longer rises, and keep the best weights. `X_val` and
        `y_val` take their place where they are given to `fit`.
    validation_fraction : float in (0, 1), default=0.1
        The part held out, stratified by class, at least one row for every class.
    n_iter_no_change : int, default=10
        Epochs without a rise of `tol` that early stopping puts up with.
    tol : float, default=1e-4
        See `n_iter_no_change`.
    scoring : str, callable or None, default=None
        The score on held-out images: accuracy, or what scikit-learn's `scoring` names or defines, larger being better;
        weighted, if a scorer takes weights. It is taken after every epoch (`validation_scores_`), and is what early
        stopping looks at.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights it finds, with a new schedule of `max_iter` epochs.
    n_jobs : int or None, default=None
        Threads. None: as many as the BLAS library was allowed when the call began; -1: one a core. The results are the
        same to the bit for every value.
    verbose : int, default=0
        Whether to print a line for each epoch, and to show a bar meanwhile on a terminal or in a notebook.
    random_state : int, RandomState instance or None, default=None
        Weights, shuffling and split. An int makes `fit` repeatable to the bit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_features_in_ : int
        h * w * c.
    feature_names_in_ : ndarray of str
        Columns of the table that was fitted; only for tables with named columns.
    image_shape_ : (h, w, c)
        Shape of one image.
    network_ : Network
        The layers with their weights; ``print(network_.summary())`` shows them.
    history_ : list of dict
        An epoch each: epoch, loss, val_loss, val_accuracy, val_f1 (macro), val_score, learning_rate, seconds.
    n_iter_ : int
        Epochs trained.
    t_ : int
        Images seen in training.
    loss_ : float
        Mean loss over the last epoch, L2 penalty included.
    best_loss_ : float
        Smallest loss of an epoch.
    loss_curve_ : list of float
        Loss of every epoch.
    validation_loss_curve_ : list of float or None
        Mean loss on the held-out images after every epoch, without penalty; None without any, and in place of an epoch
        that had none.
    validation_scores_ : list of float or None
        Score on the held-out images after every epoch, accuracy unless `scoring` says otherwise; None as above.
    best_validation_score_ : float or None
        Best of `validation_scores_` in the last call of fit; None without early stopping.
    best_iter_ : int or None
        Its epoch, whose weights were kept; None without early stopping.
    stop_reason_ : {"max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged"}
        Why training ended.
    n_layers_ : int
        Layers with weights, and the input.
    n_outputs_ : int
        Outputs of the network: one a class, or one for two classes.
    out_activation_ : str
        Link from the outputs to probabilities: "softmax", or "logistic" for two classes.
    coefs_ : list of ndarray
        Weights: kernels (kh, kw, c, k), dense matrices (inputs, outputs).
    intercepts_ : list of ndarray or None
        The bias beside each of `coefs_`, None where there is none.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Fully connected layers only.

    Notes
    -----
    Prediction writes nothing, so any number of threads may share a fitted classifier. Two threads must not fit the same
    one. A fit that fails or is interrupted leaves the classifier as it was.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skcnn import NumpyCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    >>> clf = NumpyCNNClassifier(random_state=0).fit(X_train, y_train)
    >>> bool(clf.score(X_test, y_test) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_kernels": [_COUNT, list, tuple],
        "kernel_size": [_COUNT, list, tuple],
        "pool_size": [_COUNT, list, tuple],
        "hidden_layer_sizes": [_COUNT, list, tuple],
        "activation": [StrOptions(set(ACTIVATIONS)), Layer, list, tuple],
        "stride": [_COUNT, list, tuple],
        "padding": [StrOptions({"same", "valid"}), Interval(Integral, 0, None, closed="left"), list, tuple],
        "pool": [StrOptions(set(POOLS)), list, tuple],
        "batch_norm": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "layers": [list, tuple, None],
        "image_shape": [list, tuple, None],
        "data_format": [StrOptions({"channels_last", "channels_first"})],
        "scaling": [StrOptions({"auto", "standard"}), list, tuple, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "solver": [StrOptions(set(OPTIMIZERS)), HasMethods(["init", "step"])],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(SCHEDULES)), callable],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), _COUNT],
        "max_iter": [_COUNT],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "shuffle": ["boolean"],
        "augment": [callable, list, tuple, None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_COUNT],
        "tol": [Interval(Real, 0, None, closed="left")],
        "scoring": [str, callable, None],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_kernels=(16, 32),
        kernel_size=3,
        pool_size=2,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        stride=1,
        padding="same",
        pool="max",
        batch_norm=False,
        dropout=0.0,
        layers=None,
        image_shape=None,
        data_format="channels_last",
        scaling="auto",
        dtype="auto",
        solver="adamw",
        learning_rate_init=0.002,
        learning_rate="cosine",
        alpha="auto",
        batch_size="auto",
        max_iter=15,
        max_time=None,
        shuffle=True,
        augment=None,
        label_smoothing=0.0,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        scoring=None,
        warm_start=False,
        n_jobs=None,
        verbose=0,
        random_state=None,
    ):
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.stride = stride
        self.padding = padding
        self.pool = pool
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.layers = layers
        self.image_shape = image_shape
        self.data_format = data_format
        self.scaling = scaling
        self.dtype = dtype
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.max_time = max_time
        self.shuffle = shuffle
        self.augment = augment
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, checkpoint=None):
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w), or (n, h, w, c) or (n, c, h, w) by `data_format`
            Flat rows, grey images, or images with channels; any number type. Read a batch at a time and not modified.
        y : array-like of shape (n,)
            Class labels of any sortable type.
        sample_weight : array-like of shape (n,), default=None
            Weights, not negative. Rows of weight 0 are as if they were not there, but for their labels in `classes_`.
        X_val, y_val : array-like, default=None
            Held-out images and labels that are measured after every epoch (`history_`). With `early_stopping` they
            also select the weights that are kept.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights, not negative.
        checkpoint : str or path-like, default=None
            A file that is written after every epoch, with all that is needed to go on. If it is there already, training
            goes on from it, and ends in the same weights as if it had never been interrupted; with `warm_start`, if the
            classifier has the weights that it began with. It is removed when training has ended, but not if Ctrl-C or
            `max_time` ended it. Load none that you do not trust: it holds pickled objects.

        Returns
        -------
        self : NumpyCNNClassifier

        Raises
        ------
        ValueError, TypeError
            If an argument or parameter is not as described, or a checkpoint is that of another fit, or damaged; the
            classifier is then as it was before.
        OSError
            If the checkpoint cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the loss or a weight was no longer finite; the weights are then those before that epoch. Or if the loss
            of the last epoch is clearly above that of the first.
        """
        callbacks = FitCallbacks(self, self.max_iter, X, y, sample_weight)
        with self._all_or_nothing():
            origin = self._origin() if checkpoint is not None else None
            if not (self.warm_start and self._is_fitted()):
                self._forget()
            samples, sample_weight = self._samples(X, y, sample_weight)
            require_classes(samples.y, samples.rows, self.classes_)
            self._mean_weight_ = mean_weight(samples.weight, samples.rows)
            score = self._score()
            given = self._given_held_out(X_val, y_val, sample_weight_val, score)
            kept, saved = self._checkpoint(checkpoint, origin, samples, given)
            samples, held_out = self._hold_out(samples, sample_weight, given, score)
            self._batch_size_ = self._batch_rule(len(samples.rows))
            if self._batch_size_ > len(samples.rows):
                warnings.warn(
                    f"batch_size={self.batch_size} is larger than the {len(samples.rows)} rows; it is clipped to them",
                    stacklevel=4,
                )
            run = saved["run"] if saved else self._new_run(self.early_stopping)
            self._train(
                run,
                samples,
                self._recipe(schedule_from(self.learning_rate), self.max_iter),
                observers=[Progress(bool(self.verbose)), callbacks],
                evaluate=held_out,
                save=kept and (lambda run: kept.save(run=run, seed=self._seed_)),
            )
            self.best_iter_ = run.stopping.best_epoch if run.stopping else None
            self.best_validation_score_ = float(run.stopping.best_score) if run.stopping else None
            if not self.warm_start:
                del self._optimizer_state_
        if kept and run.stop_reason not in ("interrupted", "max_time"):
            kept.remove()
        callbacks.end_fit()
        self._warn_how_it_ended(run, stacklevel=5)
        return self

    @available_if(_has_partial_fit)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Go once through the rows given, at the constant rate `learning_rate_init`.

        Scaling, batch size and the mean weight, by which weights are divided, are fixed by the first call.
        `early_stopping` and `learning_rate` are ignored.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; required in the first call.

        Returns
        -------
        self : NumpyCNNClassifier

        Raises
        ------
        ValueError
            As for `fit`; if `classes` is missing or has changed; if a label is not among them.
        AttributeError
            For ``class_weight="balanced"``, which would need all rows at once.
        """
        with self._all_or_nothing():
            self._check_classes(classes)
            samples, _ = self._samples(X, y, sample_weight)
            if not hasattr(self, "_batch_size_"):
                self._batch_size_ = self._batch_rule(len(samples.rows))
                self._mean_weight_ = mean_weight(samples.weight, samples.rows)
            run = self._new_run(early_stopping=False)
            self._train(run, samples, self._recipe(Constant(), 1), observers=[Progress(bool(self.verbose))])
            self.best_iter_ = self.best_validation_score_ = None
        self._warn_how_it_ended(run, stacklevel=4)
        return self

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        y : ndarray of shape (n,)
            Labels, of the dtype of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X is not as `fit` describes, or its images have another shape.
        """
        indices = self._predict(X, lambda logits: self._loss.decide(logits))
        return self.classes_[indices]

    def decision_function(self, X):
        """Return the network's outputs before the link to probabilities.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        logits : ndarray of shape (n, n_classes), or (n,) for two classes: positive for ``classes_[1]``
        """
        return self._predict(X, lambda logits: logits[:, 0] if logits.shape[1] == 1 else logits)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes_`; every row sums to 1.
        """
        return self._predict(X, lambda logits: self._loss.probabilities(logits))

    def predict_log_proba(self, X):
        """Return the logarithm of each class's probability, finite even where that rounds to 0.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        log_probabilities : ndarray of shape (n, n_classes)
        """
        return self._predict(X, lambda logits: self._loss.log_probabilities(logits))

    @property
    def out_activation_(self):
        """Link from the network's outputs to probabilities."""
        return self._loss.out_activation

    @property
    def _loss(self):
        return loss_for(len(self.classes_))

    def _predict(self, X, finish):
        """Return what `finish` makes of the network's outputs, block by block."""
        check_is_fitted(self)
        images = Images(self._rows(X, reset=False), self._format_)
        if self.scaling is not None:
            warn_if_scale_is_off(images.X, self._format_)

        def checked(logits):
            if not np.isfinite(logits).all():
                raise ValueError(
                    "X holds values too large for this network: its outputs are not finite. The training data was "
                    f"scaled by (x - {self._format_.center}) / {self._format_.width}"
                )
            return finish(logits)

        return predict(self.network_, images, len(images.X), self._n_threads(), checked)

    @staticmethod
    def _defaults():
        parameters = inspect.signature(NumpyCNNClassifier).parameters.items()
        return {name: parameter.default for name, parameter in parameters}

    def _n_threads(self):
        return allowed_threads() if self.n_jobs is None else joblib.effective_n_jobs(self.n_jobs)
