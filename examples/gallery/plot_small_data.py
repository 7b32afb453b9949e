"""
Few images
==========

With few images, augmentation helps: random changes in each training step, so that the network hardly ever sees the same
image twice. The changes must not change the class.
"""

# %%
# Two digits, each moved by up to one pixel in four random ways.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Flip, Shift

digits = load_digits()
X, y = digits.images.astype(np.float32), digits.target

rng = np.random.default_rng(1)
fig, axes = plt.subplots(2, 5, figsize=(6, 2.8), layout="constrained")
for row, image in zip(axes, X[[0, 5]], strict=True):
    copies = Shift(1)(np.repeat(image[np.newaxis, :, :, np.newaxis], 4, axis=0), rng)[..., 0]
    for ax, picture, title in zip(row, [image, *copies], ["original", *["moved"] * 4], strict=True):
        ax.imshow(picture, cmap="gray_r")
        ax.set_title(title)
        ax.axis("off")
plt.show()

# %%
# Three networks learn from 100 digits: one without augmentation, one from moved digits, and one from mirrored digits,
# which are no longer digits. This is repeated with other digits, because a single draw of so few images says little.


def accuracy(augment, seed):
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=100, stratify=y, random_state=seed)
    clf = NumpyCNNClassifier(augment=augment, batch_size=16, max_iter=60, random_state=seed).fit(X_train, y_train)
    return clf.score(X_test, y_test)


scores = {
    name: [accuracy(augment, seed) for seed in range(3)]
    for name, augment in {"mirrored": Flip(), "unchanged": None, "moved": Shift(1)}.items()
}

# %%
# Moved digits help and mirrored digits harm. Each dot is one draw of 100 digits.

fig, ax = plt.subplots(figsize=(6, 2.5), layout="constrained")
for name, values in scores.items():
    ax.plot(values, [name] * len(values), "o", alpha=0.5)
    ax.plot(np.mean(values), name, "|", color="black", markersize=20)
ax.set(xlabel=f"accuracy on {len(X) - 100} other digits (line: mean)")
ax.margins(y=0.3)
plt.show()

# sphinx_gallery_thumbnail_number = 2
