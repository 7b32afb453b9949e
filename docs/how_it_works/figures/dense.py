"""Figures of the page on dense layers and activations."""

import numpy as np
from matplotlib.figure import Figure

from figures.drawing import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    WIDTH,
    cells,
    new_figure,
    signed,
    symbol,
)
from figures.models import classifier, digits, one_digit, outputs
from skcnn.layers import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh


def product():
    """Show the last layer of the trained network: the hidden units times the weights give the logits."""
    clf = classifier()
    *_, hidden, logits = outputs(clf.network_, one_digit(3, 2)[np.newaxis, ..., None])
    figure = Figure((WIDTH, 3.3), layout="constrained")
    above, middle, below = figure.subfigures(3, 1, height_ratios=(0.7, 2.1, 1))
    for part, array, title in (
        (above, hidden, "x: 100 hidden units"),
        (middle, clf.coefs_[-1].T, "W, turned by 90 degrees: 10 rows, one per digit"),
    ):
        axes = part.subplots()
        signed(axes, array, title)
        axes.set_aspect("auto")
    axes = below.subplots()
    axes.bar(range(10), logits[0], color=[GREEN if logit > 0 else GREY for logit in logits[0]])
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(range(10))
    axes.set_title("out: 10 logits")
    return figure


def flattening():
    """Show the order in which a map with two channels becomes a row."""
    numbers = np.arange(12).reshape(2, 3, 2)
    figure = Figure((WIDTH, 1.75), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.6, 1))
    axes = above.subplots(1, 2)
    for channel, ax in enumerate(axes):
        cells(ax, numbers[:, :, channel], f"channel {channel}", limits=(0, 16))
    cells(below.subplots(), numbers.reshape(1, 12), "row of 12 elements", limits=(0, 16))
    return figure


def exclusive_or():
    """Show the output of two hidden ReLU units over the plane, which no linear function can give."""
    x1, x2 = np.meshgrid(np.linspace(-0.3, 1.3, 65), np.linspace(-0.3, 1.3, 65))
    first, second = np.maximum(x1 + x2, 0), np.maximum(x1 + x2 - 1, 0)
    figure, axes = new_figure(1.75, 1, 3, sharey=True)
    titles = "first unit", "second unit", "first $-$ 2 second"
    for ax, values, title in zip(axes, (first, second, first - 2 * second), titles, strict=True):
        ax.imshow(values, origin="lower", extent=(-0.3, 1.3, -0.3, 1.3), cmap="RdBu_r", vmin=-2, vmax=2)
        ax.set_title(title)
        ax.plot((0, 1), (0, 1), "s", color="black", markersize=5)
        ax.plot((0, 1), (1, 0), "o", color=ORANGE, markeredgecolor="black", markersize=6)
        ax.set_xticks((0, 1))
        ax.set_xlabel("$x_1$")
    axes[0].set_yticks((0, 1))
    axes[0].set_ylabel("$x_2$")
    return figure


def pieces():
    """Approximate a sine by sums of ReLUs, fitted by least squares."""
    x = np.linspace(0, 2 * np.pi, 400)
    figure, axes = new_figure(1.7, 1, 3, sharey=True)
    for ax, n_units in zip(axes, (3, 5, 10), strict=True):
        kinks = np.linspace(0, 2 * np.pi, n_units + 1)[:-1]
        units = np.maximum(x[:, np.newaxis] - kinks, 0)
        design = np.column_stack([units, np.ones_like(x)])
        fitted = design @ np.linalg.lstsq(design, np.sin(x), rcond=None)[0]
        ax.plot(x, np.sin(x), color=GREY, linewidth=3, alpha=0.6)
        ax.plot(x, fitted, color=BLUE)
        ax.set_title(f"{n_units} units")
        ax.set_xticks(())
    return figure


