"""
Classify images of digits
=========================

Train a convolutional network on scikit-learn's digits with the default parameters, and look at its mistakes.
"""

# %%
# The data set has 1,797 grey images of 8x8 pixels. A quarter of them is kept for the test.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, stratify=digits.target, random_state=0
)
clf = NumpyCNNClassifier(dtype="float32", random_state=0).fit(X_train, y_train)
print(f"accuracy on {len(X_test)} test images: {clf.score(X_test, y_test):.3f}")

# %%
# The first images of the test set, with what the network predicts:

y_pred = clf.predict(X_test)
fig, axes = plt.subplots(2, 8, figsize=(6, 2.2), layout="constrained")
for ax, image, label in zip(axes.flat, X_test, y_pred, strict=False):
    ax.imshow(image, cmap="gray_r")
    ax.set_title(label)
    ax.axis("off")
plt.show()

# %%
# Nearly all images are on the diagonal of the confusion matrix. Half of the few mistakes are eights.

fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ConfusionMatrixDisplay.from_predictions(y_test, y_pred, ax=ax, colorbar=False, cmap="Blues")
plt.show()

# %%
# These images were predicted wrongly:

wrong = np.flatnonzero(y_pred != y_test)
fig, axes = plt.subplots(1, len(wrong), figsize=(6, 1.6), layout="constrained", squeeze=False)
for ax, index in zip(axes.flat, wrong, strict=True):
    ax.imshow(X_test[index], cmap="gray_r")
    ax.set_title(f"{y_test[index]} as {y_pred[index]}")
    ax.axis("off")
plt.show()
