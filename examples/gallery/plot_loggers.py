"""
Send every epoch to a logger
============================

After each epoch, a callback can read the newest row of ``history_`` and send it elsewhere: to a file, to MLflow or to
TensorBoard. Callbacks need scikit-learn 1.9 or newer.
"""

# %%
# A callback has four methods. scikit-learn calls `on_fit_task_end` after each epoch and at the end of the fit.
# ``fitted_estimator`` is the classifier as it is at that moment, so its history ends with the row of the epoch. What is
# done with the row is left to subclasses.


class EpochLogger:
    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.log(fitted_estimator.history_[-1])

    def teardown(self, estimator, context):
        pass


# %%
# A table that grows
# ------------------
# This logger writes a line to a file after each epoch. Another program can read the file while training goes on.

import csv
from pathlib import Path
from tempfile import TemporaryDirectory


class CSVLogger(EpochLogger):
    def __init__(self, path):
        self.path = path

    def log(self, row):
        is_new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


# %%
# `set_callbacks` adds it to the classifier. There is a row for each epoch, and a validation set adds columns.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

digits = load_digits()
X_train, X_val, y_train, y_val = train_test_split(
    digits.images, digits.target, train_size=500, stratify=digits.target, random_state=0
)

with TemporaryDirectory() as folder:
    path = Path(folder) / "history.csv"
    clf = NumpyCNNClassifier(max_iter=12, random_state=0).set_callbacks(CSVLogger(path))
    clf.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    table = pd.read_csv(path, index_col="epoch")

print(table[["loss", "val_loss", "val_accuracy"]].tail(3).round(3))

# %%

ax = table[["loss", "val_loss"]].plot(figsize=(6, 3.5), ylabel="loss")
ax.figure.set_layout_engine("constrained")
plt.show()

# %%
# MLflow
# ------
# Every number of the row becomes a metric of the current run.
#
# .. code-block:: python
#
#     import mlflow
#
#     class MLflowLogger(EpochLogger):
#         def log(self, row):
#             numbers = {name: value for name, value in row.items() if value is not None}
#             mlflow.log_metrics(numbers, step=numbers.pop("epoch"))
#
#     with mlflow.start_run():
#         mlflow.log_params({"n_kernels": 32, "random_state": 0})
#         NumpyCNNClassifier(n_kernels=32, random_state=0).set_callbacks(MLflowLogger()).fit(X_train, y_train)
#
# TensorBoard
# -----------
# ``pip install tensorboardX`` installs a writer that needs neither TensorFlow nor PyTorch.
#
# .. code-block:: python
#
#     from tensorboardX import SummaryWriter
#
#     class TensorBoardLogger(EpochLogger):
#         def __init__(self, folder):
#             self.writer = SummaryWriter(folder)
#
#         def log(self, row):
#             for name, value in row.items():
#                 if value is not None:
#                     self.writer.add_scalar(name, value, row["epoch"])
#
#     NumpyCNNClassifier().set_callbacks(TensorBoardLogger("runs/1")).fit(X_train, y_train)