def activations():
    """Plot the activations and their derivatives."""
    layers = {
        "ReLU": ReLU(), "LeakyReLU(0.1)": LeakyReLU(0.1), "ELU": ELU(), "GELU": GELU(),
        "SiLU": SiLU(), "Tanh": Tanh(), "Sigmoid": Sigmoid(),
    }  # fmt: skip
    x = np.linspace(-4, 4, 201).reshape(1, -1)
    figure, axes = new_figure(2.9, 2, 4, sharex=True, sharey=True)
    for ax, (name, layer) in zip(axes.flat, layers.items(), strict=False):
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.axvline(0, color=GREY, linewidth=0.6)
        ax.plot(x[0], layer.apply({}, x)[0], color=BLUE, label="function")
        ax.plot(x[0], layer.gradient({}, x, np.ones_like(x))[0][0], color=ORANGE, linestyle="--", label="derivative")
        ax.set_title(name, fontsize=8)
        ax.set_ylim(-1.3, 2.4)
        ax.set_xticks((-4, 0, 4))
    symbol(axes[1, 3], "")
    axes[1, 3].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", handlelength=1.2)
    return figure


def sparsity():
    """Show the numbers before and after ReLU in the first layer of the trained network."""
    _, X_test, *_ = digits()
    before = outputs(classifier().network_, X_test[..., np.newaxis])[1].ravel()
    figure, axes = new_figure(1.8)
    bins = np.linspace(-4, 4, 81)
    axes.hist(before[before <= 0], bins, color=RED, alpha=0.7, label=f"set to 0: {np.mean(before <= 0):.0%}")
    axes.hist(before[before > 0], bins, color=BLUE, alpha=0.8, label=f"kept: {np.mean(before > 0):.0%}")
    axes.set_xlabel("element of a feature map before ReLU")
    axes.set_yticks(())
    axes.legend()
    return figure


def initial_weights():
    """Follow the root mean square of the units through 20 dense layers with ReLU, for three initial variances."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 100))
    figure, axes = new_figure(2.1)
    names = {1: "1 / fan_in (LeCun)", 2: "2 / fan_in (He)", 4: "4 / fan_in"}
    for (factor, name), colour in zip(names.items(), (RED, GREEN, BLUE), strict=True):
        out, sizes = x, []
        for _ in range(20):
            out = np.maximum(out @ rng.normal(0, np.sqrt(factor / 100), (100, 100)), 0)
            sizes.append(np.sqrt(np.mean(out**2)))
        axes.semilogy(range(1, 21), sizes, "o-", markersize=3, color=colour, label=f"variance {name}")
    axes.set_xlabel("layer")
    axes.set_ylim(3e-4, 1e6)
    axes.set_ylabel("RMS of the units")
    axes.set_xticks((1, 5, 10, 15, 20))
    axes.grid(True)
    axes.legend()
    return figure


def vanishing():
    """Follow the norm of the gradient backwards through 20 layers, for three activations with suitable weights."""
    rng = np.random.default_rng(0)
    figure, axes = new_figure(2.1)
    kinds = {"ReLU, He": (ReLU(), 2), "Tanh, LeCun": (Tanh(), 1), "Sigmoid, LeCun": (Sigmoid(), 1)}
    for (name, (layer, factor)), colour in zip(kinds.items(), COLOURS, strict=False):
        x, passed = rng.normal(size=(200, 100)), []
        for _ in range(20):
            W = rng.normal(0, np.sqrt(factor / 100), (100, 100))
            passed.append((W, x @ W))
            x = layer.apply({}, x @ W)
        d_out, norms = rng.normal(size=x.shape), []
        for W, before in reversed(passed):
            d_out = layer.gradient({}, before, d_out)[0] @ W.T
            norms.append(np.linalg.norm(d_out))
        axes.semilogy(range(20, 0, -1), np.array(norms) / norms[0], "o-", markersize=3, color=colour, label=name)
    axes.set_xlabel("layer")
    axes.set_ylabel("gradient, relative to layer 20")
    axes.set_xticks((1, 5, 10, 15, 20))
    axes.grid(True)
    axes.legend()
    return figure
