"""Time to an accuracy of 0.90 on Fashion-MNIST's test set, including imports, loading data, training and evaluation.

    python benchmarks/race.py                             # skcnn, PyTorch, Keras, in turn: about 5 minutes
    python benchmarks/race.py --rounds 1 --only skcnn

Every contender runs in a new process. All train the default network with the same settings: batch size 64, Adam, and a
learning rate that falls from 0.002 by a cosine over 5 epochs. They are evaluated on the test set after every epoch. The
time is that of the whole process, which ends after the first epoch with an accuracy of at least 0.90. No settings are
chosen by these results, so using the test set is fair.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from math import cos, inf, pi

GOAL, BATCH, RATE, EPOCHS = 0.90, 64, 0.002, 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=list(CONTENDERS), nargs="+", default=list(CONTENDERS))
    parser.add_argument("--child", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return race(args.child, args.seed)
    times = {name: [] for name in args.only}
    for seed in range(args.rounds):
        for name in args.only:
            start = time.perf_counter()
            command = [sys.executable, __file__, "--child", name, "--seed", str(seed)]
            told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split("seen:")[-1]
            seconds, reached = time.perf_counter() - start, float(told.split()[-1]) >= GOAL
            times[name].append(seconds if reached else inf)
            print(
                f"{name}, seed {seed}: {seconds:.1f} s, {told.strip()}", "" if reached else "(not reached)", flush=True
            )
    for name, seconds in times.items():
        print(f"{name}: median {statistics.median(seconds):.1f} s")
    return 0


def race(name, seed):
    """Train until the goal is reached, and print the accuracy after every epoch."""
    from skcnn.datasets import load_fashion_mnist

    parts = (load_fashion_mnist(subset=part, return_X_y=True) for part in ("train", "test"))
    accuracies = CONTENDERS[name](seed, *next(parts), *next(parts))
    print("seen:", *(f"{accuracy:.4f}" for accuracy in accuracies))
    return 0


def rate_at(epoch):
    return RATE * (1 + cos(pi * epoch / EPOCHS)) / 2


def skcnn(seed, X, y, X_test, y_test):
    from skcnn import NumpyCNNClassifier

    class Look:
        """A scikit-learn callback that ends training when the goal is reached."""

        accuracies = []  # noqa: RUF012  # there is only one instance

        def setup(self, estimator, context): ...

        def teardown(self, estimator, context): ...

        def on_fit_task_begin(self, estimator, context): ...

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch":
                self.accuracies.append(fitted_estimator.score(X_test, y_test))
                return self.accuracies[-1] >= GOAL
            return None

    recipe = {"solver": "adam", "alpha": 0.0, "learning_rate_init": RATE, "learning_rate": "cosine"}
    recipe |= {"batch_size": BATCH, "max_iter": EPOCHS}
    NumpyCNNClassifier(**recipe, random_state=seed).set_callbacks(Look()).fit(X, y)
    return Look.accuracies


def pytorch(seed, X, y, X_test, y_test):
    import torch
    from peers import DEFAULT, TorchChannelsLast

    torch.manual_seed(seed)
    peer = TorchChannelsLast(DEFAULT, BATCH)
    images, test_images, labels = peer.prepare(X), peer.prepare(X_test), torch.from_numpy(y.astype("int64"))
    accuracies = []
    for epoch in range(EPOCHS):
        batches = torch.randperm(len(images)).split(BATCH)
        for step, rows in enumerate(batches):
            peer.optimizer.param_groups[0]["lr"] = rate_at(epoch + step / len(batches))
            peer.step(images[rows], labels[rows])
        predicted = torch.cat(peer.predict(test_images)).argmax(1).numpy()
        accuracies.append((predicted == y_test).mean())
        if accuracies[-1] >= GOAL:
            break
    return accuracies


def keras(seed, X, y, X_test, y_test):
    import keras
    from peers import DEFAULT, Keras

    keras.utils.set_random_seed(seed)
    peer = Keras(DEFAULT, BATCH)
    images, test_images, steps = peer.prepare(X), peer.prepare(X_test), -(-len(X) // BATCH)
    accuracies = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = rate_at(len(accuracies) + batch / steps)

        def on_epoch_end(self, epoch, logs=None):
            accuracies.append((peer.predict(test_images).argmax(1) == y_test).mean())
            self.model.stop_training = bool(accuracies[-1] >= GOAL)

    peer.model.fit(images, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[Look()])
    return accuracies


CONTENDERS = {"skcnn": skcnn, "PyTorch": pytorch, "Keras": keras}

if __name__ == "__main__":
    sys.exit(main())
