"""
Are the probabilities right?
============================

Of all predictions with a probability of 0.8, about 80% should be right. Networks that have learnt their training images
by heart are often too confident. This example compares two remedies: temperature scaling and label smoothing.
"""

# %%
# The task is made hard: few training images, noise, and no weight decay.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

rng = np.random.default_rng(0)
digits = load_digits()
X = digits.images + rng.normal(0, 5, digits.images.shape)
X_train, X_test, y_train, y_test = train_test_split(
    X, digits.target, train_size=300, stratify=digits.target, random_state=0
)

parameters = {"batch_size": 16, "max_iter": 40, "dropout": 0, "alpha": 0, "random_state": 0}
plain = NumpyCNNClassifier(**parameters)
models = {
    "as it is": plain,
    "CalibratedClassifierCV": CalibratedClassifierCV(plain, method="temperature", cv=3, ensemble=False),
    "label_smoothing=0.05": NumpyCNNClassifier(label_smoothing=0.05, **parameters),
}
probabilities = {name: model.fit(X_train, y_train).predict_proba(X_test) for name, model in models.items()}

# %%
# For each model, the test images are sorted by the probability of the predicted class, and cut into six groups. On the
# diagonal, the accuracy of a group is its mean probability. Below it, the model is too confident.

fig, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
ax.plot([0.2, 1], [0.2, 1], color="black", linestyle=":")
for name, probability in probabilities.items():
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == y_test
    groups = np.array_split(np.argsort(confidence), 6)
    ax.plot([confidence[g].mean() for g in groups], [right[g].mean() for g in groups], marker="o", label=name)
    print(f"{name:24}accuracy {right.mean():.3f}, log loss {log_loss(y_test, probability):.3f}")
ax.set(xlabel="mean probability of the predicted class", ylabel="accuracy")
ax.legend()
plt.show()

# %%
# The network as it is, is too confident. Temperature scaling (scikit-learn 1.8) divides the logits by a number, which
# leaves the predicted classes as they are and lowers the log loss. With label smoothing, the network is slightly less
# confident than it should be. Here, this costs some accuracy, and the log loss is no lower.
