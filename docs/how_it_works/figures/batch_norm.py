"""Figures of the page on batch normalisation."""

import warnings
from functools import lru_cache

import numpy as np

from figures.drawing import BLUE, GREEN, GREY, ORANGE, RED, VIOLET, arrow, box, canvas, cells, new_figure, outline
from figures.models import digits
from skcnn import NumpyCNNClassifier
from skcnn.layers import TRAIN, BatchNorm, Conv2D
from skcnn.optimizers import SGD


def _conv_maps():
    """Return feature maps (200, 8, 8, 6) of digits with the initial kernels of a convolution, and biases."""
    X_train, *_ = digits()
    layer, rng = Conv2D(6, 3), np.random.default_rng(3)
    params = layer.init((8, 8, 1), rng, np.float32)
    params["b"] += rng.normal(0, 1.5, 6).astype(np.float32)
    return layer.apply(params, X_train[:200, :, :, np.newaxis])


def shared_mean():
    """Show which elements of a batch share one mean: all positions of one channel in all images."""
    figure, axes = new_figure(1.75, 1, 3)
    for n, ax in enumerate(axes):
        cells(ax, np.full((4, 3), np.nan), f"image {n}", limits=(0, 1))
        for c, colour in enumerate((BLUE, ORANGE, GREEN)):
            ax.axvspan(c - 0.5, c + 0.5, color=colour, alpha=0.55 if c == 1 else 0.15, linewidth=0)
        outline(ax, 0, 1, 4, 1, ORANGE)
        ax.set_xticks(range(3), [f"ch. {c}" for c in range(3)])
        ax.tick_params(length=0)
    axes[0].set_ylabel("4 positions")
    return figure


def before_and_after():
    """Show the distributions of three channels before and after normalisation."""
    maps = _conv_maps()
    layer = BatchNorm()
    after = layer.apply(layer.init((8, 8, 6), np.random.default_rng(0), np.float32), maps, TRAIN)
    figure, axes = new_figure(1.9, 1, 2, sharey=True)
    for ax, values, title in zip(axes, (maps, after), ("before", "after"), strict=True):
        for c, colour in zip((0, 1, 3), (BLUE, ORANGE, GREEN), strict=True):
            ax.hist(values[..., c].ravel(), np.linspace(-4, 4, 65), color=colour, alpha=0.55, label=f"channel {c}")
        ax.set_title(title)
        ax.set_yticks(())
    axes[0].legend(loc="upper left", handlelength=1)
    return figure


def steps():
    """Show the four steps for four numbers."""
    x = np.array([1.0, 3, 5, 7])
    z = (x - x.mean()) / x.std()
    figure, axes = new_figure(1.6, 1, 4, sharey=True)
    parts = (
        ("$x$", x, GREY),
        ("$x - \\mu$", x - 4, BLUE),
        ("$z$", z, GREEN),
        ("$\\gamma z + \\beta$", 2 * z + 1, ORANGE),
    )
    for ax, (name, values, colour) in zip(axes, parts, strict=True):
        ax.bar(range(4), values, color=colour)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_title(name)
        ax.set_xticks(())
    return figure


def influences():
    """Draw the three ways in which an element of the input influences the output."""
    figure, axes = canvas(1.9, 84, 38)
    box(axes, 3, 14, 10, 10, "$x_j$", GREY, 9)
    box(axes, 27, 2, 10, 10, "$\\mu$", BLUE, 9)
    box(axes, 45, 26, 10, 10, "$\\sigma$", ORANGE, 9)
    box(axes, 66, 14, 14, 10, "$z_i$", GREEN, 9)
    arrow(axes, (13, 19), (66, 19), text="directly, if $i = j$", dy=-2)
    arrow(axes, (13, 17), (27, 8), BLUE)
    arrow(axes, (37, 8), (66, 17), BLUE, "through the mean", dy=-5)
    arrow(axes, (13, 21.5), (45, 31), ORANGE, "through the deviation", dy=5)
    arrow(axes, (55, 31), (66, 22), ORANGE)
    return figure


def gradient():
    """Show a gradient before and after its two components are removed."""
    x, d_out = np.array([1.0, 3, 5, 7]), np.array([1.0, 0, 0, 0])
    z = (x - x.mean()) / x.std()
    mean, slope = d_out.mean(), (d_out * z).mean() * z
    figure, axes = new_figure(1.6, 1, 4, sharey=True)
    parts = (
        ("$\\bar o$", d_out, GREY),
        ("its mean", np.full(4, mean), BLUE),
        ("its part along $z$", slope, ORANGE),
        ("what is left", d_out - mean - slope, RED),
    )
    for ax, (name, values, colour) in zip(axes, parts, strict=True):
        ax.bar(range(4), values, color=colour)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_title(name)
        ax.set_xticks(())
    return figure


