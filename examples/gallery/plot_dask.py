"""
Beyond one machine: a cluster of dask
=====================================

joblib can send the fits of a search to the workers of a cluster, and dask-ml can train on an array that no single
machine could hold. Both work with `NumpyCNNClassifier` as it is. ``pip install "skcnn[dask]"`` installs what they need.
"""

# %%
# A cluster
# ---------
# This cluster consists of two processes on the computer that runs this page. Each one computes with one thread. The
# processes may import the script that starts them. So run this page as a notebook; in a script, put everything below
# ``if __name__ == "__main__":``.

from dask.distributed import Client, LocalCluster

cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
client = Client(cluster)

# %%
# For a real cluster, pass the address of its scheduler instead: ``client = Client("tcp://scheduler:8786")``. skcnn must
# be installed on its workers, in the same version.
#
# A search
# --------
# Inside ``joblib.parallel_config("dask")``, the 12 fits of this search are tasks of the cluster.

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skcnn import NumpyCNNClassifier

X, y = load_digits(return_X_y=True)
n_kernels = [2, 4, 8, 16]


def search():
    clf = NumpyCNNClassifier(image_shape=(8, 8), max_iter=4, random_state=0)
    return GridSearchCV(clf, {"n_kernels": n_kernels}, cv=3, n_jobs=-1)


with joblib.parallel_config("dask"):
    on_cluster = search().fit(X, y)

with joblib.parallel_config("sequential"):
    serial = search().fit(X, y)

print("on the cluster:", on_cluster.cv_results_["mean_test_score"].round(4))
print("in one process:", serial.cv_results_["mean_test_score"].round(4))

# %%
# The scores are the same: a fit gives the same bits in any process and with any number of threads.

mean, std = (on_cluster.cv_results_[f"{which}_test_score"] for which in ("mean", "std"))
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.errorbar(n_kernels, mean, std, marker="o", capsize=3)
ax.set(xlabel="n_kernels", ylabel="accuracy, mean of 3 folds", xscale="log", xticks=n_kernels)
ax.set_xticks(n_kernels, labels=n_kernels)
ax.minorticks_off()
plt.show()

# %%
# Training on an array in chunks
# ------------------------------
# `dask_ml.wrappers.Incremental` calls `partial_fit` for one chunk after the other. The chunks are loaded or computed
# when they are needed, so the whole array is never in memory. Three things to note:
#
# - Incremental takes flat rows, so `image_shape` gives the shape of the images.
# - The first chunk fixes the scaling. Pass the range of the pixels, unless they are uint8.
# - ``classes`` lists all classes, because a chunk need not contain all of them.

import dask.array as da
from dask_ml.wrappers import Incremental

n_train = 1400
chunks = da.from_array(X[:n_train], chunks=(200, -1)), da.from_array(y[:n_train], chunks=200)
clf = NumpyCNNClassifier(image_shape=(8, 8), scaling=(0, 16), random_state=0)
incremental = Incremental(clf, shuffle_blocks=False, random_state=0)

scores = []
for _ in range(6):  # each call trains for one epoch
    incremental.partial_fit(*chunks, classes=np.unique(y))
    scores.append(incremental.estimator_.score(X[n_train:], y[n_train:]))

fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
ax.plot(range(1, len(scores) + 1), scores, marker="o")
ax.set(xlabel="epoch", ylabel=f"accuracy on {len(X) - n_train} other images")
plt.show()

# %%
# Stop the cluster when it is no longer needed.

client.close()
cluster.close()
