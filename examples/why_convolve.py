"""Why convolve? Compare CNNs with a fully connected network on digits that are moved by one or two pixels.

    python examples/why_convolve.py

All networks have about the same number of parameters. They train on digits in the middle of a frame. The test digits
are then moved up, down, left and right. The frame is wide enough that no part of a digit is lost. The script takes one
or two minutes.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, GlobalAvgPool2D, MaxPool2D, ReLU

SEEDS = range(3)
MARGIN = 2
DISTANCES = (0, 1, 2)
DIRECTIONS = [(-1, 0), (1, 0), (0, -1), (0, 1)]

# global average pooling: the output depends on whether a kernel found something, not on where
ANYWHERE = [Conv2D(32), ReLU(), MaxPool2D(), Conv2D(105), ReLU(), GlobalAvgPool2D()]


def main():
    digits = load_digits()
    images = np.pad(digits.images, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))) / 16 - 0.5
    flat = images.reshape(len(images), -1).astype(np.float32)  # 144 is a square number, so the CNN reads 12x12

    scores, sizes = {}, {}
    for seed in SEEDS:
        X_train, X_test, y_train, y_test = train_test_split(
            flat, digits.target, test_size=0.25, stratify=digits.target, random_state=seed
        )
        models = {
            "CNN": NumpyCNNClassifier(random_state=seed),
            "CNN, global average": NumpyCNNClassifier(layers=ANYWHERE, random_state=seed),
            # 224 units give about as many parameters as the CNN has; training stops when the loss stops falling
            "MLP": MLPClassifier(224, tol=1e-3, max_iter=1000, random_state=seed),
        }
        for name, model in models.items():
            model.fit(X_train, y_train)
            scores.setdefault(name, []).append([moved_score(model, X_test, y_test, by) for by in DISTANCES])
            sizes[name] = sum(array.size for array in model.coefs_ + model.intercepts_)

    print(f"accuracy on the test set: mean and standard deviation over {len(SEEDS)} seeds")
    print(f"{'':20}  parameters  {'in place':14}  {'moved by 1':14}  moved by 2")
    for name, rows in scores.items():
        columns = zip(np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1), strict=True)
        print(f"{name:20}  {sizes[name]:10,}  {'  '.join(f'{mean:.3f} +- {std:.3f}' for mean, std in columns)}")
    print(
        "A fully connected layer has separate weights for every pixel, so a stroke that has moved is new to it.\n"
        "A kernel has the same weights at every position, so it still finds the stroke. Pooling makes the exact\n"
        "position matter less."
    )


def moved_score(model, X, y, by):
    """Return the accuracy on images moved by `by` pixels, averaged over the four directions."""
    images = X.reshape(-1, 12, 12)
    moved = (np.roll(images, (by * dy, by * dx), axis=(1, 2)) for dy, dx in DIRECTIONS)
    return np.mean([model.score(some.reshape(X.shape), y) for some in moved])


if __name__ == "__main__":
    main()
