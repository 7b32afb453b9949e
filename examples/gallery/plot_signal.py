"""
Signals
=======

A signal is an image of a single row. Its kernels slide along time, and find a shape wherever it is.
"""

# %%
# Each of these signals has one pulse, at a random time, and noise. The pulse is a bump, a wave, or a step up and down.

import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
names = np.array(["bump", "wave", "step"])
time = np.arange(128)


def pulse(name, start):
    t = (time - start) / 24  # 0 to 1 during the pulse
    inside = (t >= 0) & (t < 1)
    shapes = {"bump": np.sin(np.pi * t), "wave": np.sin(4 * np.pi * t), "step": np.sign(0.5 - t)}
    return np.where(inside, shapes[name], 0)


y = rng.choice(names, 600)
X = np.stack([pulse(name, start) for name, start in zip(y, rng.integers(0, 104, 600), strict=True)])
X += rng.normal(0, 0.6, X.shape)

fig, axes = plt.subplots(3, 2, figsize=(6, 4), sharex=True, sharey=True, layout="constrained")
for row, name in zip(axes, names, strict=True):
    for ax, signal in zip(row, X[y == name], strict=False):
        ax.plot(signal, linewidth=1)
    row[0].set_ylabel(name)
for ax in axes[-1]:
    ax.set_xlabel("time")
plt.show()

# %%
# ``image_shape=(1, 128)`` says that a row of the table is a signal of 128 values. The kernels and pooling windows then
# have one row too.

from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=150, stratify=y, random_state=0)
clf = NumpyCNNClassifier(image_shape=(1, 128), dtype="float32", batch_size=16, max_iter=15, random_state=0)
clf = clf.fit(X_train, y_train)
print("kernels:", clf.network_.layers[0].kernel_size)

# %%
# A random forest takes each of the 128 times as a separate feature, and nearest neighbours compare signals time by
# time. Both would need examples of each pulse at each time. The convolutional network needs far fewer.

from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier

others = {"random forest": RandomForestClassifier(random_state=0), "nearest neighbours": KNeighborsClassifier()}
scores = {name: other.fit(X_train, y_train).score(X_test, y_test) for name, other in others.items()}
scores["convolutional network"] = clf.score(X_test, y_test)

fig, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
ax.bar_label(ax.barh(list(scores), list(scores.values())), fmt="%.2f", padding=3)
ax.axvline(1 / 3, color="black", linestyle=":")
ax.set(xlabel="accuracy on 450 other signals (dotted: guessing)", xlim=(0, 1.1))
plt.show()
