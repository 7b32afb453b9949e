"""Figures of the page on back-propagation."""

import numpy as np
from matplotlib.figure import Figure
from scipy.signal import convolve2d, correlate2d

from figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    VIOLET,
    WIDTH,
    arrow,
    box,
    canvas,
    cells,
    new_figure,
    outline,
    picture,
    signed,
    signed_cells,
    symbol,
)
from figures.models import classifier, one_digit
from skcnn.layers import TRAIN, Conv2D

IMAGE = np.array([[1, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]])
KERNEL = np.array([[1, 0, -1], [2, 1, 0], [0, -1, 1]])
D_OUT = np.array([[1, -1], [2, 0]])


def passes():
    """Draw the forward and the backward pass through three layers."""
    figure, axes = canvas(2.3, 84, 45)
    for x, name, colour in ((14, "conv", BLUE), (39, "ReLU", GREEN), (64, "dense", ORANGE)):
        box(axes, x, 13, 13, 14, name, colour)
    for start, end, name in ((3, 14, "$x$"), (27, 39, "$o_1$"), (52, 64, "$o_2$"), (77, 83, "")):
        arrow(axes, (start, 16.5), (end, 16.5))
        axes.text((start + end) / 2, 12, name, ha="center", fontsize=9)
    for start, end, name in ((14, 3, "$\\bar x$"), (39, 27, "$\\bar o_1$"), (64, 52, "$\\bar o_2$"), (83, 77, "")):
        arrow(axes, (start, 23.5), (end, 23.5), RED)
        axes.text((start + end) / 2, 30, name, ha="center", fontsize=9, color=RED)
    for x, name in ((20.5, "$\\bar W_1, \\bar b_1$"), (70.5, "$\\bar W_3, \\bar b_3$")):
        arrow(axes, (x, 27), (x, 36), RED)
        axes.text(x, 41, name, ha="center", fontsize=9, color=RED)
    axes.text(42, 5, "forward: outputs", ha="center", fontsize=8.5)
    axes.text(45.5, 41, "backward: gradients", ha="center", fontsize=8.5, color=RED)
    return figure


def dense():
    """Show the products that give the gradients of a dense layer, with numbers."""
    x, W, d_out = np.array([[1, 2, 0], [0, 1, 3]]), np.array([[1, -1], [0, 2], [1, 1]]), np.array([[1, -1], [2, 0]])
    figure = Figure((WIDTH, 2.9), layout="constrained")
    rows = figure.subfigures(2, 1)
    for part, (left, right, names) in zip(
        rows,
        ((x.T, d_out, ("$x^T$", "$\\bar o$", "$\\bar W$")), (d_out, W.T, ("$\\bar o$", "$W^T$", "$\\bar x$"))),
        strict=True,
    ):
        result = left @ right
        widths = left.shape[1], 0.6, right.shape[1], 0.6, result.shape[1]
        axes = part.subplots(1, 5, width_ratios=widths)
        for ax, values, name in zip(axes[::2], (left, right, result), names, strict=True):
            signed_cells(ax, values, name, limit=6)
        symbol(axes[1], "·")
        symbol(axes[3], "=")
    return figure


def relu():
    """Show which gradients pass a ReLU."""
    x = np.array([[2, -1, 0], [-3, 1, 4], [1, -2, 3]])
    d_out = np.array([[1, 2, -1], [3, -2, 1], [-1, 1, 2]])
    figure, axes = new_figure(1.4, 1, 5, width_ratios=(3, 3, 3, 0.5, 3))
    signed_cells(axes[0], x, "$x$")
    cells(axes[1], x > 0, "$x > 0$", cmap="Greens", limits=(0, 2))
    signed_cells(axes[2], d_out, "$\\bar o$")
    symbol(axes[3], "→")
    signed_cells(axes[4], d_out * (x > 0), "$\\bar x$", limit=3)
    return figure


def pools():
    """Show how max and average pooling pass the gradient back."""
    x = np.array([[1, 3, 2, 0], [5, 2, 1, 1], [0, 1, 7, 4], [2, 3, 6, 8]])
    d_out = np.array([[4, -8], [2, 1]])
    shares = np.repeat(np.repeat(d_out, 2, axis=0), 2, axis=1)
    is_largest = x == np.repeat(np.repeat(x.reshape(2, 2, 2, 2).max(axis=(1, 3)), 2, axis=0), 2, axis=1)
    figure, axes = new_figure(1.5, 1, 4, width_ratios=(4, 2, 4, 4))
    cells(axes[0], x, "$x$", limits=(0, 10))
    signed_cells(axes[1], d_out, "$\\bar o$", limit=8)
    signed_cells(axes[2], shares * is_largest, "$\\bar x$, max", limit=8)
    signed_cells(axes[3], shares / 4, "$\\bar x$, mean", limit=8, size=7)
    for i, j in zip(*np.nonzero(is_largest), strict=True):
        outline(axes[0], i, j, 1, 1, ORANGE, 0.08)
    return figure


def kernel_gradient():
    """Show that the gradient of the kernel is the correlation of the input with the gradient of the output."""
    figure, axes = new_figure(1.7, 1, 5, width_ratios=(4, 0.5, 2, 0.5, 3))
    cells(axes[0], IMAGE, "$x$", limits=(0, 5))
    symbol(axes[1], "⋆")
    signed_cells(axes[2], D_OUT, "$\\bar o$", limit=3)
    symbol(axes[3], "=")
    signed_cells(axes[4], correlate2d(IMAGE, D_OUT, mode="valid"), "$\\bar W$")
    outline(axes[0], 0, 1, 2, 2, ORANGE)
    outline(axes[4], 0, 1, 1, 1, ORANGE, 0.06)
    return figure


