"""
Images in a table
=================

Many image data sets are tables: one image per row, one pixel per column, and a column of labels. Pass `image_shape`,
and the classifier reads each row as an image.
"""

# %%
# Such a table, as `pandas.read_csv` might return it. The images have 8 rows and 8 columns.

from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True, as_frame=True)
table = X.astype("uint8").assign(label=y)
table.iloc[:5, [0, 1, 2, 3, 62, 63, 64]]

# %%
# Remove all other columns before training. The pixels must be in order: row by row, each from left to right.

from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

pixels, label = table.drop(columns="label"), table["label"]
X_train, X_test, y_train, y_test = train_test_split(pixels, label, train_size=300, stratify=label, random_state=0)
clf = NumpyCNNClassifier(image_shape=(8, 8), scaling=(0, 16), batch_size=16, max_iter=30, random_state=0)
clf.fit(X_train, y_train)
print(f"image_shape_: {clf.image_shape_}, accuracy: {clf.score(X_test, y_test):.3f}")

# %%
# The classifier remembers the names of the columns. A table with other columns, or in another order, is an error:

try:
    clf.predict(X_test[X_test.columns[::-1]])
except ValueError as error:
    print(error)

# %%
# Why the order matters
# ---------------------
# A convolutional network looks for patterns of neighbouring pixels. If the columns are shuffled, in training and in
# prediction alike, the neighbours are no longer neighbours. The accuracies are means of three draws of 300 images.

import matplotlib.pyplot as plt
import numpy as np

orders = {"in order": pixels.columns, "shuffled": np.random.default_rng(0).permutation(pixels.columns)}
scores = {name: [] for name in orders}
for seed in range(3):
    parts = train_test_split(pixels, label, train_size=300, stratify=label, random_state=seed)
    X_train, X_test, y_train, y_test = parts
    for name, columns in orders.items():
        clf.fit(X_train[columns], y_train)
        scores[name].append(clf.score(X_test[columns], y_test))

fig, axes = plt.subplots(1, 2, figsize=(6, 3.2), layout="constrained")
for ax, (name, columns) in zip(axes, orders.items(), strict=True):
    ax.imshow(pixels[columns].iloc[5].to_numpy().reshape(8, 8), cmap="gray_r")
    ax.set_title(f"columns {name}:\naccuracy {np.mean(scores[name]):.3f}")
    ax.axis("off")
plt.show()

# %%
# The network also learns from shuffled pixels, but makes about twice as many mistakes.
