"""Grid search: find a good network for scikit-learn's digits.

    python examples/grid_search.py

The first search varies the parameters of the architecture, the second the settings of layers and of the optimizer. The
script takes about half a minute.
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, train_test_split

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from skcnn.optimizers import SGD


def main():
    digits = load_digits()
    X_train, X_test, y_train, y_test = train_test_split(
        digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
    )
    clf = NumpyCNNClassifier(max_iter=8, random_state=0)

    architecture = {
        "n_kernels": [(8,), (8, 16)],
        "kernel_size": [3, 5],
        "pool_size": [2, 4],
        "hidden_layer_sizes": [(), (50,)],
    }
    search(clf, architecture, X_train, y_train, X_test, y_test)
    print("Two 4x4 pools do not fit 8x8 images. These candidates scored nan, and the search continued.\n")

    # vary the list of layers, and fields of a layer and of the optimizer, which must be an object to have fields
    clf.set_params(solver=SGD(), learning_rate_init=0.02)
    fields = {
        "layers": [
            [Conv2D(8), ReLU(), MaxPool2D(), Flatten()],
            [Conv2D(8), ReLU(), MaxPool2D(), Flatten(), Dense(50), ReLU()],
        ],
        "layers__0__n_kernels": [8, 16],
        "solver__momentum": [0.0, 0.9],
    }
    search(clf, fields, X_train, y_train, X_test, y_test)


def search(clf, grid, X_train, y_train, X_test, y_test):
    """Search on the training set, print the candidates from best to worst, and score the best one on the test set."""
    with warnings.catch_warnings():
        # some candidates are expected to fail; do not print their errors
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        found = GridSearchCV(clf, grid, cv=3, n_jobs=2).fit(X_train, y_train)
    results = found.cv_results_
    for index in results["rank_test_score"].argsort(kind="stable"):
        candidate = ", ".join(f"{name}={v}" for name, v in results["params"][index].items())
        print(f"{results['mean_test_score'][index]:.3f}  {candidate}")
    print(f"accuracy of the best candidate on {len(X_test)} test images: {found.score(X_test, y_test):.3f}")


# the worker processes of n_jobs=2 may import this file; they must not start a search themselves
if __name__ == "__main__":
    main()
