"""Figures of the page on im2col and Winograd's algorithm."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from scipy.signal import correlate2d

from figures.drawing import (
    BLUE,
    COLOURS,
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
    signed_cells,
    symbol,
)
from skcnn._kernels.convolution import Patches
from skcnn._kernels.plan import convolution
from skcnn._kernels.winograd import Winograd, transforms

IMAGE = np.array([[1, 0, 2, 1], [0, 3, 1, 0], [2, 1, 0, 1], [1, 0, 1, 2]])
KERNELS = np.array([[[1, 0, -1], [2, 0, -2], [1, 0, -1]], [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]])


def im2col():
    """Show the patches of an image as the rows of a matrix, and their product with two kernels."""
    patches = np.lib.stride_tricks.sliding_window_view(IMAGE, (3, 3)).reshape(4, 9)
    columns = KERNELS.reshape(2, 9).T
    figure = Figure((WIDTH, 4.4), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.6))
    left, right = above.subplots(1, 2, width_ratios=(4, 9))
    cells(left, IMAGE, "image 4×4", limits=(0, 5))
    cells(right, patches, "patches 4×9", limits=(0, 5))
    for row, colour in enumerate(COLOURS[:4]):
        outline(left, row // 2, row % 2, 3, 3, colour, 0.06 * row, 1.8)
        outline(right, row, 0, 1, 9, colour, 0.06, 1.8)
    axes = below.subplots(1, 5, width_ratios=(9, 0.8, 2.2, 0.8, 2.2))
    cells(axes[0], patches, "patches 4×9", limits=(0, 5), size=6.5)
    signed_cells(axes[2], columns, "kernels\n9×2", size=7)
    signed_cells(axes[4], patches @ columns, "outputs\n4×2", size=7)
    symbol(axes[1], "·")
    symbol(axes[3], "=")
    return figure


def copies():
    """Show how often each pixel is copied: by im2col, and if only rows are unfolded."""
    figure, axes = new_figure(2.0, 1, 2)
    ones = np.ones((28, 28))
    for ax, size, name in zip(axes, ((5, 5), (1, 5)), ("im2col", "rows only"), strict=True):
        counts = correlate2d(ones, np.ones(size), mode="same")
        picture(ax, counts, f"{name}: up to {int(counts.max())} copies", cmap="viridis", limits=(0, 25))
    return figure


def products_of_rows():
    """Show a convolution as the sum of one product for each row of the kernel."""
    figure, axes = new_figure(2.0, 2, 3)
    for u, colour in enumerate((ORANGE, GREEN, BLUE)):
        cells(axes[0, u], KERNELS[0], f"row {u} of the kernel", limits=(-9, 4), cmap="Greys", size=7)
        outline(axes[0, u], u, 0, 1, 3, colour)
        cells(axes[1, u], IMAGE, f"rows {u} to {u + 1}", limits=(0, 12), cmap="Greys", size=7)
        outline(axes[1, u], u, 0, 2, 4, colour)
    return figure


def four_products():
    """Draw Winograd's algorithm for two outputs of a kernel of length 3."""
    figure, axes = canvas(3.3, 84, 66)
    pixels, weights = ("$d_0-d_2$", "$d_1+d_2$", "$d_2-d_1$", "$d_1-d_3$"), (
        "$g_0$", "$(g_0+g_1+g_2)/2$", "$(g_0-g_1+g_2)/2$", "$g_2$",
    )  # fmt: skip
    for i, (pixel, weight) in enumerate(zip(pixels, weights, strict=True)):
        y = 8 + 15 * i
        box(axes, 1, y, 18, 11, pixel, BLUE, 9)
        axes.text(22.5, y + 5.5, "×", ha="center", va="center", fontsize=11)
        box(axes, 26, y, 22, 11, weight, ORANGE)
        axes.text(51, y + 5.5, "=", ha="center", va="center", fontsize=11)
        box(axes, 54, y, 8, 11, f"$m_{i}$", VIOLET, 9)
    box(axes, 74, 19, 9, 11, "$o_0$", GREEN, 9)
    box(axes, 74, 41, 9, 11, "$o_1$", GREEN, 9)
    for i, (first, second) in enumerate(((1, 0), (1, 1), (1, -1), (0, -1))):
        for sign, y in ((first, 24.5), (second, 46.5)):
            if sign:
                arrow(axes, (62, 13.5 + 15 * i), (74, y), GREEN if sign > 0 else RED)
    for x, name in ((10, "pixels"), (37, "weights"), (58, "products"), (77, "outputs")):
        axes.text(x, 3.5, name, ha="center", fontsize=8)
    return figure


