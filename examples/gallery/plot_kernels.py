"""
What the kernels have learned
=============================

The kernels of the first convolution are small images. To see what they have learned, show them.
"""

# %%
# The task: tell the direction of stripes. Their width and position are random, and there is a lot of noise.

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
angles = np.array([0, 45, 90, 135])  # degrees

y = rng.choice(angles, 600)
row, column = np.mgrid[:24, :24]
direction = np.radians(y)[:, np.newaxis, np.newaxis]
along = row * np.cos(direction) + column * np.sin(direction)
width, phase = rng.uniform(4, 7, (600, 1, 1)), rng.uniform(0, 2 * np.pi, (600, 1, 1))
X = (np.sin(2 * np.pi * along / width + phase) + rng.normal(0, 1, along.shape)).astype(np.float32)

fig, axes = plt.subplots(1, 4, figsize=(6, 1.9), layout="constrained")
for ax, angle in zip(axes, angles, strict=True):
    ax.imshow(X[y == angle][0], cmap="gray")
    ax.set_title(f"{angle} degrees")
    ax.axis("off")
plt.show()

# %%
# The network has a single convolution of eight kernels. Its output is the mean of each feature map: how well a kernel
# fits the image, wherever that is.

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, GlobalAvgPool2D, ReLU

layers = [Conv2D(8, kernel_size=7), ReLU(), GlobalAvgPool2D()]
clf = NumpyCNNClassifier(layers=layers, max_iter=60, random_state=0).fit(X[:400], y[:400])
print(f"accuracy on 200 other images: {clf.score(X[400:], y[400:]):.3f}")

# %%
# `KernelsDisplay` draws the kernels of a convolution, by default of the first one.

from skcnn.inspection import KernelsDisplay

KernelsDisplay.from_estimator(clf)
plt.show()

# %%
# The kernels have become stripes themselves (red: positive, blue: negative). A kernel gives large outputs where the
# image has stripes of its direction and about its width. ``network_.params`` holds the parameters of all layers. Those
# of the dense layer at the end say which kernel speaks for which direction:

weights = clf.network_.params[-1]["W"]
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
picture = ax.imshow(weights.T, cmap="coolwarm", norm=plt.matplotlib.colors.CenteredNorm())
ax.set(xlabel="kernel", ylabel="direction", yticks=range(4), yticklabels=clf.classes_)
fig.colorbar(picture, label="weight")
plt.show()

# sphinx_gallery_thumbnail_number = 2
