"""Search for a good network as for any other model: a Pipeline in a GridSearchCV, twice, on scikit-learn's digits.

    python examples/grid_search.py

First over the parameters of the architecture, then over the fields of layers and of the optimizer. Half a minute or so.
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
    # rows of 64 pixels, as a Pipeline's other steps want them
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)

    # the shape of the images is stated, so a network that is too large for them is an error and not made smaller
    cnn = NumpyCNNClassifier(image_shape=(8, 8), scaling=None, max_iter=8, random_state=0)
    pipeline = Pipeline([("scale", MinMaxScaler((-0.5, 0.5))), ("cnn", cnn)])

    architecture = {
        "cnn__n_kernels": [(8,), (8, 16)],
        "cnn__kernel_size": [3, 5],
        "cnn__pool_size": [2, 4],
        "cnn__hidden_layer_sizes": [(), (50,)],
    }
    search(pipeline, architecture, X_train, y_train, X_test, y_test)
    print("Two pools of 4x4 do not fit images of 8x8: these candidates score nan, and the search goes on.\n")

    # whole stacks of layers, then fields inside them; the optimizer is an object here, so it has fields too
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
    """Search on the training images, print the candidates from best to worst, and score the winner on the others."""
    with warnings.catch_warnings():
        # candidates that do not fit are expected here; without this line their errors are printed
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        found = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)
    results = found.cv_results_
    for index in results["rank_test_score"].argsort(kind="stable"):
        candidate = ", ".join(f"{name.removeprefix('cnn__')}={v}" for name, v in results["params"][index].items())
        print(f"{results['mean_test_score'][index]:.3f}  {candidate}")
    print(f"best, on {len(X_test)} images that the search has not seen: {found.score(X_test, y_test):.3f}")


# the workers of n_jobs=2 may import this file, and must not start a search of their own
if __name__ == "__main__":
    main()
