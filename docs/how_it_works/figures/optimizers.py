"""Figures of the page on optimizers and schedules."""

from functools import lru_cache

import numpy as np

from figures.drawing import BLUE, COLOURS, GREEN, GREY, ORANGE, RED, VIOLET, new_figure
from figures.models import digits
from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.optimizers import SGD, Adam, AdamW, RMSprop
from skcnn.schedules import Constant, Cosine, Exponential, OneCycle, StepDecay

# the network of the exercise, for digits; its parameters are one long vector here
NETWORK = Sequential(
    [Conv2D(6, 5), ReLU(), Conv2D(6, 5), ReLU(), MaxPool2D(), Flatten(), Dense(100), ReLU(), Dense(10)]
)


@lru_cache
def _initial():
    return NETWORK.init((8, 8, 1), np.random.default_rng(0), np.float32)


def _vector(tree):
    """Return all parameters, or all gradients, as one vector."""
    return np.concatenate([tree[index][name].ravel() for index, params in _initial().items() for name in params])


def _tree(vector):
    """Return the parameters as the network wants them: views of the vector."""
    tree, start = {}, 0
    for index, params in _initial().items():
        tree[index] = {}
        for name, array in params.items():
            tree[index][name] = vector[start : start + array.size].reshape(array.shape)
            start += array.size
    return tree


def _loss(weights, images, labels):
    logits = NETWORK.apply(_tree(weights.astype(np.float32)), images[..., np.newaxis])
    return SoftmaxCrossEntropy()(logits, labels)[0].mean()


def _gradient(weights, images, labels):
    x, params = images[..., np.newaxis], _tree(weights)
    _, d_logits = SoftmaxCrossEntropy()(NETWORK.apply(params, x), labels)
    return _vector(NETWORK.gradient(params, x, d_logits / len(x))[1])


@lru_cache
def _path():
    """Train by SGD with momentum, and return the parameters after every fifth step."""
    X_train, _, y_train, _ = digits()
    sgd, w, rng, path = SGD(), _vector(_initial()), np.random.default_rng(0), []
    state = sgd.init([w])
    for step in range(150):
        if step % 5 == 0:
            path.append(w.copy())
        batch = rng.choice(len(X_train), 32)
        sgd.step([w], [_gradient(w, X_train[batch], y_train[batch])], state, 0.01)
    return np.array(path)


def loss_surface():
    """Show the loss over a plane through the path of a training run, and the path."""
    path = _path()
    X_train, _, y_train, _ = digits()
    end = path[-1]
    plane = np.linalg.svd(path - end, full_matrices=False)[2][:2]  # the two directions in which the path is longest
    along = (path - end) @ plane.T
    margin = 0.25 * np.ptp(along, axis=0) + 0.3
    a, b = (np.linspace(along[:, i].min() - margin[i], along[:, i].max() + margin[i], 17) for i in (0, 1))
    losses = np.array([[_loss(end + u * plane[0] + v * plane[1], X_train[:200], y_train[:200]) for u in a] for v in b])
    figure, axes = new_figure(2.8)
    contours = axes.contourf(a, b, np.log10(losses), 14, cmap="viridis_r")
    axes.plot(*along.T, "o-", color=RED, markersize=3, linewidth=1.2)
    axes.set_xlabel("first direction")
    axes.set_ylabel("second direction")
    bar = figure.colorbar(contours, ax=axes, label="loss")
    ticks = [value for value in (0.1, 0.2, 0.5, 1, 2, 5, 10) if losses.min() < value < losses.max()]
    bar.set_ticks(np.log10(ticks), labels=[f"{tick:g}" for tick in ticks])
    return figure


def step_length():
    """Show the loss after one step against the gradient, for steps of all lengths."""
    X_train, _, y_train, _ = digits()
    images, labels, w = X_train[:200], y_train[:200], _path()[8]
    gradient = _gradient(w, images, labels)
    rates = np.linspace(0, 0.35, 22)
    losses = [_loss(w - rate * gradient, images, labels) for rate in rates]
    predicted = losses[0] - rates * np.sum(gradient.astype(float) ** 2)
    figure, axes = new_figure(2.0)
    axes.plot(rates, losses, color=BLUE, label="loss after one step")
    axes.plot(rates, predicted, color=GREY, linestyle="--", label="as the gradient predicts")
    axes.set_xlabel("learning rate $\\eta$")
    axes.set_ylabel("loss")
    axes.set_ylim(0.6 * min(losses), 1.5 * losses[0])
    axes.legend()
    return figure


