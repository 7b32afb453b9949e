"""Accuracy of the preset EXERCISE on Fashion-MNIST's test set over several seeds, in skcnn and in PyTorch.

    python benchmarks/exercise.py                       # EXERCISE, seeds 0 to 4: about 10 minutes
    python benchmarks/exercise.py --preset EXERCISE_ORIGINAL --seeds 0
    python benchmarks/exercise.py --peer torch          # the same network and settings in PyTorch, about as long

For each seed, the network trains on all 60,000 training images for 3 epochs with batch size 1. The final weights are
evaluated once.
"""

from __future__ import annotations

import argparse
import subprocess
import time

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from skcnn import NumpyCNNClassifier, presets
from skcnn.datasets import load_fashion_mnist


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=presets.__all__, default="EXERCISE")
    parser.add_argument("--peer", choices=["torch"])
    parser.add_argument("--seeds", type=int, nargs="+", default=range(5))
    args = parser.parse_args()
    X_train, y_train = load_fashion_mnist(return_X_y=True)
    X_test, y_test = load_fashion_mnist(subset="test", return_X_y=True)
    preset = getattr(presets, args.preset)
    run = torch_predictions if args.peer else our_predictions
    print(f"{args.peer or 'skcnn'} {args.preset}, commit {commit()}")
    scores = []
    for seed in args.seeds:
        start = time.perf_counter()
        predicted = run(preset, seed, X_train, y_train, X_test)
        scores.append((accuracy_score(y_test, predicted), f1_score(y_test, predicted, average="macro")))
        seconds = time.perf_counter() - start
        print(f"seed {seed}: accuracy {scores[-1][0]:.4f}, macro F1 {scores[-1][1]:.4f} ({seconds:.0f} s)", flush=True)
    (accuracy, f1), spread = np.mean(scores, axis=0), np.std(scores, axis=0, ddof=len(scores) > 1)
    print(f"mean of {len(scores)}: accuracy {accuracy:.4f} +- {spread[0]:.4f}, macro F1 {f1:.4f} +- {spread[1]:.4f}")


def our_predictions(preset, seed, X_train, y_train, X_test):
    return NumpyCNNClassifier(**{**preset, "random_state": seed}).fit(X_train, y_train).predict(X_test)


def torch_predictions(preset, seed, X_train, y_train, X_test):
    """Train the same network in PyTorch, from PyTorch's default initial weights for these layers."""
    import torch
    from torch import nn

    torch.set_num_threads(1)  # only accuracy is measured, and a batch of one image is too small to share
    torch.manual_seed(seed)
    network = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding="same"), nn.ReLU(), nn.Conv2d(6, 6, 5, padding="same"), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 100), nn.ReLU(), nn.Linear(100, 10)),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=preset["learning_rate_init"])
    images, labels, test_images = (torch.from_numpy(a) for a in (X_train, y_train, X_test))
    size = preset["batch_size"]
    for _ in range(preset["max_iter"]):
        for rows in torch.randperm(len(images)).split(size):
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(network(_scaled(images[rows])), labels[rows]).backward()
            optimizer.step()
    with torch.inference_mode():
        return torch.cat([network(_scaled(part)).argmax(1) for part in test_images.split(1000)]).numpy()


def _scaled(images):
    return (images.float() / 255 - 0.5).unsqueeze(1)


def commit():
    return subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()


if __name__ == "__main__":
    main()
