"""
Why convolve?
=============

A kernel has the same weights at every position, so it finds a stroke wherever it is. A fully connected layer has
separate weights for every pixel, so a stroke that has moved is new to it.
"""

# %%
# All networks train on digits in the middle of a frame.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, ReLU

digits = load_digits()
framed = np.pad(digits.images, ((0, 0), (3, 3), (3, 3))) / 16 - 0.5
X = framed.reshape(len(framed), -1).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, digits.target, stratify=digits.target, random_state=0)

training = {"image_shape": (14, 14), "batch_size": 32, "max_iter": 15, "random_state": 0}
anywhere = [Conv2D(32), ReLU(), MaxPool2D(), Conv2D(64), ReLU(), GlobalAvgPool2D()]
models = {
    "convolutional": NumpyCNNClassifier(**training),
    "convolutional, global mean": NumpyCNNClassifier(layers=anywhere, **training),
    "fully connected": NumpyCNNClassifier(layers=[Flatten(), Dense(200), ReLU()], **training),
}
for model in models.values():
    model.fit(X_train, y_train)

# %%
# The digits of the test set are moved to the side, by more and more pixels. The frame is wide enough that no part of
# them is lost.


def moved(rows, by):
    return np.roll(rows.reshape(-1, 14, 14), by, axis=2).reshape(rows.shape)


distances = range(4)
fig, axes = plt.subplots(1, 4, figsize=(6, 1.7), layout="constrained")
for ax, by in zip(axes, distances, strict=True):
    ax.imshow(moved(X_test[:1], by).reshape(14, 14), cmap="gray_r")
    ax.set_title(f"by {by}")
    ax.axis("off")
plt.show()

# %%

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, model in models.items():
    ax.plot(distances, [model.score(moved(X_test, by), y_test) for by in distances], marker="o", label=name)
ax.axhline(0.1, color="black", linestyle=":", label="guessing")
ax.set(xlabel="moved by (pixels)", ylabel="accuracy", xticks=distances)
ax.legend()
plt.show()

# %%
# On moved digits, the fully connected network is soon no better than guessing. The convolutional one loses less: its
# kernels still find the strokes, and only its dense layers depend on the position. With the global mean, no layer has
# weights for a position. It is a little worse in place, and best everywhere else. What it loses at odd distances is due
# to its pool, whose windows of two pixels then cut the strokes elsewhere.

# sphinx_gallery_thumbnail_number = 2
