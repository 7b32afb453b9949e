"""Grid search: find a good network for scikit-learn's digits with a Pipeline in a GridSearchCV.

    python examples/grid_search.py

The first search varies the parameters of the architecture, the second the settings of layers and of the optimizer. The
script takes about half a minute.
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import NumpyCNNClassifier
from skcnn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from skcnn.optimizers import SGD


def main():
    # flat rows of 64 pixels, because MinMaxScaler needs a table
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)

    # with image_shape, a pool that does not fit is an error; without it, the pool would be made smaller
    cnn = NumpyCNNClassifier(image_shape=(8, 8), scaling=None, max_iter=8, random_state=0)
    pipeline = Pipeline([("scale", MinMaxScaler((-0.5, 0.5))), ("cnn", cnn)])

    architecture = {
        "cnn__n_kernels": [(8,), (8, 16)],
        "cnn__kernel_size": [3, 5],
        "cnn__pool_size": [2, 4],
        "cnn__hidden_layer_sizes": [(), (50,)],
    }
    search(pipeline, architecture, X_train, y_train, X_test, y_test)
    print("Two 4x4 pools do not fit 8x8 images. These candidates scored nan, and the search continued.\n")

    # vary the list of layers, and fields of a layer and of the optimizer, which must be an object to have fields
    pipeline.set_params(cnn__solver=SGD(), cnn__learning_rate_init=0.02)
    fields = {
        "cnn__layers": [
            [Conv2D(8), ReLU(), MaxPool2D(), Flatten()],
            [Conv2D(8), ReLU(), MaxPool2D(), Flatten(), Dense(50), ReLU()],
        ],
        "cnn__layers__0__n_kernels": [8, 16],
        "cnn__solver__momentum": [0.0, 0.9],
    }
    search(pipeline, fields, X_train, y_train, X_test, y_test)


def search(pipeline, grid, X_train, y_train, X_test, y_test):
    """Search on the training set, print the candidates from best to worst, and score the best one on the test set."""
    with warnings.catch_warnings():
        # some candidates are expected to fail; do not print their errors
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        found = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)
    results = found.cv_results_
    for index in results["rank_test_score"].argsort(kind="stable"):
        candidate = ", ".join(f"{name.removeprefix('cnn__')}={v}" for name, v in results["params"][index].items())
        print(f"{results['mean_test_score'][index]:.3f}  {candidate}")
    print(f"accuracy of the best candidate on {len(X_test)} test images: {found.score(X_test, y_test):.3f}")


# the worker processes of n_jobs=2 may import this file; they must not start a search themselves
if __name__ == "__main__":
    main()
