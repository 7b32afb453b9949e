"""
Find similar images
===================

The last layers of a network describe what is in an image, rather than its pixels. `CNNFeatures` is a transformer that
returns the output of a layer, for instance for a search for similar images.
"""

# %%
# The digits are somewhere in a frame of 14x14 pixels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

rng = np.random.default_rng(0)
digits = load_digits()
X = np.zeros((len(digits.images), 14, 14), np.float32)
for frame, image, (row, column) in zip(X, digits.images, rng.integers(0, 7, (len(X), 2)), strict=True):
    frame[row : row + 8, column : column + 8] = image
X_train, X_test, y_train, y_test = train_test_split(X, digits.target, stratify=digits.target, random_state=0)

# %%
# By default, `CNNFeatures` returns the output of the layer before the output layer. `fit` trains the network.

from skcnn import CNNFeatures, NumpyCNNClassifier

features = CNNFeatures(NumpyCNNClassifier(batch_size=32, max_iter=15, random_state=0)).fit(X_train, y_train)
print(features.transform(X_test).shape)

# %%
# For each test image, find the most similar ones of the training set: by their pixels, and by their features.

from sklearn.neighbors import NearestNeighbors


def neighbours(train, test):
    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test, return_distance=False)


def flat(images):
    return images.reshape(len(images), -1)


found = {
    "pixels": neighbours(flat(X_train), flat(X_test)),
    "features": neighbours(features.transform(X_train), features.transform(X_test)),
}
for name, indices in found.items():
    same = (y_train[indices] == y_test[:, np.newaxis]).mean()
    print(f"by their {name}: {same:.0%} of the neighbours show the same digit")

# %%
# By their pixels, two images are similar if the digits are at the same place. By their features, they are similar if
# they show the same digit.

fig, axes = plt.subplots(4, 6, figsize=(6, 4.4), layout="constrained")
for row, (index, name) in zip(axes, [(0, "pixels"), (0, "features"), (1, "pixels"), (1, "features")], strict=True):
    for ax, image in zip(row, [X_test[index], *X_train[found[name][index]]], strict=True):
        ax.imshow(image, cmap="gray_r")
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"by {name}")
axes[0, 0].set_title("test image")
axes[0, 3].set_title("most similar training images")
plt.show()
