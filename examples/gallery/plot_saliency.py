"""
Which pixels matter
===================

Two ways to see which part of an image a prediction depends on: the gradient with respect to the pixels, and covering
one part of the image after the other.
"""

# %%
# The images show a circle or a square, at a random position, between short lines that mean nothing.

import matplotlib.pyplot as plt
import numpy as np

from skcnn import NumpyCNNClassifier

rng = np.random.default_rng(0)
row, column = np.mgrid[:32, :32]


def draw(name):
    image = rng.normal(0, 0.1, (32, 32))
    for _ in range(12):
        i, j = rng.integers(0, 26, 2)
        image[(slice(i, i + 5), j) if rng.random() < 0.5 else (i, slice(j, j + 5))] += 1
    y, x = rng.uniform(8, 24, 2)
    distance = np.hypot(row - y, column - x) if name == "circle" else np.maximum(abs(row - y), abs(column - x)) * 1.1
    image[abs(distance - 6) < 1] = 1
    return image - 0.5


y = rng.choice(["circle", "square"], 900)
X = np.stack([draw(name) for name in y]).astype(np.float32)
clf = NumpyCNNClassifier(n_kernels=(8, 16, 16), scaling=None, max_iter=20, random_state=0).fit(X[:700], y[:700])
print(f"accuracy on 200 other images: {clf.score(X[700:], y[700:]):.3f}")

# %%
# The gradient
# ------------
# The gradient of the logit with respect to the image says which pixels would change it most. It takes a forward and a
# backward pass through the layers. `apply` returns the output of a layer, and `gradient` turns the gradient with
# respect to its output into the one with respect to its input. With two classes, there is one logit.


def saliency(images):
    """Return the absolute gradient of the logit with respect to each pixel."""
    inputs = [images[:, :, :, np.newaxis]]
    layers = list(zip(clf.network_.layers, clf.network_.params, strict=True))
    for layer, params in layers:
        inputs.append(layer.apply(params, inputs[-1]))
    gradient = np.ones_like(inputs.pop())
    for (layer, params), x in zip(reversed(layers), reversed(inputs), strict=True):
        gradient, _ = layer.gradient(params, x, gradient)
    return abs(gradient[..., 0])


# %%
# A single gradient is noisy. Its mean over copies of the image with other noise is less so (SmoothGrad, Smilkov et al.,
# 2017). It is largest at the circle or the square, but not small at all of the lines: see the first two images.

images = X[700:704]
noise = rng.normal(0, 0.2, (40, *images.shape)).astype(np.float32)
gradients = np.mean([saliency(images + part) for part in noise], axis=0)
fig, axes = plt.subplots(2, 4, figsize=(6, 3.4), layout="constrained")
for column, image, gradient, label in zip(axes.T, images, gradients, clf.predict(images), strict=True):
    column[0].imshow(image, cmap="gray")
    column[0].set_title(label)
    column[1].imshow(gradient, cmap="magma")
    for ax in column:
        ax.axis("off")
plt.show()

# %%
# Occlusion
# ---------
# `OcclusionDisplay` covers a patch of the image, predicts, and moves the patch. Where it is red, the probability of the
# predicted class falls: at a corner of the square, or at a part of the circle, and at no line away from it.

from skcnn.inspection import OcclusionDisplay

fig, axes = plt.subplots(2, 2, figsize=(6, 6), layout="constrained")
for ax, image in zip(axes.flat, images, strict=True):
    OcclusionDisplay.from_estimator(clf, image, patch_size=7, stride=2, ax=ax, colorbar=False)
    ax.axis("off")
plt.show()
