"""The checks of scikit-learn for many settings: no check fails, and no check is skipped."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_estimator,
    check_inplace_ensure_writeable,
    check_param_validation,
)

from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Cutout, Shift
from skcnn.layers import (
    GELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Softmax,
    SpatialDropout2D,
    Tanh,
)
from skcnn.optimizers import SGD, Adam, ClipNorm, RMSprop

WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
# Steps on several batches, a held-out split and float32 round differently when a row of weight 2 is two rows.
EXPECTED = {WEIGHTS: "rows of weight 2 and repeated rows fall into different batches, splits or roundings"}

SETTINGS = {
    "default": {},
    "fewer-epochs": {"max_iter": 20},
    "sgd": {"solver": "sgd"},
    "sgd-faster": {"solver": "sgd", "learning_rate_init": 0.01},
    "sgd-plain": {"solver": SGD(momentum=0.0), "learning_rate_init": 0.05},
    "sgd-classical-momentum": {"solver": SGD(momentum=0.8, nesterov=False), "learning_rate_init": 0.02},
    "adam-object": {"solver": Adam(beta_2=0.99), "learning_rate": "constant"},
    "float32": {"dtype": "float32"},
    "float64": {"dtype": "float64"},
    "one-convolution": {"n_kernels": 8},
    "three-convolutions": {"n_kernels": (4, 8, 8), "pool_size": (1, 2, 1)},
    "kernels-of-one": {"kernel_size": 1},
    "kernels-of-one-no-pools": {"kernel_size": 1, "pool_size": 1},
    "no-pools": {"pool_size": 1},
    "large-kernels": {"kernel_size": 5, "padding": "valid"},
    "rectangular-kernels": {"n_kernels": (16, 32), "kernel_size": ((1, 3), (3, 1))},
    "strides": {"n_kernels": (16, 32), "stride": (1, 2), "padding": 1, "pool_size": 1},
    "max-pool-3": {"pool_size": 3},
    "min-pool": {"pool": "min"},
    "avg-pool": {"pool": "avg", "activation": "tanh"},
    "logistic": {"activation": "logistic", "learning_rate_init": 0.01, "max_iter": 60},
    "no-hidden-layer": {"hidden_layer_sizes": ()},
    "two-hidden-layers": {"hidden_layer_sizes": (32, 16), "activation": "leaky_relu"},
    "batch-of-one": {"batch_size": 1},
    "batch-of-one-balanced": {"batch_size": 1, "class_weight": "balanced"},
    "batch-of-one-slower": {"batch_size": 1, "max_iter": 2, "learning_rate_init": 0.0005},
    "batch-of-all": {"batch_size": 10**6},
    "batch-of-all-sgd": {"batch_size": 10**6, "solver": "sgd", "learning_rate_init": 0.05},
    "batch-of-seven": {"batch_size": 7, "shuffle": False},
    "early-stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "early-stopping-sgd-float32": {
        "early_stopping": True,
        "solver": "sgd",
        "dtype": "float32",
        "validation_fraction": 0.2,
    },
    "balanced": {"class_weight": "balanced"},
    "standard-scaling": {"scaling": "standard"},
    "no-scaling": {"scaling": None},
    "penalty": {"solver": "adam", "alpha": 0.01},
    "one-thread": {"n_jobs": 1},
    "two-threads": {"n_jobs": 2, "batch_size": 32},
    "all-threads": {"n_jobs": -1, "dtype": "float32"},
    "channels-first": {"data_format": "channels_first"},
    "layers-flat": {"layers": [Conv2D(8), ReLU(), Flatten(), Dense(32), Tanh()]},
    "layers-pools": {
        "layers": (Conv2D(16, (1, 2)), LeakyReLU(), MinPool2D(1), MaxPool2D(1), AvgPool2D(1), Flatten()),
    },
    "layers-global": {
        "layers": [Conv2D(32), ReLU(), GlobalAvgPool2D(), Dense(32), Tanh()],
        "learning_rate_init": 0.02,
    },
    "layers-position-bias": {
        "layers": [Conv2D(8, bias="position"), ReLU(), Conv2D(8, bias=False), Softmax(), Flatten()]
    },
    "layers-dense": {"layers": [Flatten(), Dense(32), ReLU()]},
    "batch-norm": {"batch_norm": True},
    "dropout": {"dropout": 0.1},
    "augmentation": {"augment": [Shift(1), Cutout(1)], "label_smoothing": 0.05},
    "scoring": {"early_stopping": True, "scoring": "neg_log_loss", "dropout": 0.1},
    "batch-norm-dropout-per-layer-early-stopping": {
        "n_kernels": (16, 32),
        "batch_norm": True,
        "dropout": (0.0, 0.1, 0.2),
        "early_stopping": True,
    },
    "layers-residual": {
        "layers": [
            Residual([Conv2D(8, bias=False), BatchNorm(), ReLU(), Conv2D(8)]),
            SpatialDropout2D(0.1),
            GlobalMaxPool2D(),
            Residual([Dense(32), GELU(), Dense(8)]),
        ],
        "learning_rate_init": 0.01,
    },
    "adamw-one-cycle": {"solver": "adamw", "alpha": 0.01, "learning_rate": "one_cycle", "activation": "silu"},
    "clipped-rmsprop-plateau": {"solver": ClipNorm(RMSprop()), "learning_rate": "plateau", "activation": "elu"},
}
# with one batch of all rows in a fixed order, float64 and plain steps, weights and repeated rows give the same
FULL_BATCH = {
    "dtype": "float64",
    "solver": SGD(),
    "learning_rate_init": 0.05,
    "batch_size": 10**6,
    "shuffle": False,
    "max_iter": 100,
}


def failures(setting, expected):
    """Run all checks. Return those that failed or were skipped, but for those that are expected to fail."""
    results = check_estimator(
        NumpyCNNClassifier(**setting), expected_failed_checks=expected, on_skip=None, on_fail=None
    )
    assert len(results) > 50
    return [
        (result["check_name"], result["status"], str(result["exception"]))
        for result in results
        if result["status"] not in ("passed", "xfail")
    ]


# the other settings take minutes each
QUICK = ("fewer-epochs",)
SLOW = ("default", "early-stopping-sgd-float32", "batch-norm-dropout-per-layer-early-stopping", "batch-of-all")


def marks(name):
    return [] if name in QUICK else [pytest.mark.slow if name in SLOW else pytest.mark.nightly]


# the small data of the checks make an estimator warn for good reasons; conftest.py sets SCIPY_ARRAY_API=1, without
# which scikit-learn skips one check
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in SETTINGS])
def test_all_checks_pass(name):
    assert failures(SETTINGS[name], EXPECTED) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_checks_pass_without_exception_for_a_full_batch():
    assert failures(FULL_BATCH, {}) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "check", [check_dataframe_column_names_consistency, check_param_validation, check_inplace_ensure_writeable]
)
def test_checks_outside_check_estimator(check):
    check("NumpyCNNClassifier", NumpyCNNClassifier(max_iter=2))
