"""Figures of the page on cross-correlation."""

import numpy as np
from matplotlib.figure import Figure
from scipy.signal import correlate2d

from figures.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
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
from figures.models import classifier, one_digit, outputs

VERTICAL = np.array([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])
SMALL = np.array([[0, 0, 1, 1, 0], [0, 1, 2, 1, 0], [0, 2, 3, 0, 0], [1, 3, 1, 0, 0], [2, 2, 0, 0, 1]])


def one_position():
    """Show a patch of a digit, the kernel, their products and the sum."""
    digit = (one_digit(1) + 0.5) * 16
    top, left = 2, 1
    patch = digit[top : top + 3, left : left + 3]
    figure = Figure((WIDTH, 3.3), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1.5, 1))
    picture(image := above.subplots(), digit, "one position of the kernel")
    outline(image, top, left, 3, 3)
    axes = below.subplots(1, 7, width_ratios=(3, 0.6, 3, 0.6, 3, 0.9, 1.4))
    cells(axes[0], patch, "patch", cmap="gray", limits=(0, 16))
    signed_cells(axes[2], VERTICAL, "kernel")
    signed_cells(axes[4], patch * VERTICAL, "products")
    signed_cells(axes[6], [[(patch * VERTICAL).sum()]], "sum")
    for ax, text in zip(axes[1::2], ("×", "=", "Σ →"), strict=True):
        symbol(ax, text)
    return figure


def sliding():
    """Show three positions of a 3x3 kernel on a 5x5 image, and the elements of the output that they give."""
    figure, axes = new_figure(1.9, 1, 5, width_ratios=(5, 0.5, 3, 0.5, 3))
    cells(axes[0], SMALL, "image 5×5", cmap="Greys")
    signed_cells(axes[2], VERTICAL, "kernel 3×3")
    signed_cells(axes[4], correlate2d(SMALL, VERTICAL, mode="valid"), "output 3×3")
    symbol(axes[1], "⋆")
    symbol(axes[3], "=")
    for (i, j), colour, inset in (((0, 0), ORANGE, 0.03), ((0, 1), GREEN, 0.1), ((2, 2), BLUE, 0.03)):
        outline(axes[0], i, j, 3, 3, colour, inset)
        outline(axes[4], i, j, 1, 1, colour, 0.08)
    return figure


def edges():
    """Show what four kernels that were made by hand find in a digit."""
    digit = one_digit(0, 1) + 0.5
    kernels = {
        "mean": np.full((3, 3), 1 / 9),
        "vertical\nedges": VERTICAL,
        "horizontal\nedges": VERTICAL.T,
        "diagonal": np.array([[-1, -1, 2], [-1, 2, -1], [2, -1, -1]]),
    }
    figure, axes = new_figure(2.2, 2, 5)
    picture(axes[0, 0], digit, "image\n")
    axes[1, 0].set_axis_off()
    for column, (name, kernel) in enumerate(kernels.items(), start=1):
        signed(axes[0, column], kernel, name if "\n" in name else f"{name}\n")
        signed(axes[1, column], correlate2d(digit, kernel, mode="valid"))
    axes[1, 1].set_ylabel("output")
    return figure


def flipped():
    """Compare cross-correlation and convolution of a single bright pixel."""
    point = np.zeros((5, 5))
    point[2, 2] = 1
    kernel = np.arange(1, 10).reshape(3, 3)
    figure, axes = new_figure(1.35, 1, 4, width_ratios=(5, 3, 5, 5))
    cells(axes[0], point, "image", size=7)
    cells(axes[1], kernel, "kernel", limits=(0, 9), size=7)
    cells(axes[2], correlate2d(point, kernel, mode="same"), "correlation", limits=(0, 9), size=7)
    cells(axes[3], correlate2d(point, kernel[::-1, ::-1], mode="same"), "convolution", limits=(0, 9), size=7)
    return figure


def padding():
    """Show the first and the last position of a kernel without padding, with "same" padding and with more."""
    figure, axes = new_figure(1.95, 1, 3, width_ratios=(9, 9, 9))
    for ax, p, title in zip(axes, (0, 1, 2), ('"valid"', '"same"', "padding=2"), strict=True):
        shown = np.full((9, 9), np.nan)
        shown[2 - p : 7 + p, 2 - p : 7 + p] = 0
        shown[2:7, 2:7] = SMALL
        picture(ax, shown, f"{title}\noutput {3 + 2 * p}×{3 + 2 * p}", cmap="Greys", limits=(-1, 5))
        outline(ax, 2, 2, 5, 5, BLUE, width=1.5)
        outline(ax, 2 - p, 2 - p, 3, 3, ORANGE)
        outline(ax, 4 + p, 4 + p, 3, 3, GREEN)
        ax.set_xlim(-0.6, 8.6)
        ax.set_ylim(8.6, -0.6)
    return figure


