"""Time of training and prediction, ours and the installed peers', on the same work in turn.

    python benchmarks/speed.py                   # the network of EXERCISE: about five minutes
    python benchmarks/speed.py --rounds 3 --images 2000

Peers take part where they can be imported: PyTorch, in its default layout and in channels_last, and Keras. Every round
runs all of them once, in turn, so that a machine that slows down slows all; the medians of the rounds and their ratios
to ours are printed. Ours is the estimator's own `fit` and `predict`. The images are Fashion-MNIST's. Nothing else may
run meanwhile. Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which pin old kernels.
"""

from __future__ import annotations

import argparse
import platform
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_info

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.datasets import load_fashion_mnist
from skcnn.presets import EXERCISE

BATCHES = (1, 32, 128)
PREDICTED = 10_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", type=int, default=6_400, help="to train on for each measurement (batch 1: a quarter)"
    )
    args = parser.parse_args()
    X, y = load_fashion_mnist(return_X_y=True)
    contenders = {name: contender for name, contender in CONTENDERS.items() if find_spec(contender.package)}
    describe_machine(contenders)
    times = {}
    for warm_up in [True] + [False] * args.rounds:
        for task, measure in tasks(X, y, args.images):
            for name, contender in contenders.items():
                seconds = measure(contender)
                if not warm_up:
                    times.setdefault(task, {}).setdefault(name, []).append(seconds * 1e6)
    print_table(times, contenders)


def tasks(X, y, n_images):
    """Yield what to measure: its name, and a function of a contender that returns seconds an image."""
    for batch in BATCHES:
        n = n_images // 4 if batch == 1 else n_images
        yield f"train, batch {batch}", lambda contender, n=n, batch=batch: contender(batch).train(X[:n], y[:n]) / n
    yield f"predict {PREDICTED:,}", lambda contender: contender(32).predict(X[:PREDICTED], y) / PREDICTED
    yield "predict one image", lambda contender: contender(32).predict(X[:1], y, repeat=50)


def timed(function, repeat=1):
    start = perf_counter()
    for _ in range(repeat):
        function()
    return (perf_counter() - start) / repeat


class Ours:
    """The estimator, conversion of the images and all."""

    package = "skcnn"

    def __init__(self, batch):
        self.clf = NumpyCNNClassifier(**{**EXERCISE, "batch_size": batch, "max_iter": 1, "random_state": 0})

    def train(self, X, y):
        return timed(lambda: self.clf.fit(X, y))

    def predict(self, X, y, repeat=1):
        self.clf.set_params(batch_size=32).fit(load_fashion_mnist(return_X_y=True)[0][:320], y[:320])
        return timed(lambda: self.clf.predict_proba(X), repeat)


class Torch:
    """The same network; the images are converted beforehand, and the loop is as short as it can be."""

    package = "torch"
    channels_last = False

    def __init__(self, batch):
        from torch import nn

        self.batch = batch
        self.network = nn.Sequential(
            *(nn.Conv2d(1, 6, 5, padding="same"), nn.ReLU(), nn.Conv2d(6, 6, 5, padding="same"), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 100), nn.ReLU(), nn.Linear(100, 10)),
        )

    def _images(self, X):
        import torch

        images = (torch.from_numpy(X).float() / 255 - 0.5).unsqueeze(1)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.network = self.network.to(memory_format=layout)
        return images.to(memory_format=layout)

    def train(self, X, y):
        import torch

        images, labels = self._images(X), torch.from_numpy(y)
        optimizer = torch.optim.SGD(self.network.parameters(), lr=0.005)

        def epoch():
            for rows in torch.randperm(len(images)).split(self.batch):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(self.network(images[rows]), labels[rows]).backward()
                optimizer.step()

        return timed(epoch)

    def predict(self, X, y, repeat=1):
        import torch

        images = self._images(X)
        with torch.inference_mode():
            return timed(lambda: [self.network(part).softmax(1) for part in images.split(256)], repeat)


class TorchChannelsLast(Torch):
    """PyTorch's other layout, mostly the faster one on a CPU."""

    channels_last = True


class Keras:
    """Keras' own `fit` and `predict`."""

    package = "keras"

    def __init__(self, batch):
        import keras

        self.batch, layers = batch, keras.layers
        self.network = keras.Sequential(
            [
                *(layers.Input((28, 28, 1)), layers.Conv2D(6, 5, padding="same", activation="relu")),
                *(layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPool2D(2), layers.Flatten()),
                *(layers.Dense(100, activation="relu"), layers.Dense(10, activation="softmax")),
            ]
        )
        self.network.compile(keras.optimizers.SGD(0.005), "sparse_categorical_crossentropy")

    def train(self, X, y):
        images = X[..., np.newaxis].astype(np.float32) / 255 - 0.5
        self.network.fit(images[: self.batch], y[: self.batch], batch_size=self.batch, verbose=0)  # compiles
        return timed(lambda: self.network.fit(images, y, batch_size=self.batch, verbose=0))

    def predict(self, X, y, repeat=1):
        images = X[..., np.newaxis].astype(np.float32) / 255 - 0.5
        self.network.predict(images[:256], batch_size=256, verbose=0)
        return timed(lambda: self.network.predict(images, batch_size=256, verbose=0), min(repeat, 5))


CONTENDERS = {
    "skcnn": Ours,
    "PyTorch": Torch,
    "PyTorch, channels_last": TorchChannelsLast,
    "Keras": Keras,
}


def describe_machine(contenders):
    versions = [f"{c.package} {__import__(c.package).__version__}" for c in contenders.values()]
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(versions)}")
    print(
        f"skcnn {skcnn.__version__} with",
        *[f"{p['internal_api']} {p.get('architecture', '')}" for p in threadpool_info()],
    )


def print_table(times, contenders):
    print("microseconds an image, median of the rounds; in brackets the ratio to skcnn")
    print(f"{'':20}" + "".join(f"{name:>26}" for name in contenders))
    for task, of in times.items():
        ours = median(of["skcnn"])
        cells = [f"{median(of[name]):.1f} ({median(of[name]) / ours:.2f})" for name in contenders]
        print(f"{task:20}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
