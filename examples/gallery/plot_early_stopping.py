"""
Early stopping
==============

Some labels of a data set are wrong. A network first learns what most images have in common, and later the wrong labels
by heart. ``early_stopping=True`` ends training, and keeps the weights from before.
"""

# %%
# A quarter of the 500 training images get a random label. The labels of the validation set and the test set are right.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

rng = np.random.default_rng(0)
digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images.astype(np.float32), digits.target, train_size=500, stratify=digits.target, random_state=0
)
X_test, X_val, y_test, y_val = train_test_split(X_test, y_test, train_size=1000, random_state=0)
y_train = np.where(rng.random(500) < 0.25, rng.integers(0, 10, 500), y_train)

# %%
# Without early stopping, the validation set only watches. The learning rate is constant.

parameters = {"learning_rate": "constant", "dropout": 0, "batch_size": 16, "max_iter": 40, "random_state": 0}
clf = NumpyCNNClassifier(**parameters).fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# With early stopping, training ends when the score on the validation set has not risen for more than 10 epochs. The
# weights that are kept are the last ones whose score is about as high as the highest.

stopped = NumpyCNNClassifier(early_stopping=True, **parameters)
stopped.fit(X_train, y_train, X_val=X_val, y_val=y_val)
print(f"ended after epoch {stopped.n_iter_}, kept the weights of epoch {stopped.best_iter_}")

fig, axes = plt.subplots(2, 1, figsize=(6, 4.5), sharex=True, layout="constrained")
epochs = np.arange(1, clf.n_iter_ + 1)
axes[0].plot(epochs, clf.loss_curve_)
axes[0].set(ylabel="training loss")
axes[1].plot(epochs, clf.validation_scores_)
axes[1].set(xlabel="epoch", ylabel="validation accuracy")
for ax in axes:
    ax.axvline(stopped.best_iter_, color="black", linestyle=":", label="weights that early stopping keeps")
    ax.axvline(stopped.n_iter_, color="grey", linestyle="--", label="end of training with early stopping")
axes[0].legend()
plt.show()

# %%
# The training loss goes on falling while the accuracy on other images falls too. The validation set has chosen the
# weights, so its score is too good. Use other images to tell what early stopping has gained:

for name, model in (("without", clf), ("with", stopped)):
    print(f"{name:8}early stopping: accuracy {model.score(X_test, y_test):.3f} on {len(X_test)} test images")