def stride():
    """Show the positions of a 3x3 kernel on a 7x7 image for the strides 1, 2 and 3."""
    figure, axes = new_figure(1.75, 1, 3)
    for ax, step in zip(axes, (1, 2, 3), strict=True):
        n = (7 - 3) // step + 1
        cells(ax, np.full((7, 7), np.nan), f"stride {step}\noutput {n}×{n}", limits=(0, 1))
        rows, columns = np.mgrid[0:n, 0:n] * step + 1
        ax.plot(columns.ravel(), rows.ravel(), "o", color=BLUE, markersize=4)
        outline(ax, 0, 0, 3, 3, ORANGE)
        outline(ax, 0, step, 3, 3, GREEN, 0.12)
    return figure


def channels():
    """Show how one kernel of the second convolution adds up its six channels."""
    clf = classifier()
    _, _, first, second, *_ = outputs(clf.network_, one_digit(3, 2)[np.newaxis, ..., None])
    W, k = clf.coefs_[1], 4
    parts = np.stack([correlate2d(first[0, :, :, c], W[:, :, c, k], mode="same") for c in range(6)])
    figure = Figure((WIDTH, 3.4), layout="constrained")
    rows = figure.subfigures(4, 1, height_ratios=(1, 1, 1, 1.25))
    for row, title in zip(
        rows, ("six input channels", "the kernel: 5×5×6", "their cross-correlations", ""), strict=True
    ):
        row.suptitle(title, fontsize=9)
    axes = [row.subplots(1, 6) for row in rows[:3]]
    for c in range(6):
        picture(axes[0][c], first[0, :, :, c], cmap="viridis", limits=(0, first.max()))
        signed(axes[1][c], W[:, :, c, k], limit=np.abs(W[..., k]).max())
        signed(axes[2][c], parts[c], limit=np.abs(parts).max())
    left, middle, right = rows[3].subplots(1, 3, width_ratios=(2, 1, 2))
    symbol(left, "sum + bias  =", 9)
    signed(middle, second[0, :, :, k])
    symbol(right, "one output channel", 9)
    return figure


def learned_kernels():
    """Show the kernels of the first convolution, learned from digits, and what they find in a digit."""
    clf = classifier()
    _, maps, *_ = outputs(clf.network_, one_digit(3, 2)[np.newaxis, ..., None])
    W = clf.coefs_[0][:, :, 0]
    figure, axes = new_figure(1.7, 2, 6)
    for k in range(6):
        signed(axes[0, k], W[:, :, k], limit=np.abs(W).max())
        signed(axes[1, k], maps[0, :, :, k], limit=np.abs(maps).max())
    axes[0, 0].set_ylabel("kernel")
    axes[1, 0].set_ylabel("output")
    return figure


def receptive_field():
    """Show which pixels of a row one output of the second convolution sees."""
    figure, axes = canvas(1.9, 13, 5.9)
    rows = {
        "image": (4.6, range(-6, 7), GREY, "9 pixels"),
        "after the\nfirst layer": (2.7, range(-4, 5), BLUE, "5 elements"),
        "after the\nsecond layer": (0.8, [0], ORANGE, "1 element"),
    }
    for name, (y, positions, colour, seen) in rows.items():
        for j in positions:
            box(axes, 6.25 + 0.6 * j, y, 0.5, 0.5, colour=colour)
        axes.text(0.1, y + 0.25, name, va="center", fontsize=7.5)
        axes.text(12.9, y + 0.25, seen, va="center", ha="right", fontsize=7.5)
    for (above, half_above), (below, half_below) in (((1.3, 0.25), (2.7, 1.45)), ((3.2, 1.45), (4.6, 2.65))):
        for side in (-1, 1):
            ends = 6.5 + side * half_above, 6.5 + side * half_below
            axes.plot(ends, (above, below), color=GREY, linewidth=1)
    return figure


def moved():
    """Show that the feature map of a moved digit is the moved feature map."""
    digit = np.pad(one_digit(1) + 0.5, ((1, 1), (3, 3)))
    figure, axes = new_figure(2.6, 2, 3, width_ratios=(4, 1, 4))
    for row, by in enumerate((0, 3)):
        image = np.roll(digit, by, axis=1)
        picture(axes[row, 0], image, f"moved by {by} columns" if by else "image")
        signed(axes[row, 2], correlate2d(image, VERTICAL, mode="same"), "vertical edges")
        axes[row, 1].set_axis_off()
        arrow(axes[row, 1], (0, 0.5), (1, 0.5), RED)
    return figure