def noise():
    """Measure how well the gradient of a batch agrees with the gradient of all images."""
    X_train, _, y_train, _ = digits()
    w, rng = _path()[3], np.random.default_rng(0)
    full = _gradient(w, X_train, y_train)
    sizes = (1, 4, 16, 64, 256)
    cosines = np.empty((len(sizes), 12))
    for index in np.ndindex(cosines.shape):
        batch = rng.choice(len(X_train), sizes[index[0]], replace=False)
        cosines[index] = _cosine(_gradient(w, X_train[batch], y_train[batch]), full)
    figure, axes = new_figure(1.9)
    axes.plot(range(5), cosines.mean(axis=1), "o-", color=BLUE)
    axes.fill_between(range(5), *np.quantile(cosines, (0.1, 0.9), axis=1), color=BLUE, alpha=0.2, linewidth=0)
    axes.set_xticks(range(5), sizes)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("images in the batch")
    axes.set_ylabel("cosine")
    axes.grid(True)
    return figure


def _cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def _descend(optimizer, rate, n_steps, curvatures=(1.0, 25.0)):
    """Minimise a quadratic from (-4, 1) and return the path."""
    w = np.array([-4.0, 1.0])
    state, path = optimizer.init([w]), [w.copy()]
    for _ in range(n_steps):
        optimizer.step([w], [np.array(curvatures) * w], state, rate)
        path.append(w.copy())
    return np.array(path)


def paths():
    """Show the paths of four optimizers in a narrow valley."""
    runs = {
        "gradient descent": (SGD(momentum=0.0), 0.07),
        "momentum 0.8": (SGD(momentum=0.8, nesterov=False), 0.03),
        "Nesterov 0.8": (SGD(momentum=0.8), 0.03),
        "Adam": (Adam(beta_1=0.8, beta_2=0.95), 0.35),
    }
    x, y = np.meshgrid(np.linspace(-4.8, 1.8, 80), np.linspace(-1.3, 1.3, 60))
    figure, axes = new_figure(2.9, 2, 2, sharex=True, sharey=True)
    for ax, (name, (optimizer, rate)) in zip(axes.flat, runs.items(), strict=True):
        path = _descend(optimizer, rate, 30)
        ax.contour(x, y, np.sqrt(x**2 + 25 * y**2), 8, colors=GREY, linewidths=0.6, alpha=0.7)
        ax.plot(*path.T, "o-", color=BLUE, markersize=2.5, linewidth=1)
        ax.plot(0, 0, "X", color=ORANGE, markersize=7)
        ax.set_title(name)
        ax.set_xlim(-4.8, 1.8)
        ax.set_ylim(-1.3, 1.3)
    return figure


