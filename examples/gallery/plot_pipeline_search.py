"""
A pipeline and a search
=======================

The classifier is a step of a pipeline like any other, and a search reaches its parameters through the pipeline.
"""

# %%
# Some pixels of these images are missing. `SimpleImputer` replaces them by the mean of the same pixel in other images.
# It takes a table, so the images are flat rows, and `image_shape` says how they are to be read.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skcnn import NumpyCNNClassifier

rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
X[rng.random(X.shape) < 0.2] = np.nan
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=0)

fig, axes = plt.subplots(1, 6, figsize=(6, 1.3), layout="constrained")
for ax, row in zip(axes, X_train, strict=False):
    ax.imshow(row.reshape(8, 8), cmap="gray_r")
    ax.set_facecolor("salmon")
    ax.set(xticks=[], yticks=[])
plt.show()

# %%
# Search over the number and the size of the kernels. The names are those of the step and of its parameter, joined by
# ``__``.

from sklearn.model_selection import GridSearchCV

cnn = NumpyCNNClassifier(image_shape=(8, 8), dtype="float32", batch_size=32, max_iter=12, random_state=0)
pipeline = Pipeline([("impute", SimpleImputer()), ("cnn", cnn)])
n_kernels, kernel_size = [(4, 8), (8, 16), (16, 32)], [1, 3, 5]
search = GridSearchCV(pipeline, {"cnn__kernel_size": kernel_size, "cnn__n_kernels": n_kernels}, cv=3)
search.fit(X_train, y_train)
print(search.best_params_)
print(f"accuracy on {len(X_test)} test images: {search.score(X_test, y_test):.3f}")

# %%
# Kernels of a single pixel see no pattern. The best networks here have many kernels.

scores = search.cv_results_["mean_test_score"].reshape(len(kernel_size), len(n_kernels))
fig, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
picture = ax.imshow(scores, cmap="viridis")
for (i, j), score in np.ndenumerate(scores):
    ax.text(j, i, f"{score:.3f}", ha="center", va="center", color="white", backgroundcolor="#0008")
ax.set_xticks(range(3), labels=n_kernels)
ax.set_yticks(range(3), labels=kernel_size)
ax.set(xlabel="n_kernels", ylabel="kernel_size")
fig.colorbar(picture, label="accuracy, mean of 3 folds")
plt.show()

# sphinx_gallery_thumbnail_number = 2
