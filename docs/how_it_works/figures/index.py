"""Figures of the first page: the network as a whole."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.special import softmax

from figures.drawing import BLUE, GREEN, GREY, ORANGE, VIOLET, WIDTH, arrow, box, canvas, ink, new_figure, picture
from figures.models import classifier, one_digit, outputs
from skcnn import Network
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU


def network():
    """Draw the layers of the exercise with the shapes of their outputs."""
    figure, axes = canvas(3.6, 84, 72)
    stages = [
        (4, 1, 17, "28×28×1", "image", GREY),
        (24, 6, 17, "28×28×6", "conv 5×5\nReLU", BLUE),
        (48, 6, 17, "28×28×6", "conv 5×5\nReLU", BLUE),
        (71, 6, 9, "14×14×6", "max pool\n2×2", GREEN),
    ]
    for x, n_maps, size, shape, name, colour in stages:
        for i in reversed(range(n_maps)):
            corner = x + 0.7 * i, 22 - size / 2 - 0.9 * i
            axes.add_patch(Rectangle(corner, size, size, facecolor=colour, alpha=0.35, edgecolor=colour, zorder=2 - i))
        axes.text(x + size / 2 + 1, 34, shape, ha="center", fontsize=7.5)
        axes.text(x + size / 2 + 1, 4, name, ha="center", fontsize=8, va="center")
    for start in (21.3, 45, 69):
        arrow(axes, (start, 22), (start + 2.4, 22))
    for x, width, text, shape, colour in [
        (6, 15, "flatten", "1176", GREY),
        (28, 15, "dense\nReLU", "100", ORANGE),
        (50, 12, "dense", "10 logits", ORANGE),
        (68, 13, "softmax", "10 prob.", VIOLET),
    ]:
        box(axes, x, 48, width, 12, text, colour)
        axes.text(x + width / 2, 65, shape, ha="center", fontsize=7.5)
    for start, end in ((21, 28), (43, 50), (62, 68)):
        arrow(axes, (start, 54), (end, 54))
    axes.plot((76, 76, 2.5, 2.5), (35.5, 41, 41, 54), color=ink(), linewidth=1.1)
    arrow(axes, (2.5, 54), (6, 54))
    return figure


def feature_maps():
    """Show what every layer of the trained network returns for one digit."""
    image = one_digit(3, 2)
    x, _, first, _, second, pooled, _, _, hidden, logits = outputs(classifier().network_, image[np.newaxis, ..., None])
    figure = Figure((WIDTH, 4.6), layout="constrained")
    top, *middle, bottom = figure.subfigures(5, 1, height_ratios=(1.2, 1, 1, 1, 1.4))
    left, right = top.subplots(1, 2, width_ratios=(1, 3))
    picture(left, x[0, :, :, 0], "image, 8×8×1")
    picture(right, hidden.reshape(5, 20), "100 hidden units", cmap="viridis")
    titles = "first convolution and ReLU, 8×8×6", "second convolution and ReLU, 8×8×6", "max pooling, 4×4×6"
    for part, maps, title in zip(middle, (first, second, pooled), titles, strict=True):
        part.suptitle(title, fontsize=9)
        for k, ax in enumerate(part.subplots(1, 6)):
            picture(ax, maps[0, :, :, k], cmap="viridis", limits=(0, maps.max()))
    bars = bottom.subplots()
    bars.bar(range(10), softmax(logits[0]), color=VIOLET)
    bars.set_xticks(range(10))
    bars.set_yticks((0, 1))
    bars.set_title("probability of each digit")
    return figure


def parameters_and_work():
    """Compare where the network has its parameters with where it does its work."""
    layers = [Conv2D(6, 5), ReLU(), Conv2D(6, 5), ReLU(), MaxPool2D(2), Flatten(), Dense(100), ReLU(), Dense(10)]
    built = Network.build(layers, (28, 28, 1), np.random.default_rng(0), np.float32)
    with_weights = [i for i, params in enumerate(built.params) if params]
    n_params = [sum(array.size for array in built.params[i].values()) for i in with_weights]
    work = [layers[i].multiply_adds(built.shapes[i], built.shapes[i + 1]) for i in with_weights]
    figure, axes = new_figure(2.0, 1, 2, sharey=True)
    names = ["conv 1", "conv 2", "dense 1", "dense 2"]
    for ax, numbers, title, colour in zip(
        axes, (n_params, work), ("parameters", "multiply-adds per image"), (ORANGE, BLUE), strict=True
    ):
        bars = ax.barh(names, numbers, color=colour)
        ax.bar_label(bars, [f"{n:,}" for n in numbers], padding=2, fontsize=7.5)
        ax.set_xlim(0, 1.45 * max(numbers))
        ax.set_title(title)
        ax.set_xticks([])
    axes[0].invert_yaxis()
    return figure