def convergence():
    """Show how fast gradient descent and momentum converge in a valley with the condition number 100."""
    root = 10.0
    plain, momentum = 2 / (1 + 100), ((root - 1) / (root + 1)) ** 2
    rate = 4 / (root + 1) ** 2
    figure, axes = new_figure(2.0)
    for name, optimizer, learning_rate, colour in (
        ("gradient descent", SGD(momentum=0.0), plain, GREY),
        (f"momentum {momentum:.2f}", SGD(momentum=momentum, nesterov=False), rate, BLUE),
    ):
        path = _descend(optimizer, learning_rate, 150, (1.0, 100.0))
        axes.semilogy(np.linalg.norm(path, axis=1), color=colour, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("distance from the minimum")
    axes.grid(True)
    axes.legend()
    return figure


def bias_correction():
    """Show Adam's running means of a constant gradient, with and without the correction."""
    t = np.arange(1, 61)
    figure, axes = new_figure(1.9)
    for beta, colour in ((0.9, BLUE), (0.999, ORANGE)):
        axes.plot(t, 1 - beta**t, color=colour, label=f"running mean, $\\beta$ = {beta:g}")
    axes.plot(t, np.ones(60), color=GREEN, linestyle="--", label="with the correction")
    axes.set_xlabel("step")
    axes.set_ylabel("mean of the gradient 1")
    axes.set_ylim(0, 1.5)
    axes.legend(ncols=2, loc="upper left", fontsize=7.5)
    return figure


def weight_decay():
    """Let two weights decay under noisy gradients of different sizes, by a penalty and by AdamW."""
    figure, axes = new_figure(2.0, 1, 2, sharey=True)
    n_steps, rate, alpha = 1500, 0.002, 0.5
    for ax, decoupled, title in zip(axes, (False, True), ("penalty, Adam", "decoupled, AdamW"), strict=True):
        for size, colour in ((0.1, BLUE), (10.0, ORANGE)):
            rng, w, adam = np.random.default_rng(0), np.array([1.0]), Adam()
            state, weights = adam.init([w]), []
            for _ in range(n_steps):
                g = size * rng.normal(size=1)
                if decoupled:
                    w *= 1 - rate * alpha
                else:
                    g += alpha * w
                adam.step([w], [g], state, rate)
                weights.append(w[0])
            ax.plot(weights, color=colour, linestyle="-" if size < 1 else "--", label=f"gradients of {size:g}")
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.set_title(title)
        ax.set_xlabel("step")
    axes[0].set_ylabel("weight")
    axes[1].legend()
    return figure


def schedules():
    """Plot the schedules over 20 epochs."""
    epochs = np.linspace(0, 20, 401)[:-1]
    shown = {
        "Constant()": Constant(),
        "StepDecay(every=7, factor=0.3)": StepDecay(every=7, factor=0.3),
        "Exponential(0.9)": Exponential(0.9),
        "Cosine(warm_up=2)": Cosine(warm_up=2),
        "OneCycle()": OneCycle(),
    }
    figure, axes = new_figure(2.6)
    for (name, schedule), colour in zip(shown.items(), (GREY, GREEN, VIOLET, ORANGE, BLUE), strict=True):
        axes.plot(epochs, [schedule(epoch, 20) for epoch in epochs], color=colour, label=name)
    axes.set_xlabel("epoch")
    axes.set_ylabel("factor of the learning rate")
    axes.set_ylim(0, 1.75)
    axes.set_yticks((0, 0.5, 1))
    axes.legend(ncols=2, fontsize=7, loc="upper center")
    return figure


@lru_cache
def _training_loss(solver, rate, schedule):
    X_train, _, y_train, _ = digits()
    clf = NumpyCNNClassifier(
        n_kernels=(6, 6), kernel_size=5, pool_size=(1, 2), scaling=None, solver=solver, alpha=0.0,
        learning_rate_init=rate, learning_rate=schedule, batch_size=32, max_iter=12, random_state=0,
    )  # fmt: skip
    return clf.fit(X_train, y_train).loss_curve_


def optimizers():
    """Compare the training loss of the optimizers on digits."""
    runs = {
        "gradient descent": (SGD(momentum=0.0), 0.05),
        "momentum": (SGD(nesterov=False), 0.02),
        "Nesterov": (SGD(), 0.02),
        "RMSprop": (RMSprop(), 0.002),
        "Adam": (Adam(), 0.003),
    }
    figure, axes = new_figure(2.1)
    for (name, (solver, rate)), colour in zip(runs.items(), (GREY, *COLOURS), strict=False):
        axes.semilogy(range(1, 13), _training_loss(solver, rate, "constant"), color=colour, label=f"{name}, {rate:g}")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    axes.grid(True)
    axes.set_ylim(top=60)
    axes.legend(fontsize=7.5, ncols=2, loc="upper right")
    return figure


def effect_of_schedules():
    """Compare the training loss with three schedules of the same highest rate."""
    figure, axes = new_figure(2.0)
    for schedule, colour in (("constant", GREY), ("cosine", ORANGE), ("one_cycle", BLUE)):
        axes.semilogy(range(1, 13), _training_loss(AdamW(), 0.01, schedule), color=colour, label=schedule)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss")
    axes.grid(True)
    axes.legend()
    return figure