def running_mean():
    """Follow the mean of a channel from batch to batch, and its running mean."""
    X_train, *_ = digits()
    rng = np.random.default_rng(0)
    means = [X_train[rng.choice(len(X_train), 16, replace=False)].mean() for _ in range(60)]
    figure, axes = new_figure(2.0)
    axes.plot(range(1, 61), means, "o", color=GREY, markersize=3, label="mean of a batch of 16")
    for momentum, colour in ((0.9, BLUE), (0.99, ORANGE)):
        running = [0.0]
        for mean in means:
            running.append(momentum * running[-1] + (1 - momentum) * mean)
        axes.plot(range(61), running, color=colour, label=f"running mean, momentum {momentum:g}")
    axes.axhline(X_train.mean(), color=GREEN, linestyle="--", linewidth=1, label="mean of all images")
    axes.set_xlabel("step")
    axes.set_ylabel("mean pixel")
    axes.set_ylim(-0.23, 0.13)
    axes.legend(loc="upper right")
    return figure


def folding():
    """Draw a convolution and batch normalisation, and the one convolution that replaces them in prediction."""
    figure, axes = canvas(1.9, 84, 38)
    for y, parts in (
        (3, ((8, 22, "conv\n$W, \\; b$", BLUE), (38, 22, "batch norm\n$x f + t$", VIOLET), (68, 12, "ReLU", GREEN))),
        (23, ((18, 34, "conv\n$W f, \\; b f + t$", BLUE), (68, 12, "ReLU", GREEN))),
    ):
        for x, width, text, colour in parts:
            box(axes, x, y, width, 11, text, colour)
        ends = [1, *(x + width for x, width, _, _ in parts)]
        starts = [*(x for x, _, _, _ in parts), 84]
        for start, end in zip(ends, starts, strict=True):
            arrow(axes, (start, y + 5.5), (end, y + 5.5))
    return figure


@lru_cache
def _loss_after_three_epochs(batch_norm, rate):
    X_train, _, y_train, _ = digits()
    clf = NumpyCNNClassifier(
        n_kernels=(8, 8, 8, 8), pool_size=(1, 2, 1, 2), batch_norm=batch_norm, solver=SGD(), scaling=None,
        learning_rate="constant", learning_rate_init=rate, batch_size=32, alpha=0.0, max_iter=3, random_state=0,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the rates are too large
        return clf.fit(X_train, y_train).loss_


def learning_rates():
    """Compare the training loss with and without batch normalisation for many learning rates."""
    rates = 10.0 ** np.arange(-3.5, 0.1, 0.5)
    figure, axes = new_figure(2.1)
    for batch_norm, colour, name in ((False, GREY, "without"), (True, BLUE, "with")):
        losses = [_loss_after_three_epochs(batch_norm, float(rate)) for rate in rates]
        axes.semilogx(rates, np.minimum(losses, 2.6), "o-", color=colour, label=f"{name} batch normalisation")
    axes.axhline(np.log(10), color=RED, linestyle="--", linewidth=1, label="guessing: log 10")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss in epoch 3")
    axes.set_ylim(0, 3.6)
    axes.legend(loc="upper center")
    return figure


def small_batches():
    """Show how far the mean of a batch is from the mean of all images, for batches of different sizes."""
    X_train, *_ = digits()
    rng = np.random.default_rng(0)
    sizes = np.array([2, 4, 8, 16, 32, 64, 128, 256])
    spread = [np.std([rng.choice(X_train, n).mean(axis=0) for _ in range(100)], axis=0).mean() for n in sizes]
    figure, axes = new_figure(1.9)
    axes.loglog(sizes, spread, "o", color=BLUE, label="measured on digits")
    axes.loglog(sizes, X_train.std(axis=0).mean() / np.sqrt(sizes), color=GREY, label="$\\sigma / \\sqrt{n}$")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.set_yticks((0.02, 0.05, 0.1, 0.2), ["0.02", "0.05", "0.1", "0.2"])
    axes.minorticks_off()
    axes.set_xlabel("images per batch, $n$")
    axes.set_ylabel("spread of the mean")
    axes.legend()
    return figure
