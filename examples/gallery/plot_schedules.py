"""
Learning-rate schedules
=======================

A schedule changes the learning rate during training. Large steps at first get far, small steps at the end settle down.
"""

# %%
# A schedule is a function of the epoch and the number of epochs. It returns the factor by which `learning_rate_init` is
# multiplied. These are the schedules of `skcnn.schedules` over 20 epochs.

import matplotlib.pyplot as plt
import numpy as np

from skcnn.schedules import Constant, Cosine, Exponential, OneCycle, StepDecay

schedules = {
    "Constant()": Constant(),
    "StepDecay(every=8)": StepDecay(every=8),
    "Exponential()": Exponential(),
    "Cosine(warm_up=2)": Cosine(warm_up=2),
    "OneCycle()": OneCycle(),
}
epochs = np.linspace(0, 20, 400)
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, schedule in schedules.items():
    ax.plot(epochs, [schedule(epoch, 20) for epoch in epochs], label=name)
ax.set(xlabel="epoch", ylabel="factor of the learning rate")
fig.legend(loc="outside upper center", ncols=3)
plt.show()

# %%
# The same network with three of them, and with the same largest learning rate:

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images.astype(np.float32), digits.target, train_size=800, stratify=digits.target, random_state=0
)
fig, axes = plt.subplots(2, 1, figsize=(6, 4.8), sharex=True, layout="constrained")
for name in ("Constant()", "Cosine(warm_up=2)", "OneCycle()"):
    clf = NumpyCNNClassifier(
        learning_rate=schedules[name], learning_rate_init=0.01, batch_size=16, max_iter=20, random_state=0
    )
    clf.fit(X_train, y_train, X_val=X_test, y_val=y_test)
    for ax, values in zip(axes, (clf.loss_curve_, clf.validation_scores_), strict=True):
        ax.plot(range(1, 21), values, label=name)
axes[0].set(ylabel="training loss", yscale="log")
axes[1].set(xlabel="epoch", ylabel="accuracy on other images", ylim=(0.93, 1))
axes[1].legend()
plt.show()

# %%
# At a constant rate, loss and accuracy go up and down to the end. If the rate falls to 0, they settle.

# sphinx_gallery_thumbnail_number = 2
