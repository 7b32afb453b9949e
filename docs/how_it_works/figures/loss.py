"""Figures of the page on softmax and cross-entropy."""

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit, softmax

from figures.drawing import BLUE, GREEN, GREY, ORANGE, RED, VIOLET, WIDTH, new_figure, picture
from figures.models import classifier, digits
from skcnn.losses import SigmoidCrossEntropy, SoftmaxCrossEntropy


def _doubtful():
    """Return the test images and labels, their probabilities, and the indices from doubtful to certain."""
    _, X_test, _, y_test = digits()
    probabilities = classifier().predict_proba(X_test)
    of_label = probabilities[np.arange(len(y_test)), y_test]
    return X_test, y_test, probabilities, np.argsort(of_label)


def _digits_below(axes):
    axes.set_xticks(range(10))
    axes.tick_params(axis="x", length=0, labelsize=7)


def softmax_steps():
    """Show the logits of a doubtful digit, their exponentials and the probabilities."""
    X_test, _, _, order = _doubtful()
    logits = classifier().decision_function(X_test[order[12] : order[12] + 1])[0]
    powers = np.exp(logits)
    figure, axes = new_figure(3.6, 3, 1)
    parts = (("logits $z_k$", logits, GREY), ("$e^{z_k}$", powers, ORANGE), ("$p_k$", powers / powers.sum(), VIOLET))
    for ax, (name, values, colour) in zip(axes, parts, strict=True):
        ax.bar(range(10), values, color=colour)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_ylabel(name)
        _digits_below(ax)
    return figure


def examples():
    """Show three digits with their probabilities: one that is certain, one in doubt, one wrong."""
    X_test, y_test, probabilities, order = _doubtful()
    right = probabilities.argmax(axis=1) == y_test
    chosen = order[-50], order[right[order]][0], order[0]
    figure = Figure((WIDTH, 3.4), layout="constrained")
    for part, index in zip(figure.subfigures(3, 1), chosen, strict=True):
        left, ax = part.subplots(1, 2, width_ratios=(1, 4))
        picture(left, X_test[index], f"label {y_test[index]}")
        colours = [GREEN if k == y_test[index] else GREY for k in range(10)]
        ax.bar(range(10), probabilities[index], color=colours)
        ax.set_ylim(0, 1)
        loss = -np.log(probabilities[index, y_test[index]])
        ax.set_title(f"loss {loss:.3f}" if loss >= 5e-4 else "loss below 0.0005")
        _digits_below(ax)
    return figure


def cross_entropy():
    """Plot the loss against the probability of the true class."""
    p = np.linspace(0.003, 1, 400)
    figure, axes = new_figure(2.0)
    axes.plot(p, -np.log(p), color=BLUE)
    for at, place in ((0.9, (0.8, 0.9)), (0.5, (0.5, 1.5)), (0.1, (0.2, 2.6)), (0.01, (0.07, 4.6))):
        axes.plot(at, -np.log(at), "o", color=ORANGE)
        axes.text(*place, f"p = {at:g}: {-np.log(at):.2f}", fontsize=8)
    axes.set_xlabel("probability of the true class")
    axes.set_ylabel("loss")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 6)
    return figure


def overflow():
    """Compare the loss from probabilities with the fused loss, in float32, for wrong logits of growing size."""
    z = np.linspace(0, 200, 401, dtype=np.float32)
    logits = np.stack([z, np.zeros_like(z)], axis=1)
    with np.errstate(all="ignore"):
        powers = np.exp(logits)
        naive = -np.log(powers[:, 1] / powers.sum(axis=1))
        shifted = -np.log(softmax(logits, axis=1)[:, 1])
    fused = SoftmaxCrossEntropy()(logits, np.ones(len(z), int))[0]
    figure, axes = new_figure(2.1)
    axes.plot(z, fused, color=GREEN, linewidth=5, alpha=0.4, label="fused")
    axes.plot(
        z[np.isfinite(shifted)],
        shifted[np.isfinite(shifted)],
        color=ORANGE,
        linewidth=3,
        label="softmax without overflow, then log",
    )
    axes.plot(z[np.isfinite(naive)], naive[np.isfinite(naive)], color=RED, linewidth=1.5, label="formula as it stands")
    for losses, colour in ((shifted, ORANGE), (naive, RED)):
        last = np.flatnonzero(np.isfinite(losses))[-1]
        axes.plot(z[last], losses[last], "X", color=colour, markersize=8)
    axes.set_xlabel("logit of the wrong class, that of the true class is 0")
    axes.set_ylabel("loss in float32")
    axes.legend()
    return figure


def gradient():
    """Show the gradient with respect to the logits of a doubtful digit: probabilities minus target."""
    _, y_test, probabilities, order = _doubtful()
    p, y = probabilities[order[12]], y_test[order[12]]
    target = np.eye(10)[y]
    figure, axes = new_figure(3.3, 3, 1, sharey=True)
    parts = (("$p$", p, VIOLET), ("target $t$", target, GREEN), ("$p - t$", p - target, RED))
    for ax, (name, values, colour) in zip(axes, parts, strict=True):
        ax.bar(range(10), values, color=colour)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_ylabel(name)
        _digits_below(ax)
    return figure


def binary():
    """Plot the sigmoid, and the losses and their derivatives for the two classes."""
    z = np.linspace(-6, 6, 241)
    figure, axes = new_figure(2.0, 1, 2)
    axes[0].plot(z, expit(z), color=VIOLET)
    axes[0].set_title("$p = \\sigma(z)$")
    for label, colour in ((0, RED), (1, BLUE)):
        loss, d_logits = SigmoidCrossEntropy()(z[:, np.newaxis], np.full(len(z), label))
        axes[1].plot(z, loss, color=colour, label=f"y = {label}")
        axes[1].plot(z, d_logits[:, 0], color=colour, linestyle="--")
    axes[1].set_title("loss, and gradient (dashed)")
    axes[1].legend()
    for ax in axes:
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_xlabel("logit $z$")
    return figure


def squared_error():
    """Compare the gradients of cross-entropy and squared error with respect to the logit, for the label 1."""
    z = np.linspace(-8, 4, 241)
    p = expit(z)
    figure, axes = new_figure(1.9)
    axes.plot(z, p - 1, color=BLUE, label="cross-entropy: $p - 1$")
    axes.plot(z, (p - 1) * p * (1 - p), color=ORANGE, label="squared error: $(p - 1) \\, p \\, (1 - p)$")
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set_xlabel("logit $z$, label 1")
    axes.set_ylabel("gradient")
    axes.legend(loc="center left")
    return figure


def smoothing():
    """Plot the loss against the lead of the true class's logit, with and without label smoothing."""
    lead = np.linspace(-2, 12, 281)
    logits = np.zeros((len(lead), 10))
    logits[:, 0] = lead
    figure, axes = new_figure(1.9)
    for smoothing, colour in ((0.0, GREY), (0.1, BLUE), (0.3, ORANGE)):
        losses = SoftmaxCrossEntropy(smoothing)(logits, np.zeros(len(lead), int))[0]
        axes.plot(lead, losses, color=colour, label=f"label_smoothing={smoothing:g}")
        if smoothing:
            lowest = losses.argmin()
            axes.plot(lead[lowest], losses[lowest], "o", color=colour)
    axes.set_xlabel("lead of the true class's logit over nine equal ones")
    axes.set_ylabel("loss")
    axes.legend()
    return figure