def outputs_of_a_pixel():
    """Show the four outputs that see a pixel of a 4x4 image, and the weight by which each sees it."""
    figure, axes = new_figure(1.6, 1, 4)
    for ax, (i, j) in zip(axes, np.ndindex(2, 2), strict=True):
        cells(ax, np.full((4, 4), np.nan), f"$o_{{{i},{j}}}$ by $W_{{{1 - i},{2 - j}}}$", limits=(0, 1))
        outline(ax, i, j, 3, 3, BLUE)
        ax.plot(2, 1, "o", color=ORANGE, markersize=7)
    return figure


def input_gradient():
    """Show that the gradient of the input is the correlation of the padded gradient with the turned kernel."""
    padded = np.pad(D_OUT, 2)
    figure, axes = new_figure(1.65, 1, 5, width_ratios=(6, 0.5, 3, 0.5, 4))
    signed_cells(axes[0], padded, "$\\bar o$ with padding", limit=3, size=7)
    symbol(axes[1], "⋆")
    signed_cells(axes[2], KERNEL[::-1, ::-1], "turned $W$", size=7)
    symbol(axes[3], "=")
    signed_cells(axes[4], convolve2d(D_OUT, KERNEL), "$\\bar x$", size=7)
    outline(axes[0], 1, 2, 3, 3, ORANGE)
    outline(axes[4], 1, 2, 1, 1, ORANGE, 0.06)
    return figure


def dilation():
    """Show the gradient of a convolution with stride 2, with zeros between its elements."""
    d_out = np.array([[1, -1], [2, 3]])
    dilated = np.zeros((3, 3))
    dilated[::2, ::2] = d_out
    figure, axes = new_figure(1.7, 1, 4, width_ratios=(2, 0.6, 3, 7))
    signed_cells(axes[0], d_out, "$\\bar o$", limit=3)
    symbol(axes[1], "→")
    signed_cells(axes[2], dilated, "dilated", limit=3)
    signed_cells(axes[3], np.pad(dilated, 2), "with padding", limit=3, size=7)
    return figure


def check():
    """Measure the error of the numeric gradient of a convolution for steps of different sizes."""
    rng = np.random.default_rng(0)
    layer, x, d_out = Conv2D(2), rng.normal(size=(1, 6, 6, 2)), rng.normal(size=(1, 6, 6, 2))
    params = layer.init((6, 6, 2), rng, np.float64)

    def loss(step, index):
        W = params["W"].copy()
        W[index] += step
        return np.sum(np.tanh(layer.apply({**params, "W": W}, x, TRAIN)) * d_out)

    out = layer.apply(params, x)
    exact = layer.gradient(params, x, d_out * (1 - np.tanh(out) ** 2))[1]["W"]
    steps, errors = 10.0 ** np.arange(-12, 0.1, 0.5), {"forward": [], "central": []}
    for step in steps:
        forward, central = np.empty_like(exact), np.empty_like(exact)
        for index in np.ndindex(exact.shape):
            forward[index] = (loss(step, index) - loss(0, index)) / step
            central[index] = (loss(step, index) - loss(-step, index)) / (2 * step)
        for name, numeric in (("forward", forward), ("central", central)):
            errors[name].append(np.linalg.norm(numeric - exact) / np.linalg.norm(exact))
    figure, axes = new_figure(2.2)
    for (name, values), colour in zip(errors.items(), (GREY, BLUE), strict=True):
        axes.loglog(steps, values, "o-", markersize=3, color=colour, label=f"{name} difference")
    axes.set_xlabel("step $h$")
    axes.set_ylabel("relative error")
    axes.grid(True)
    axes.legend()
    return figure


def pixels():
    """Show the gradient of three logits with respect to the pixels of a digit."""
    image = one_digit(3, 2)
    network = classifier().network_
    figure, axes = new_figure(1.4, 1, 4)
    picture(axes[0], image, "image")
    for ax, label in zip(axes[1:], (3, 8, 9), strict=True):
        x, passed = image[np.newaxis, ..., None], []
        for layer, params in zip(network.layers, network.params, strict=True):
            passed.append((layer, params, x))
            x = layer.apply(params, x)
        gradient = np.eye(10, dtype=x.dtype)[label : label + 1]
        for layer, params, before in reversed(passed):
            gradient = layer.gradient(params, before, gradient)[0]
        signed(ax, gradient[0, :, :, 0], f"logit of {label}")
    return figure


def work():
    """Compare the multiplications of the forward and the backward pass of the network's layers."""
    forward = {"conv 1": 117_600, "conv 2": 705_600, "dense 1": 117_600}
    figure, axes = new_figure(1.7)
    names = list(forward)
    numbers = np.array(list(forward.values())) / 1000
    d_x = numbers * (np.array(names) != "conv 1")
    axes.barh(names, numbers, color=BLUE, label="forward")
    axes.barh(names, numbers, left=numbers, color=ORANGE, label="gradient of W")
    axes.barh(names, d_x, left=2 * numbers, color=VIOLET, label="gradient of x")
    axes.set_xlabel("thousand multiplications per image")
    axes.invert_yaxis()
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=7.5)
    return figure
