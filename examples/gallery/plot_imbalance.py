"""
Imbalanced classes
==================

If some classes are rare, the accuracy hides how badly they are predicted. ``class_weight="balanced"`` gives each class
the same total weight.
"""

# %%
# Of the even digits, only six images each are left in the training set. The test set stays balanced.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images.astype(np.float32), digits.target, stratify=digits.target, random_state=0
)
kept = np.concatenate([np.flatnonzero(y_train == label)[: 6 if label % 2 == 0 else None] for label in range(10)])
X_train, y_train = X_train[kept], y_train[kept]
print("images per class:", np.bincount(y_train))

# %%
# The recall of a class is the part of its images that is recognised. Their mean is the balanced accuracy.

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for class_weight, shift in ((None, -0.2), ("balanced", 0.2)):
    clf = NumpyCNNClassifier(class_weight=class_weight, batch_size=16, max_iter=20, random_state=0)
    y_pred = clf.fit(X_train, y_train).predict(X_test)
    balanced = balanced_accuracy_score(y_test, y_pred)
    label = f"class_weight={class_weight!r}: balanced accuracy {balanced:.3f}"
    ax.bar(np.arange(10) + shift, recall_score(y_test, y_pred, average=None), width=0.4, label=label)
ax.set(xlabel="class (even: 6 images, odd: about 135)", ylabel="recall", xticks=range(10), ylim=(0, 1.3))
ax.legend()
plt.show()

# %%
# The weights raise the recall of the rare classes. They cannot replace the images that are missing: most rare classes
# are still recognised less often than the frequent ones.
