"""Draw the picture of the front page: a digit on its way through a trained network.

python docs/picture.py
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.layers import ReLU

PICTURE = Path(__file__).parent / "_static" / "network.svg"
# they are seen on white and on black
GREY, BLUE = "#808080", "#2f8fa8"


def main():
    """Train the network and draw the picture."""
    digits = load_digits()
    X = digits.images.astype(np.float32) / 16 - 0.5
    X_train, X_test, y_train, _ = train_test_split(X, digits.target, stratify=digits.target, random_state=0)
    clf = NumpyCNNClassifier(scaling=None, random_state=0).fit(X_train, y_train)
    image = X_test[:1]
    first, second, units = activations(clf, image)

    mpl.rcParams.update({"text.color": GREY, "font.size": 9, "svg.hashsalt": "skcnn"})
    figure = plt.figure(figsize=(9, 2.2), layout="constrained")
    parts = figure.subfigures(1, 5, width_ratios=[1.7, 2.6, 2.6, 0.9, 1.9], wspace=0.04)
    show_maps(parts[0], image, 1, "image\n8x8", cmap="gray_r")
    show_maps(parts[1], first, 8, f"convolution and ReLU\n{first.shape[-1]} feature maps 8x8")
    show_maps(parts[2], second, 8, f"convolution and ReLU\n{second.shape[-1]} feature maps 4x4")
    show_maps(parts[3], units.reshape(1, 20, 5, 1), 1, f"hidden layer\n{units.size} units")
    show_probabilities(parts[4], clf.predict_proba(image)[0], "softmax\n10 probabilities")
    figure.savefig(PICTURE, transparent=True, metadata={"Date": None})


def activations(clf, image):
    """Return the outputs of the two convolutions and of the hidden layer, behind their ReLUs."""
    x, found = image[..., np.newaxis], []
    for layer, params in zip(clf.network_.layers, clf.network_.params, strict=True):
        x = layer.apply(params, x)
        if isinstance(layer, ReLU):
            found.append(x)
    return found


def show_maps(part, maps, n, title, cmap="viridis"):
    """Show the `n` strongest feature maps."""
    maps = np.moveaxis(maps.reshape(*maps.shape[:3], -1)[0], -1, 0)
    strongest = np.sort(np.argsort(-maps.max(axis=(1, 2)))[:n])
    axes = np.ravel(part.subplots(2 if n > 1 else 1, max(1, n // 2)))
    for ax, feature_map in zip(axes, maps[strongest], strict=True):
        ax.imshow(feature_map, cmap=cmap, interpolation="none")
        ax.axis("off")
    part.suptitle(title, fontsize=9)


def show_probabilities(part, probability, title):
    """Show a bar for each class."""
    ax = part.subplots()
    bars = ax.barh(range(10), probability, color=BLUE)
    best = probability.argmax()
    ax.bar_label(bars, [f"{p:.2f}" if k == best else "" for k, p in enumerate(probability)], padding=2, color=GREY)
    ax.set(xlim=(0, 1.35), xticks=[], yticks=range(10))
    ax.invert_yaxis()
    ax.tick_params(colors=GREY, length=0, labelsize=7)
    ax.spines[:].set_visible(False)
    part.suptitle(title, fontsize=9)


if __name__ == "__main__":
    main()
