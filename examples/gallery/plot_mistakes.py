"""
Find wrong labels
=================

The most confident mistakes of a network are often not its own: the label is wrong. In cross-validation, every image is
predicted by a network that was not trained on it.
"""

# %%
# Of 800 digits, 12 get a wrong label.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skcnn import NumpyCNNClassifier

rng = np.random.default_rng(0)
digits = load_digits()
X, truth = digits.images[:800].astype(np.float32), digits.target[:800]
y = truth.copy()
changed = rng.choice(800, 12, replace=False)
y[changed] = (y[changed] + rng.integers(1, 10, 12)) % 10

# %%
# `cross_val_predict` returns the probabilities. The lower the probability of the label, the more confident is the
# mistake.

clf = NumpyCNNClassifier(batch_size=16, max_iter=15, random_state=0)
folds = StratifiedKFold(3, shuffle=True, random_state=0)
probability = cross_val_predict(clf, X, y, cv=folds, method="predict_proba")
of_label = probability[np.arange(800), y]
order = np.argsort(of_label)

# %%
# The most confident mistakes come first. A red title marks a label that was changed.

fig, axes = plt.subplots(4, 6, figsize=(6, 5.6), layout="constrained")
for ax, index in zip(axes.flat, order, strict=False):
    ax.imshow(X[index], cmap="gray_r")
    colour = "red" if y[index] != truth[index] else "black"
    ax.set_title(f"label {y[index]},\npredicted {probability[index].argmax()}", fontsize=9, color=colour)
    ax.axis("off")
plt.show()

found = np.isin(changed, order[:24]).sum()
print(f"wrong labels among these 24 of 800 images: {found} of 12")

# %%
# So whoever looks at a few images in this order finds the wrong labels. What follows them are digits that are hard to
# read.
