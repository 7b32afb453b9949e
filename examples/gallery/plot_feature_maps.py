"""
From layer to layer
===================

Each layer turns its input into new feature maps. To follow an image through the network, apply one layer after the
other, or let `ActivationsDisplay` draw the feature maps of a layer.
"""

# %%
# The images show a circle, a square or a triangle of random size, at a random position.

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
row, column = np.mgrid[:32, :32]


def draw(name):
    """Return an outline on a noisy background."""
    size = rng.uniform(5, 10)
    y, x = (rng.uniform(size + 1, 31 - size) for _ in range(2))
    distance = {
        "circle": np.hypot(row - y, column - x),
        "square": np.maximum(abs(row - y), abs(column - x)) * 1.1,
        "triangle": np.maximum((row - y) * 1.6, abs(column - x) * 1.5 - (row - y) * 0.8),
    }[name]
    return (abs(distance - size * 0.8) < 1.1) + rng.normal(0, 0.15, row.shape)


names = np.array(["circle", "square", "triangle"])
y = rng.choice(names, 600)
X = np.stack([draw(name) for name in y]).astype(np.float32) - 0.5

# %%
# ``scaling=None``, because the pixels are in range already. So the network sees what is in X.

from skcnn import NumpyCNNClassifier

clf = NumpyCNNClassifier(n_kernels=(6, 12), kernel_size=5, scaling=None, max_iter=20, random_state=0)
clf.fit(X[:450], y[:450])
print(f"accuracy on 150 other images: {clf.score(X[450:], y[450:]):.3f}")

# %%
# `network_` has the layers and their parameters. A layer's `apply` returns its output. The list begins with the image.

image = X[450:451, :, :, np.newaxis]  # images have a batch axis and a channel axis
outputs = [image]
for layer, params in zip(clf.network_.layers, clf.network_.params, strict=True):
    outputs.append(layer.apply(params, outputs[-1]))
    print(f"{outputs[-1].shape[1:]!s:14} {layer}")

# %%
# The first convolution and its ReLU
# ----------------------------------
# Some kernels react to edges of one direction, some to the background. ReLU keeps the positive part.

fig, axes = plt.subplots(2, 7, figsize=(6.4, 2.2), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
axes[0, 0].imshow(image[0, :, :, 0], cmap="gray")
axes[0, 0].set_title("image")
for k in range(6):
    axes[0, k + 1].imshow(outputs[1][0, :, :, k], cmap="coolwarm", norm=plt.matplotlib.colors.CenteredNorm())
    axes[0, k + 1].set_title(f"kernel {k}")
    axes[1, k + 1].imshow(outputs[2][0, :, :, k], cmap="viridis")
axes[1, 0].text(0.5, 0.5, "ReLU:", ha="center", transform=axes[1, 0].transAxes)
plt.show()

# %%
# The second block
# ----------------
# After the second convolution, ReLU and pooling, the feature maps have 8x8 pixels. They no longer show the image, but
# where in the image each of 12 patterns is. `ActivationsDisplay` draws them without further code, and
# ``clf.activations(X, layer=5)`` returns them for many images.

from skcnn.inspection import ActivationsDisplay

ActivationsDisplay.from_estimator(clf, X[450], layer=5)
plt.show()

# %%
# The output
# ----------
# The last layer returns one number per class, the logit. Softmax turns the logits into probabilities.

logits = outputs[-1][0]
probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
assert np.allclose(probability, clf.predict_proba(X[450:451])[0], atol=1e-5)
for name, logit, p in zip(clf.classes_, logits, probability, strict=True):
    print(f"{name:9} logit {logit:6.2f}   probability {p:.3f}")
