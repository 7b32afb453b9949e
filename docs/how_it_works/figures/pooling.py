"""Figures of the page on pooling."""

import numpy as np
from matplotlib.figure import Figure

from figures.drawing import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    RED,
    VIOLET,
    WIDTH,
    cells,
    new_figure,
    outline,
    picture,
    symbol,
)
from figures.models import classifier, digits, one_digit, outputs
from skcnn.layers import AvgPool2D, GlobalMaxPool2D, MaxPool2D, MinPool2D

SMALL = np.array([[1, 3, 2, 0], [5, 2, 1, 1], [0, 1, 7, 4], [2, 3, 6, 8]])


def windows():
    """Show the four windows of a 4x4 map, and what the three poolings keep of them."""
    pools = {"max": MaxPool2D(2), "min": MinPool2D(2), "mean": AvgPool2D(2)}
    figure, axes = new_figure(1.6, 1, 5, width_ratios=(4, 0.6, 2.4, 2.4, 2.4))
    cells(axes[0], SMALL, "input 4×4", limits=(0, 10))
    symbol(axes[1], "→")
    for ax, (name, layer) in zip(axes[2:], pools.items(), strict=True):
        values = layer.apply({}, SMALL[np.newaxis, :, :, np.newaxis].astype(float))[0, :, :, 0]
        cells(ax, values, name, limits=(0, 10), size=7.5)
    for ax, size in ((axes[0], 2), *((ax, 1) for ax in axes[2:])):
        for index, colour in enumerate((ORANGE, GREEN, RED, VIOLET)):
            outline(ax, index // 2 * size, index % 2 * size, size, size, colour, 0.06, 1.8)
    return figure


def of_a_feature_map():
    """Pool a feature map of a digit in three ways."""
    _, _, _, _, second, *_ = outputs(classifier().network_, one_digit(3, 2)[np.newaxis, ..., None])
    maps = second[..., 1:2]
    figure, axes = new_figure(1.3, 1, 4)
    picture(axes[0], maps[0, :, :, 0], "feature map", "viridis", (0, maps.max()))
    layers = {"maximum": MaxPool2D(2), "mean": AvgPool2D(2), "minimum": MinPool2D(2)}
    for ax, (name, layer) in zip(axes[1:], layers.items(), strict=True):
        picture(ax, layer.apply({}, maps)[0, :, :, 0], name, "viridis", (0, maps.max()))
    return figure


def overlapping():
    """Compare windows that do not overlap with windows that do."""
    figure, axes = new_figure(1.9, 1, 2)
    for ax, size, stride in zip(axes, (2, 3), (2, 2), strict=True):
        n = (7 - size) // stride + 1
        cells(ax, np.full((7, 7), np.nan), f"size {size}, stride {stride}: {n}×{n} windows", limits=(0, 1))
        for i, j in np.ndindex(2, 3):
            outline(ax, i * stride, j * stride, size, size, COLOURS[3 * i + j], 0.05 + 0.12 * ((i + j) % 2), 1.8)
    return figure


def one_axis_after_the_other():
    """Show that a maximum over windows is a maximum over rows, then over columns."""
    by_rows = SMALL.reshape(2, 2, 4).max(axis=1)
    figure, axes = new_figure(1.55, 1, 5, width_ratios=(4, 1.6, 4, 1.6, 2))
    cells(axes[0], SMALL, "4×4", limits=(0, 10))
    cells(axes[2], by_rows, "2×4", limits=(0, 10))
    cells(axes[4], by_rows.reshape(2, 2, 2).max(axis=2), "2×2", limits=(0, 10))
    for ax, text in zip(axes[1::2], ("pairs\nof rows", "pairs of\ncolumns"), strict=True):
        symbol(ax, text + "\n→", 7.5)
    return figure


def moved():
    """Measure how much the feature maps of digits change if the digits move by one pixel."""
    _, X_test, *_ = digits()
    images = np.pad(X_test, ((0, 0), (2, 2), (2, 2)), constant_values=-0.5)[..., np.newaxis]
    W, b = classifier().coefs_[0], classifier().intercepts_[0]
    first = classifier().network_.layers[0]
    maps, after = (
        np.maximum(first.apply({"W": W, "b": b}, np.ascontiguousarray(x)), 0) for x in (images, np.roll(images, 1, 2))
    )
    change = {"no pooling": _change(maps, after)}
    for size in (2, 3, 4):
        pool = MaxPool2D(size)
        change[f"max pooling {size}×{size}"] = _change(pool.apply({}, maps), pool.apply({}, after))
    everywhere = GlobalMaxPool2D()
    change["maximum of the map"] = _change(everywhere.apply({}, maps), everywhere.apply({}, after))
    figure, axes = new_figure(1.8)
    bars = axes.barh(list(change), list(change.values()), color=BLUE)
    axes.bar_label(bars, [f"{value:.2f}" for value in change.values()], padding=3)
    axes.set_xlim(0, 1.15 * max(change.values()))
    axes.set_xlabel("relative change of the feature maps")
    axes.invert_yaxis()
    return figure


def _change(before, after):
    return np.linalg.norm(after - before) / np.linalg.norm(before)


def whole_maps():
    """Show six feature maps and the single number that is left of each."""
    _, _, _, _, second, *_ = outputs(classifier().network_, one_digit(3, 2)[np.newaxis, ..., None])
    figure = Figure((WIDTH, 2.1), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.3))
    for k, ax in enumerate(above.subplots(1, 6)):
        picture(ax, second[0, :, :, k], None, "viridis", (0, second.max()))
    axes = below.subplots()
    axes.bar(np.arange(6) - 0.2, second[0].max(axis=(0, 1)), 0.4, color=ORANGE, label="maximum")
    axes.bar(np.arange(6) + 0.2, second[0].mean(axis=(0, 1)), 0.4, color=GREY, label="mean")
    axes.set_xticks(range(6), [f"map {k}" for k in range(6)])
    axes.set_ylim(0, 1.4 * second.max())
    axes.legend(loc="upper left", ncols=2)
    return figure
