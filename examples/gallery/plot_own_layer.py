"""
A layer of your own
===================

A layer needs a few lines: what it computes, and the gradients. This one pools each window by a mixture of its maximum
and its mean, and learns for each channel which of the two is better.
"""

# %%
# With ``m`` for the mixture, the output is ``m * maximum + (1 - m) * mean``. The layer uses two existing ones. `init`
# returns its parameters, `forward` its output and what `backward` needs.

from dataclasses import dataclass

import numpy as np

from skcnn.layers import PREDICT, TRAIN, AvgPool2D, Layer, MaxPool2D

MAX, MEAN = MaxPool2D(2), AvgPool2D(2)


@dataclass(frozen=True, repr=False)
class MixedPool(Layer):
    start: float = 0.5

    def out_shape(self, in_shape):
        return MAX.out_shape(in_shape)

    def init(self, in_shape, rng, dtype):
        return {"m": np.full(in_shape[-1], self.start, dtype)}

    def forward(self, params, x, context=PREDICT):
        maximum, of_max = MAX.forward({}, x, context)
        mean, of_mean = MEAN.forward({}, x, context)
        return params["m"] * maximum + (1 - params["m"]) * mean, (maximum - mean, of_max, of_mean)

    def backward(self, params, cache, d_out, context=TRAIN):
        difference, of_max, of_mean = cache
        d_max, _ = MAX.backward({}, of_max, params["m"] * d_out, context)
        d_mean, _ = MEAN.backward({}, of_mean, (1 - params["m"]) * d_out, context)
        return d_max + d_mean, {"m": (difference * d_out).sum(axis=(0, 1, 2))}


# %%
# Check the gradient
# ------------------
# Compare it with a difference quotient. `apply` and `gradient` use a layer without a network.

rng = np.random.default_rng(0)
layer, x, d_out = MixedPool(), rng.normal(size=(2, 6, 6, 3)), rng.normal(size=(2, 3, 3, 3))
d_x, grads = layer.gradient({"m": np.full(3, 0.5)}, x, d_out)

step = 1e-6
for channel in range(3):
    above, below = (np.full(3, 0.5) for _ in range(2))
    above[channel] += step
    below[channel] -= step
    change = ((layer.apply({"m": above}, x) - layer.apply({"m": below}, x)) * d_out).sum() / (2 * step)
    print(f"channel {channel}: {grads['m'][channel]:.6f}, by differences {change:.6f}")

# %%
# Use it
# ------
# It is a layer like any other.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, ReLU

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images.astype(np.float32), digits.target, stratify=digits.target, random_state=0
)
layers = [Conv2D(16), ReLU(), MixedPool(), Conv2D(32), ReLU(), MixedPool(), Flatten(), Dense(50), ReLU()]
clf = NumpyCNNClassifier(layers=layers, batch_size=32, max_iter=20, random_state=0).fit(X_train, y_train)
print(f"accuracy on {len(X_test)} test images: {clf.score(X_test, y_test):.3f}")

# %%
# All mixtures began at 0.5. On these images, all have moved towards the maximum, and some beyond it.

fig, axes = plt.subplots(1, 2, figsize=(6, 3), sharey=True, layout="constrained")
for ax, index in zip(axes, (2, 5), strict=True):
    ax.stem(np.sort(clf.network_.params[index]["m"]), bottom=0.5)
    ax.set(title=f"layers[{index}]", xlabel="channels, sorted")
axes[0].set(ylabel="m (0: mean, 1: maximum)")
plt.show()
