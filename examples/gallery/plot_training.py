"""
Was training long enough?
=========================

`TrainingDisplay` draws the history of a fit: the loss and the accuracy, in training and on a validation set, and the
learning rate.
"""

# %%
# Two networks, one trained for 4 epochs and one for 30. The validation set only watches.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.inspection import TrainingDisplay

digits = load_digits()
X_train, X_val, y_train, y_val = train_test_split(
    digits.images.astype(np.float32), digits.target, train_size=800, stratify=digits.target, random_state=0
)
short, long = (
    NumpyCNNClassifier(max_iter=max_iter, batch_size=32, random_state=0).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    for max_iter in (4, 30)
)

# %%
# After four epochs, both losses are still falling, and the accuracies are rising. More epochs will help.

TrainingDisplay.from_estimator(short)
plt.show()

# %%
# After 30 epochs, the validation accuracy has been the same for a while. More epochs are not needed.

TrainingDisplay.from_estimator(long)
plt.show()

# %%
# The same figures as a table:

import pandas as pd

pd.DataFrame(long.history_).set_index("epoch").iloc[::6].round(4)

# sphinx_gallery_thumbnail_number = 2