def tiles():
    """Show how tiles of 4x4 pixels, which overlap, give tiles of 2x2 outputs, which do not."""
    figure, axes = new_figure(2.0, 1, 2, width_ratios=(8, 6))
    cells(axes[0], np.full((8, 8), np.nan), "8×8 pixels", limits=(0, 1))
    cells(axes[1], np.full((6, 6), np.nan), "6×6 outputs", limits=(0, 1))
    for index, (i, j) in enumerate(((0, 0), (0, 1), (1, 0), (2, 2))):
        outline(axes[0], 2 * i, 2 * j, 4, 4, COLOURS[index], 0.05 + 0.07 * index)
        outline(axes[1], 2 * i, 2 * j, 2, 2, COLOURS[index], 0.06)
    return figure


def two_dimensions():
    """Show the numbers of F(2x2, 3x3) for one tile."""
    A, G, B = transforms(2, 3, np.dtype(float))
    pixels, weights = B.T @ IMAGE @ B, G @ KERNELS[0] @ G.T
    figure, axes = new_figure(3.0, 2, 5, width_ratios=(4, 0.6, 4, 0.6, 4))
    cells(axes[0, 0], IMAGE, "pixels $d$", limits=(0, 5), size=7)
    signed_cells(axes[0, 2], KERNELS[0], "kernel $g$", size=7)
    signed_cells(axes[0, 4], A.T @ (pixels * weights) @ A, "output", size=7)
    signed_cells(axes[1, 0], pixels, "$B^T d B$", size=7)
    signed_cells(axes[1, 2], weights, "$G g G^T$", size=6.5)
    signed_cells(axes[1, 4], pixels * weights, "their products", size=7)
    for ax, text in zip(axes[:, 1::2].flat, ("⋆", "=", "⊙", "="), strict=True):
        symbol(ax, text)
    return figure


def multiplications():
    """Compare the multiplications for one output of a 3x3 and of a 5x5 kernel."""
    figure, axes = new_figure(1.9, 1, 2)
    for ax, r in zip(axes, (3, 5), strict=True):
        names = ["one by one", *(f"F({m}, {r})" for m in (2, 4)), *(f"F({m}×{m}, {r}×{r})" for m in (2, 4))]
        counts = [r * r, *(r * (m + r - 1) / m for m in (2, 4)), *(((m + r - 1) / m) ** 2 for m in (2, 4))]
        bars = ax.barh(names, counts, color=[GREY, BLUE, BLUE, ORANGE, ORANGE])
        ax.bar_label(bars, [f"{count:g}" for count in counts], padding=2, fontsize=7.5)
        ax.set_xlim(0, 1.25 * r * r)
        ax.set_xticks(())
        ax.set_title(f"{r}×{r} kernel")
        ax.invert_yaxis()
    return figure


def rounding():
    """Measure the error of Winograd's algorithm in float32 for tiles of different sizes."""
    rng = np.random.default_rng(0)
    sizes, errors = (1, 2, 3, 4, 5, 6), []
    for m in sizes:
        pixels, kernels = rng.normal(size=(5000, m + 2, 16)), rng.normal(size=(5000, 3, 16))
        exact = sum(pixels[:, u : u + m] * kernels[:, u : u + 1] for u in range(3)).sum(axis=2)
        low, weights = pixels.astype(np.float32), kernels.astype(np.float32)
        if m == 1:
            out = (low * weights).sum(axis=(1, 2))[:, np.newaxis]
        else:
            A, G, B = transforms(m, 3, np.dtype(np.float32))
            out = A.T @ ((G @ weights) * (B.T @ low)).sum(axis=2)[..., np.newaxis]
            out = out[..., 0]
        errors.append(np.sqrt(np.mean((out - exact) ** 2) / np.mean(exact**2)))
    figure, axes = new_figure(1.9)
    axes.semilogy(sizes, errors, "o-", color=BLUE)
    axes.set_xticks(sizes, ["one by\none", *(f"F({m}, 3)" for m in sizes[1:])])
    axes.set_ylabel("relative error")
    axes.grid(True, axis="y")
    return figure


def choices():
    """Show which algorithm the package chooses for a 3x3 convolution of 28x28 maps."""
    counts = (1, 2, 4, 8, 16, 32, 64, 128)
    kinds = np.array([[_kind(convolution((30, 30), (3, 3), (1, 1), c, k)) for c in counts] for k in counts])
    figure, axes = new_figure(2.5)
    axes.imshow(kinds, origin="lower", cmap=ListedColormap([ORANGE, GREEN, BLUE]), vmin=0, vmax=2, alpha=0.75)
    axes.set_xticks(range(8), counts)
    axes.set_yticks(range(8), counts)
    axes.set_xlabel("input channels")
    axes.set_ylabel("kernels")
    for kind, (name, colour) in enumerate((("im2col", ORANGE), ("rows only", GREEN), ("Winograd", BLUE))):
        if (kinds == kind).any():
            axes.plot([], [], "s", color=colour, alpha=0.75, label=name)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _kind(algorithm):
    return 2 if isinstance(algorithm, Winograd) else 0 if isinstance(algorithm, Patches) else 1
