"""Accuracy on Fashion-MNIST's test set and on scikit-learn's digits, and training time, over several seeds.

    python benchmarks/accuracy.py defaults               # 3 seeds: about 6 minutes
    python benchmarks/accuracy.py defaults --peer        # also PyTorch in two memory layouts, in turn: about 15 minutes
    python benchmarks/accuracy.py DEEP                   # 3 seeds: about an hour and a half
    python benchmarks/accuracy.py digits                 # stratified 5-fold, 3 different splits: about a minute

On Fashion-MNIST, networks train on all 60,000 training images, and the final weights are evaluated once. The test set
was not used to choose the settings; see `choices.py`. PyTorch trains the same network with the same batch size, epochs,
learning-rate schedule and weight decay.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
from exercise import commit
from peers import DEFAULT, Torch, TorchChannelsLast
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skcnn import NumpyCNNClassifier, presets
from skcnn._estimator.automatic import alpha_for, batch_size_for, learning_rate_for, n_epochs_for
from skcnn.augmentation import Rotate
from skcnn.datasets import load_fashion_mnist
from skcnn.optimizers import AdamW
from skcnn.schedules import schedule_from

TURNED = {  # the settings that the user guide shows for digits
    "n_kernels": (32, 64),
    "dropout": (0.0, 0.0, 0.3),
    "augment": Rotate(10),
    "dtype": "float32",
    "max_iter": 30,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["defaults", "DEEP", "digits"])
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--peer", action="store_true", help="also train PyTorch; only with defaults")
    parser.add_argument("--backend", default="numpy", help="for skcnn")
    args = parser.parse_args()
    print(f"{args.what}, commit {commit()}", flush=True)
    if args.what == "digits":
        digits(args.seeds)
    else:
        preset = getattr(presets, args.what) if args.what == "DEEP" else {}
        layouts = {"PyTorch": Torch, "PyTorch, channels_last": TorchChannelsLast} if args.peer else {}
        peers = {name: partial(pytorch, layout) for name, layout in layouts.items()}
        fashion_mnist({"skcnn": ours, **peers}, {**preset, "backend": args.backend}, args.seeds)


def digits(seeds):
    """Print the mean accuracy over 5 folds for every seed, for the defaults and for the user guide's settings."""
    X, y = load_digits(return_X_y=True)
    for name, preset in {"defaults": {}, "more kernels, turned images": TURNED}.items():
        means = []
        for seed in seeds:
            folds = StratifiedKFold(5, shuffle=True, random_state=seed)
            clf = NumpyCNNClassifier(**{**preset, "random_state": seed})
            means.append(cross_val_score(clf, X, y, cv=folds).mean())
        _report(name, means)


def fashion_mnist(contenders, preset, seeds):
    """Print the accuracy and the training time of every contender and seed, in turn."""
    X_train, y_train = load_fashion_mnist(return_X_y=True)
    X_test, y_test = load_fashion_mnist(subset="test", return_X_y=True)
    scores, seconds = ({name: [] for name in contenders} for _ in range(2))
    for seed in seeds:
        for name, contender in contenders.items():
            predicted, took = contender(preset, seed, X_train, y_train, X_test)
            scores[name].append(accuracy_score(y_test, predicted))
            seconds[name].append(took)
            print(f"{name}, seed {seed}: accuracy {scores[name][-1]:.4f}, fitted in {took:.0f} s", flush=True)
    for name in contenders:
        _report(name, scores[name], f", fitted in {np.median(seconds[name]):.0f} s (median)")


def ours(preset, seed, X_train, y_train, X_test):
    clf = NumpyCNNClassifier(**{**preset, "random_state": seed})
    clone(clf).set_params(max_iter=1).fit(X_train[:1000], y_train[:1000])  # compiles the kernels, if need be
    start = time.perf_counter()
    clf.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    return clf.predict(X_test), seconds


def pytorch(layout, preset, seed, X_train, y_train, X_test):
    """Train the default network with the default settings, from PyTorch's own initial weights."""
    import torch

    torch.manual_seed(seed)
    clf, n_samples = NumpyCNNClassifier(), len(X_train)
    batch = batch_size_for(clf, n_samples)
    n_epochs = n_epochs_for(clf, n_samples, batch)
    decay = alpha_for(clf, AdamW(), n_epochs * -(-n_samples // batch))
    peer = layout(DEFAULT, batch)
    weights, biases = ([p for p in peer.module.parameters() if (p.ndim > 1) == wanted] for wanted in (True, False))
    groups = [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}]
    peer.optimizer = torch.optim.AdamW(groups)
    schedule = schedule_from(clf.learning_rate)
    top = learning_rate_for(clf, AdamW(), schedule)
    images, test_images, labels = (
        peer.prepare(X_train),
        peer.prepare(X_test),
        torch.from_numpy(y_train.astype(np.int64)),
    )
    start = time.perf_counter()
    for epoch in range(n_epochs):
        batches = torch.randperm(len(images)).split(batch)
        for step, rows in enumerate(batches):
            rate = top * schedule(epoch + step / len(batches), n_epochs)
            for group in peer.optimizer.param_groups:
                group["lr"] = rate
            peer.step(images[rows], labels[rows])
    seconds = time.perf_counter() - start
    return torch.cat(peer.predict(test_images)).argmax(1).numpy(), seconds


def _report(name, scores, more=""):
    spread = np.std(scores, ddof=len(scores) > 1)
    each = " ".join(f"{score:.4f}" for score in scores)
    print(f"{name}: {each}, mean {np.mean(scores):.4f} +- {spread:.4f}{more}", flush=True)


if __name__ == "__main__":
    main()
