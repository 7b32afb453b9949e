"""NumpyCNNClassifier: the network as a scikit-learn classifier."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, ParamSpec, Self, TypeVar, cast

import joblib
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skcnn._engine.backends import BACKENDS, missing_backend, must_compile
from skcnn._engine.blas import allowed_threads
from skcnn._engine.numpy_settings import restoring_numpy
from skcnn._estimator.architecture import ACTIVATIONS, POOLS
from skcnn._estimator.callbacks import EpochCallbacks, FitCallbacks
from skcnn._estimator.checkpoint import Checkpoint
from skcnn._estimator.fitted import FittedStateMixin
from skcnn._estimator.fitting import (
    early_stopping_for,
    new_state,
    trained,
    training_config,
    warn_how_it_ended,
    what_fit_depends_on,
    with_scaled_weights,
)
from skcnn._estimator.images import Images
from skcnn._estimator.model import FittedModel
from skcnn._estimator.parameters import NestedParametersMixin
from skcnn._estimator.prediction import predict
from skcnn._estimator.progress import Progress, announce, announce_network
from skcnn._estimator.reading import check_classes, read_data_set, read_images
from skcnn._estimator.sklearn_private import (
    CallbackSupportMixin,
    DocumentationLinkMixin,
    HasMethods,
    Interval,
    Number,
    StrOptions,
    fit_context,
    with_callbacks,
)
from skcnn._estimator.targets import label_array, mean_weight, require_classes
from skcnn._estimator.validation import ValidationSet, no_figures, scorer_of
from skcnn._estimator.warning import warn
from skcnn._storage.missing import require_none_missing
from skcnn._training.loop import train
from skcnn._values import LARGEST_COUNT
from skcnn.augmentation import Augmentation
from skcnn.layers import Layer
from skcnn.layers.path import LayerIndex
from skcnn.optimizers import OPTIMIZERS, Optimizer
from skcnn.schedules import SCHEDULES, Schedule

__all__ = ["NumpyCNNClassifier"]

P = ParamSpec("P")
R = TypeVar("R")
Array = NDArray[Any]
ImagesLike = ArrayLike | Sequence[Any]  # such as a list of Pillow's images
Size = int | tuple[int, int]
_AUTO = StrOptions({"auto"})
_COUNT = Interval(Integral, 1, LARGEST_COUNT, closed="both")
MOST_THREADS = 1024  # more would not be faster on any computer


def _has_partial_fit(classifier: Any) -> bool:
    """Return whether `partial_fit` is available. If it is not, raise an error that says why."""
    if isinstance(classifier.class_weight, str):
        raise ValueError(
            "class_weight='balanced' needs all samples at once, so partial_fit is not available; pass a dict of class "
            "weights, as in dict(zip(classes, compute_class_weight('balanced', classes=classes, y=all_labels)))"
        )
    return True


def _with_partial_fit(method: Callable[P, R]) -> Callable[P, R]:
    """Return `partial_fit`, which classifiers have only if it is available."""
    return cast("Callable[P, R]", available_if(_has_partial_fit)(method))


class NumpyCNNClassifier(
    CallbackSupportMixin,
    DocumentationLinkMixin,
    FittedStateMixin,
    NestedParametersMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """Convolutional network classifier.

    The network is a stack of convolutions with activations and pooling, followed by fully connected layers. It is
    trained by stochastic gradient descent on the cross-entropy. Parameters shared with
    `sklearn.neural_network.MLPClassifier` have the same names.

    `kernel_size`, `stride`, `padding`, `pool`, `pool_size`, `activation` and `dropout` take one value for all layers,
    or, if `n_kernels` is set, a sequence with one value per layer. A pair (rows, columns) must be inside a sequence, as
    in ``kernel_size=((3, 5), (3, 5))``.

    Parameters
    ----------
    n_kernels : int, sequence of int or "auto", default="auto"
        The number of kernels in each convolution. The network has one convolution per number. "auto": the shape of the
        images decides, see the Notes.
    kernel_size : int, or sequence of int or (int, int), default=3
        The size of the kernels, in rows and columns.
    pool_size : int, or sequence of int or (int, int), default=2
        The size of the pooling windows, which is also their stride. 1: no pooling after that convolution.
    hidden_layer_sizes : int, sequence of int or "auto", default="auto"
        The number of units in each fully connected layer before the output layer. (): no hidden layer. "auto": (100,),
        but () if `n_kernels` is "auto" too and gives more than two convolutions.
    activation : str, layer, or sequence of str or layer, default="relu"
        The activation after each convolution and each hidden layer: "relu", "leaky_relu", "elu", "gelu", "silu",
        "tanh", "logistic" or "identity", or a layer.
    stride : int, or sequence of int or (int, int), default=1
        Stride of the kernels.
    padding : {"same", "valid"}, int, or sequence of str, int or (int, int), default="same"
        See `skcnn.layers.Conv2D`.
    pool : {"max", "min", "avg"} or sequence of str, default="max"
        Whether pooling takes the maximum, the minimum or the mean of each window.
    batch_norm : bool or "auto", default="auto"
        Whether to add a `BatchNorm` after each convolution and each hidden layer, before the activation. The
        convolutions and hidden layers then have no bias. "auto": only if `n_kernels` is "auto" too and gives more than
        two convolutions.
    dropout : float in [0, 1), sequence of float or "auto", default="auto"
        The fraction of elements that `Dropout` sets to 0. It is applied after each convolution with its activation and
        pooling, and after each hidden layer. "auto": 0.1 if `n_kernels` is "auto" too and the network has no batch
        normalisation, otherwise 0.
    layers : sequence of Layer, default=None
        All layers before the output layer. They replace the ten parameters above, which must keep their defaults. The
        last layer must return rows (n, p), as `Flatten`, `GlobalAvgPool2D` and `Dense` do. The output layer is
        appended.
    image_shape : (h, w) or (h, w, c), default=None
        The shape of an image, if X holds flat rows. None: (s, s, 1) if a row has s * s features, otherwise
        (1, n_features, 1). If X is flat and you do not pass the shape, kernels and pooling windows shrink to fit their
        feature maps.
    data_format : {"channels_last", "channels_first"}, default="channels_last"
        Whether colour images are (n, h, w, c) or (n, c, h, w). It also sets the order of the numbers in flat rows.
    scaling : {"auto", "standard"}, (low, high) or None, default="auto"
        "auto": map 0..255 to -0.5..0.5 if X is uint8, otherwise the same as "standard". "standard": scale each channel
        to mean 0 and standard deviation 1 over the training data. (low, high): map that range to -0.5..0.5. None: no
        scaling.
    dtype : {"auto", "float32", "float64"}, default="auto"
        The precision of all calculations. "auto": float64 if X is float64, otherwise float32.
    solver : {"adam", "adamw", "rmsprop", "sgd"} or optimizer, default="adamw"
        A name, or an object of `skcnn.optimizers`, as in ``SGD(momentum=0.9)`` or ``ClipNorm(Adam(), max_norm=1.0)``.
    learning_rate_init : float or "auto", default="auto"
        The learning rate, which the schedule multiplies by its factor. "auto": 0.002, or 0.01 for SGD; three times as
        much for a one-cycle schedule, which reaches this rate only for a moment.
    learning_rate : {"constant", "step", "exponential", "cosine", "one_cycle", "plateau"} or callable, \
            default="one_cycle"
        The schedule: a name, an object of `skcnn.schedules`, or a function ``schedule(epoch, max_iter)`` that returns
        the factor at a (fractional) epoch.
    alpha : float or "auto", default="auto"
        Weight decay. Biases and the scales of `BatchNorm` do not decay. With "adamw", the decay is decoupled: at each
        step, weights are multiplied by ``1 - learning_rate * alpha``. With any other solver, it is an L2 penalty:
        ``0.5 * alpha * sum(W ** 2)`` is added to the mean loss. Unlike in MLPClassifier, the penalty is not divided by
        the number of samples in the batch. "auto": if the decay is decoupled, 10 divided by the square root of the
        number of training steps, but at least 0.1; otherwise 0.0001.
    batch_size : int or "auto", default="auto"
        The number of samples in each training step. "auto": one hundredth of all samples, but at least 8 and at most
        64.
    max_iter : int or "auto", default="auto"
        The number of epochs. "auto": as many as make 3,000 training steps, but at least 15 and at most 100. Reaching
        `max_iter` does not warn, because there is no test of convergence.
    max_time : float or None, default=None
        Time limit in seconds. After that, `fit` ends with the current step.
    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.
    augment : callable, sequence of callable or None, default=None
        Random changes to the images in each training step: objects of `skcnn.augmentation`, or functions
        ``(images, rng) -> images`` that take scaled images (n, h, w, c).
    label_smoothing : float in [0, 1), default=0.0
        The fraction of each label that is spread equally over all classes in training, to reduce overconfidence. The
        validation loss is measured without label smoothing.
    class_weight : dict, "balanced" or None, default=None
        A weight of at least 0 for each label. "balanced": each class has the same total weight.
    early_stopping : bool, default=False
        Whether to stop when the score on a validation set no longer improves, and to keep the best weights. If the
        learning rate is still to fall, the rest of the schedule follows in `n_iter_no_change` epochs. Of scores that
        are about as high as the highest one, the last one counts as the best: if they differ by at most `tol` or, for
        the accuracy, one standard error. The validation set is split off the training data, unless you pass `X_val` and
        `y_val` to `fit`.
    validation_fraction : float in (0, 1), default=0.1
        The fraction of the samples that early stopping splits off as the validation set. The split is stratified by
        class, with at least one sample of each class in both parts. The only sample of a class is not split off.
    n_iter_no_change : int, default=10
        The score no longer improves if it has not risen by `tol` for more than this many epochs.
    tol : float, default=1e-4
        The improvement that early stopping requires, see `n_iter_no_change`.
    scoring : str, callable or None, default=None
        The score on the validation set: a name or function as in scikit-learn's `scoring`, where larger is better.
        None: accuracy. It is computed after each epoch (`validation_scores_`), with sample weights if the scorer
        accepts them, and is used by early stopping. The weights of a validation set that is split off include
        `class_weight`. The scorer is also called once before training, to find errors early.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the previous fit, with a new schedule of `max_iter` epochs.
    n_jobs : int or None, default=None
        The number of threads. None: as many as the BLAS library may use when the call begins. -1: one per core, -2: one
        fewer, and so on. The results are the same, bit for bit, for any number.
    backend : {"numpy", "numba"}, default="numpy"
        How the network is computed. "numba": by compiled kernels, which are faster and need numba
        (``pip install "skcnn[fast]"``). Results differ by rounding errors only, so a classifier trained with one
        backend can predict with the other. If numba is missing, prediction uses NumPy's kernels, with a warning.
    verbose : int, default=0
        1: on a terminal or in a notebook, show a progress bar with the loss, the validation score and the time that is
        left; elsewhere, print a line per epoch. 2: print the lines in addition to the bar.
    random_state : int, RandomState instance or None, default=None
        The seed of everything random: initial weights, shuffling, validation split and so on. With an int, repeated
        fits give the same result, bit for bit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    n_features_in_ : int
        h * w * c.
    feature_names_in_ : ndarray of str
        Names of the columns of X. Defined only if X is a table with named columns.
    image_shape_ : (h, w, c)
        Shape of one image.
    network_ : Network
        The layers with their weights; ``print(network_.summary())`` shows them.
    history_ : list of dict
        One row per epoch: epoch, loss, accuracy, val_loss, val_accuracy, val_f1 (macro), val_score, learning_rate,
        seconds. The loss and the accuracy are measured at each step on the images that the network trains on, so both
        lag behind the weights, and dropout and augmentation make them worse.
    n_iter_ : int
        Number of epochs trained.
    t_ : int
        Number of samples trained on, added up over all epochs.
    loss_ : float
        Mean loss over the last epoch, including the L2 penalty.
    best_loss_ : float
        Lowest loss of all epochs that did not diverge.
    loss_curve_ : list of float
        Loss of each epoch.
    validation_loss_curve_ : list of float or None
        Mean loss on the validation set after each epoch, without the penalty. An epoch without a validation set has the
        entry None. If no epoch had a validation set, the attribute itself is None.
    validation_scores_ : list of float or None
        Score on the validation set after each epoch: the accuracy, unless you set `scoring`. None in the same cases as
        `validation_loss_curve_`.
    best_validation_score_ : float or None
        Validation score of the weights that early stopping kept in the last call of `fit`. None without early stopping,
        or if the validation loss was never finite.
    best_iter_ : int or None
        The epoch whose weights early stopping kept. None in the same cases as `best_validation_score_`.
    stop_reason_ : {"max_iter", "early_stopping", "max_time", "interrupted", "callback", "diverged"}
        Why training ended.
    n_layers_ : int
        The number of layers with weights, plus 1 for the input.
    n_outputs_ : int
        The number of outputs of the network: one per class, or a single one for two classes.
    out_activation_ : str
        The link function, which turns outputs into probabilities: "softmax", or "logistic" for two classes.
    coefs_ : list of ndarray
        Weights of each layer: kernels (kh, kw, c, k), or dense matrices (inputs, outputs).
    intercepts_ : list of ndarray or None
        Biases of the same layers as in `coefs_`, or None for a layer without a bias.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Fully connected layers only.

    Notes
    -----
    With ``n_kernels="auto"``, the network has blocks of a convolution with activation and pooling, which halves the
    feature maps. There are at least two, and as many as it takes until the longer side of the feature maps is 7 or
    less: two for images of up to 28 pixels, three up to 56, four up to 112, and so on. They have 16, 32, 64 and 128
    kernels, and further ones 128. Two blocks have a hidden layer and dropout. From three blocks on, batch norm takes
    the place of dropout, and the mean of each feature map that of the hidden layer. For images of one row or one
    column, kernels and pooling windows have one row or column too. Pooling windows shrink to feature maps that are
    smaller.

    Prediction does not change the classifier, so any number of threads can share it. If one thread fits it again, the
    other threads predict with the old model until the new one is complete. Do not fit the same classifier in two
    threads at the same time. If training raises an exception, the classifier does not change.

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
        "n_kernels": [_AUTO, _COUNT, list, tuple],
        "kernel_size": [_COUNT, list, tuple],
        "pool_size": [_COUNT, list, tuple],
        "hidden_layer_sizes": [_AUTO, _COUNT, list, tuple],
        "activation": [StrOptions(set(ACTIVATIONS)), Layer, list, tuple],
        "stride": [_COUNT, list, tuple],
        "padding": [StrOptions({"same", "valid"}), Interval(Integral, 0, LARGEST_COUNT, closed="both"), list, tuple],
        "pool": [StrOptions(set(POOLS)), list, tuple],
        "batch_norm": [_AUTO, "boolean"],
        "dropout": [_AUTO, Number(Real, 0, 1, closed="left"), list, tuple],
        "layers": [list, tuple, None],
        "image_shape": [list, tuple, None],
        "data_format": [StrOptions({"channels_last", "channels_first"})],
        "scaling": [StrOptions({"auto", "standard"}), list, tuple, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "solver": [StrOptions(set(OPTIMIZERS)), HasMethods(["init", "step"])],
        "learning_rate_init": [_AUTO, Number(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(SCHEDULES)), callable],
        "alpha": [_AUTO, Number(Real, 0, None, closed="left")],
        "batch_size": [_AUTO, _COUNT],
        "max_iter": [_AUTO, _COUNT],
        "max_time": [Number(Real, 0, None, closed="neither"), None],
        "shuffle": ["boolean"],
        "augment": [callable, list, tuple, None],
        "label_smoothing": [Number(Real, 0, 1, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Number(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_COUNT],
        "tol": [Number(Real, 0, None, closed="left")],
        "scoring": [str, callable, None],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "backend": [StrOptions(set(BACKENDS))],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_kernels: int | Sequence[int] | Literal["auto"] = "auto",
        kernel_size: Size | Sequence[Size] = 3,
        pool_size: Size | Sequence[Size] = 2,
        hidden_layer_sizes: int | Sequence[int] | Literal["auto"] = "auto",
        activation: str | Layer | Sequence[str | Layer] = "relu",
        *,
        stride: Size | Sequence[Size] = 1,
        padding: str | Size | Sequence[str | Size] = "same",
        pool: str | Sequence[str] = "max",
        batch_norm: bool | Literal["auto"] = "auto",
        dropout: float | Sequence[float] | Literal["auto"] = "auto",
        layers: Sequence[Layer] | None = None,
        image_shape: tuple[int, int] | tuple[int, int, int] | None = None,
        data_format: Literal["channels_last", "channels_first"] = "channels_last",
        scaling: Literal["auto", "standard"] | tuple[float, float] | None = "auto",
        dtype: Literal["auto", "float32", "float64"] = "auto",
        solver: str | Optimizer = "adamw",
        learning_rate_init: float | Literal["auto"] = "auto",
        learning_rate: str | Schedule = "one_cycle",
        alpha: float | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int | Literal["auto"] = "auto",
        max_time: float | None = None,
        shuffle: bool = True,
        augment: Augmentation | Sequence[Augmentation] | None = None,
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        scoring: str | Callable[..., float] | None = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        backend: Literal["numpy", "numba"] = "numpy",
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
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
        self.backend = backend
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @with_callbacks
    @fit_context
    def fit(
        self,
        X: ImagesLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ImagesLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, h, w), (n, h, w, c) or (n, c, h, w)
            Flat rows, grey images, or images with channels in the order of `data_format`, of any numeric type: an
            array, a list of images, or anything that NumPy can convert to an array. X is not modified, and is scaled
            one batch at a time.
        y : array-like of shape (n,)
            Class labels, such as strings or whole numbers.
        sample_weight : array-like of shape (n,), default=None
            Weights, at least 0. Samples of weight 0 are ignored, but `classes_` includes their labels.
        X_val, y_val : array-like, default=None
            The images and labels of a validation set. The network is evaluated on it after each epoch (`history_`).
            With `early_stopping`, the weights with the best score on it are kept.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the samples in the validation set, at least 0.
        checkpoint : str or path-like, default=None
            A file to which `fit` saves the training state after each epoch. If the file exists, training resumes from
            it. The final weights are then the same, bit for bit, as without the interruption. With `warm_start`, the
            classifier must have the same weights as at the start of the interrupted fit. When training is complete,
            ``.finished`` is added to the name of the file, but not if Ctrl-C or `max_time` ended training. If the
            finished file exists, the same call of `fit` returns the result without training. The files contain no code.

        Returns
        -------
        self : NumpyCNNClassifier

        Raises
        ------
        ValueError, TypeError
            If an argument or parameter is invalid, or if the checkpoint is damaged or belongs to another fit. Also if
            training diverges, and the weights from before cannot predict the training images either, because X or the
            initial weights are too large. The classifier does not change.
        MemoryError
            If the network is far too large for this computer.
        OSError
            If the checkpoint cannot be written, or is in use by another process.

        Warns
        -----
        ConvergenceWarning
            If the loss, a weight or the prediction of a training image was no longer finite. The weights of the
            previous epoch are then kept. Also if the loss is clearly higher in the last epoch than in the first, or if,
            after at least two epochs, it is not clearly lower than that of guessing by class frequencies.
        """
        validation_data = X_val, y_val, sample_weight_val
        if checkpoint is None:
            return self._fit(X, y, sample_weight, validation_data, None)
        file = Checkpoint(checkpoint)
        return file.hold(partial(self._fit, X, y, sample_weight, validation_data, file))

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: tuple[Any, Any, Any], file: Checkpoint | None
    ) -> Self:
        """Train the network, and save the training state to `file`, which is locked, unless it is None."""
        require_none_missing(self.get_params().values())
        self._require_backend()
        n_threads, score = self._n_threads(), scorer_of(self)
        before = getattr(self, "_fitted", None) if self.warm_start else None
        model, data = read_data_set(self, before, X, y, sample_weight)
        require_classes(data.y, data.indices, model.classes)
        validation_set = ValidationSet.given(self, model, *validation_data, n_threads, self.backend, score)
        saved = file and file.open(what_fit_depends_on(self, before, model, data, validation_set))
        seed = saved.seed if saved else model.seed
        model = replace(model, seed=seed, mean_weight=mean_weight(data.weight, data.indices))
        if self.early_stopping and validation_set is None:
            data, validation_set = ValidationSet.split(
                data, model, self.validation_fraction, n_threads, self.backend, score
            )
        config = training_config(self, model, len(data.indices), n_threads)
        state = new_state(self, model, early_stopping_for(self, validation_set))
        data = with_scaled_weights(data, model)
        callbacks = FitCallbacks(self, X, y, sample_weight, config.n_epochs)
        if self.verbose:
            announce_network(model.network)
        if saved:
            saved.restore(state, config.optimizer)
        if validation_set and state.stop_reason is None:
            validation_set.try_scorer(state.network)
        train(
            state,
            data,
            config,
            observers=[Progress(self.verbose, hints=self.backend == "numpy"), EpochCallbacks(callbacks, model)],
            validate=validation_set or no_figures,
            save=partial(file.save, seed=seed) if file else None,
        )
        if file:
            file.finish(state, seed)
        self._hand_over(trained(model, state, config, keep_optimizer=self.warm_start))
        callbacks.end_fit()
        warn_how_it_ended(self, model, state, data, config)
        return self

    @_with_partial_fit
    @fit_context
    def partial_fit(
        self, X: ImagesLike, y: ArrayLike, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given samples, at the constant learning rate `learning_rate_init`.

        The first call fixes the scaling and the mean by which sample weights are divided. With ``batch_size="auto"``,
        the batch size depends on the number of samples in each call. `early_stopping` and `learning_rate` are ignored.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All labels that can occur in this call or in later calls. Required in the first call.

        Returns
        -------
        self : NumpyCNNClassifier

        Raises
        ------
        ValueError
            As for `fit`. Also if `classes` is missing or has changed, or if y has a label that is not in `classes`.
        AttributeError
            For ``class_weight="balanced"``, which needs all samples at once.

        Warns
        -----
        ConvergenceWarning
            If the loss, a weight or the prediction of a training image was no longer finite. The weights from before
            the call are then kept.
        """
        require_none_missing(self.get_params().values())
        self._require_backend()
        n_threads, before = self._n_threads(), getattr(self, "_fitted", None)
        classes = check_classes(classes, before)
        model, data = read_data_set(self, before, X, y, sample_weight, classes)
        if model.mean_weight is None:
            model = replace(model, mean_weight=mean_weight(data.weight, data.indices))
        config = training_config(self, model, len(data.indices), n_threads, single_pass=True)
        state = new_state(self, model)
        data = with_scaled_weights(data, model)
        train(state, data, config, observers=[Progress(self.verbose)], validate=no_figures)
        self._hand_over(trained(model, state, config, keep_optimizer=True))
        warn_how_it_ended(self, model, state, data, config)
        return self

    def predict(self, X: ImagesLike) -> Array:
        """Predict class labels.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        y : ndarray of shape (n,)
            Labels, with the dtype of `classes_`.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If X is invalid, or if its images do not have the fitted shape.
        """
        return self._predict(X, lambda model, logits: model.classes[model.loss.decide(logits)])

    def decision_function(self, X: ImagesLike) -> Array:
        """Return the network's outputs, before softmax or sigmoid turns them into probabilities.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        logits : ndarray of shape (n, n_classes), or (n,) for two classes: positive for ``classes_[1]``
        """
        return self._predict(X, lambda model, logits: logits[:, 0] if logits.shape[1] == 1 else logits)

    def predict_proba(self, X: ImagesLike) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        probabilities : ndarray of shape (n, n_classes)
            In the order of `classes_`. Each row sums to 1.
        """
        return self._predict(X, lambda model, logits: model.loss.probabilities(logits))

    def predict_log_proba(self, X: ImagesLike) -> Array:
        """Return the logarithm of the probability of each class, which is finite even if the probability rounds to 0.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.

        Returns
        -------
        log_probabilities : ndarray of shape (n, n_classes)
        """
        return self._predict(X, lambda model, logits: model.loss.log_probabilities(logits))

    def score(self, X: ImagesLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.
        y : array-like of shape (n,)
            The true labels.
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        accuracy : float
            The fraction of images whose label is predicted.
        """
        return float(super().score(X, label_array(y, "y"), sample_weight))

    def activations(self, X: ImagesLike, *, layer: LayerIndex = -1) -> Array:
        """Return the output of a layer of `network_` for each image.

        Parameters
        ----------
        X : array-like
            Images of the fitted shape, flat or not.
        layer : int or tuple of int, default=-1
            The index of the layer in ``network_.layers``. Negative indices count from the end: -1 is the output layer,
            without softmax or sigmoid. A tuple is the position of a layer inside `Sequential` or `Residual`: ``(2, 0)``
            is the first layer in ``network_.layers[2]``.

        Returns
        -------
        activations : ndarray of shape (n, h, w, c) or (n, n_units)
            Feature maps or, from `Flatten` or a global pool on, rows. They have the network's dtype.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        TypeError, IndexError
            If `layer` is not an int or a tuple of ints, or if the network has no such layer.
        ValueError
            If X is invalid, or if its images do not have the fitted shape.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skcnn import NumpyCNNClassifier
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = NumpyCNNClassifier(max_iter=1, random_state=0).fit(X, y)
        >>> clf.network_.layers[2], clf.activations(X, layer=2).shape
        (MaxPool2D(pool_size=2), (1797, 4, 4, 16))
        """
        return self._predict(X, lambda model, out: out, layer)

    def _predict(self, X: Any, finish: Callable[[FittedModel, Array], Array], layer: LayerIndex = -1) -> Array:
        """Predict block by block. `finish` turns the layer's outputs for each block into its part of the result."""
        return restoring_numpy(partial(self._predict_blocks, X, finish, layer))

    def _predict_blocks(self, X: Any, finish: Callable[[FittedModel, Array], Array], layer: LayerIndex) -> Array:
        model = self._model  # the same model for the whole call, even if another thread refits meanwhile
        # the whole network caches what it needs for prediction
        network = model.network if layer == -1 else model.network.up_to(layer)
        rows = read_images(self, model, X)
        model.warn_if_scale_is_off(rows, "X")

        def checked(out: Array) -> Array:
            if not np.isfinite(out).all():
                raise ValueError(
                    "X contains values too large for this network: its outputs are not finite. The training data was "
                    f"scaled by (x - {model.image_format.center}) / {model.image_format.width}"
                )
            return finish(model, out)

        images = Images(rows, model.image_format)
        return predict(network, images, len(rows), self._n_threads(), checked, backend=self._present_backend())

    def _present_backend(self) -> str:
        """Return the backend to predict with. Without numba, NumPy's kernels return nearly the same."""
        if missing := missing_backend(self.backend):
            warn(f"Predicting with NumPy's kernels, because {missing}")
            return "numpy"
        return self.backend

    def _require_backend(self) -> None:
        if missing := missing_backend(self.backend):
            raise ImportError(missing)
        if self.verbose and must_compile(self.backend):
            announce("Compiling the kernels, which takes 10 to 30 seconds.")

    def _n_threads(self) -> int:
        if self.n_jobs is None:
            return allowed_threads()
        n_jobs = int(self.n_jobs)  # NumPy's small integers would overflow
        return min(int(joblib.effective_n_jobs(n_jobs)), MOST_THREADS)
