"""How the defaults were chosen: train with different settings, and compare the accuracy on validation data.

    python benchmarks/choices.py                          # all settings, 3 seeds: about an hour
    python benchmarks/choices.py --settings decay rate --seeds 0 --samples 10000

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


SETTINGS = {
    "defaults": {},
    "15 epochs": {"max_iter": 15},
    "rate 0.003": {"learning_rate_init": 0.003},
    "rate 0.01": {"learning_rate_init": 0.01},
    "cosine, rate 0.002": {"learning_rate": "cosine"},
    "constant rate": {"learning_rate": "constant"},
    "decay 0.05": {"alpha": 0.05},
    "decay 0.5": {"alpha": 0.5},
    "Adam": {"solver": "adam"},
    "batches of 128": {"batch_size": 128},
    "Glorot's weights": {"layers": stack("glorot_uniform")},
    "batch norm": {"batch_norm": True},
    "dropout 0.4 of the hidden layer": {"n_kernels": (16, 32), "dropout": (0.0, 0.0, 0.4)},
    "label smoothing 0.1": {"label_smoothing": 0.1},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument(
        "--settings", nargs="*", default=[""], help="run settings whose names contain one of these texts"
    )
    parser.add_argument("--samples", type=int, default=50_000, help="how many of the 50,000 images to train on")
    args = parser.parse_args()
    X, y = load_fashion_mnist(return_X_y=True)
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=10_000, stratify=y, random_state=123)
    X_train, y_train = X_train[: args.samples], y_train[: args.samples]
    for name, setting in SETTINGS.items():
        if any(part in name for part in args.settings):
            fits = [NumpyCNNClassifier(**setting, random_state=seed).fit(X_train, y_train) for seed in args.seeds]
            scores = [clf.score(X_held, y_held) for clf in fits]
            each = " ".join(f"{score:.4f}" for score in scores)
            losses = np.mean([clf.loss_ for clf in fits])
            print(f"{name}: {each}, mean {np.mean(scores):.4f}, training loss {losses:.3f}", flush=True)


if __name__ == "__main__":
    main()
