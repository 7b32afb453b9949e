"""
Would more images help?
=======================

A learning curve shows the accuracy for more and more training images. If it still rises at its end, more images would
help. `sklearn.model_selection.LearningCurveDisplay` takes images as they are.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import LearningCurveDisplay, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import NumpyCNNClassifier


def flatten(images):
    return images.reshape(len(images), -1)


digits = load_digits()
images = digits.images.astype(np.float32)
models = {
    "convolutional network": NumpyCNNClassifier(max_iter=20, random_state=0),
    "random forest": make_pipeline(FunctionTransformer(flatten), RandomForestClassifier(random_state=0)),
}

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for model in models.values():
    LearningCurveDisplay.from_estimator(
        model, images, digits.target, train_sizes=[50, 100, 200, 400], ax=ax, score_type="test",
        cv=StratifiedKFold(3, shuffle=True, random_state=0), shuffle=True, random_state=0,
    )  # fmt: skip
lines = [line for line in ax.lines if len(line.get_xdata())]
ax.legend(lines, models)
ax.set(xscale="log", xticks=[50, 100, 200, 400], ylabel="accuracy, mean and deviation of 3 folds")
ax.set_xticks([50, 100, 200, 400], labels=[50, 100, 200, 400])
ax.minorticks_off()
plt.show()

# %%
# Both curves still rise at the end, so more images would help either model. The network makes better use of them.
