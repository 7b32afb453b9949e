"""How the defaults were chosen: train with different settings, and compare the accuracy on validation data.

    python benchmarks/choices.py                          # all settings, 3 seeds: about an hour
    python benchmarks/choices.py --settings decay "one cycle" --seeds 0

Fashion-MNIST's 60,000 training images are split once, stratified, into 50,000 for training and 10,000 for validation.
The test set is not used.
"""

from __future__ import annotations

import argparse
from itertools import chain

import numpy as np
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.datasets import load_fashion_mnist
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU


def stack(initializer):
    """The default layers, with other initial weights."""
    convolutions = ([Conv2D(n, initializer=initializer), ReLU(), MaxPool2D()] for n in (16, 32))
    return [*chain.from_iterable(convolutions), Flatten(), Dense(100, initializer=initializer), ReLU()]


ADAM = {"solver": "adam", "alpha": 1e-4, "max_iter": 10}
SETTINGS = {
    "Adam, penalty 0.0001, 10 epochs": ADAM,
    "Adam, penalty 0.0001, 20 epochs": {**ADAM, "max_iter": 20},
    "10 epochs": {"max_iter": 10},
    "defaults": {},
    "rate 0.001": {"learning_rate_init": 0.001},
    "rate 0.004": {"learning_rate_init": 0.004},
    "constant rate": {"learning_rate": "constant"},
    "one cycle, rate 0.004": {"learning_rate": "one_cycle", "learning_rate_init": 0.004},
    "batches of 32, rate 0.0014": {"batch_size": 32, "learning_rate_init": 0.0014},
    "batches of 128, rate 0.003": {"batch_size": 128, "learning_rate_init": 0.003},
    "decay 0.01": {"alpha": 0.01},
    "decay 0.2": {"alpha": 0.2},
    "Glorot's weights": {"layers": stack("glorot_uniform")},
    "dropout 0.4 of the hidden layer": {"dropout": (0.0, 0.0, 0.4)},
    "label smoothing 0.1": {"label_smoothing": 0.1},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument(
        "--settings", nargs="*", default=[""], help="run settings whose names contain one of these texts"
    )
    args = parser.parse_args()
    X, y = load_fashion_mnist(return_X_y=True)
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=10_000, stratify=y, random_state=123)
    for name, setting in SETTINGS.items():
        if any(part in name for part in args.settings):
            fits = [NumpyCNNClassifier(**setting, random_state=seed).fit(X_train, y_train) for seed in args.seeds]
            scores = [clf.score(X_held, y_held) for clf in fits]
            each = " ".join(f"{score:.4f}" for score in scores)
            losses = np.mean([clf.loss_ for clf in fits])
            print(f"{name}: {each}, mean {np.mean(scores):.4f}, training loss {losses:.3f}", flush=True)


if __name__ == "__main__":
    main()
