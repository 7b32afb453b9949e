"""Digits: train on scikit-learn's digits, save the model, load it in a new Python process and predict.

    python examples/digits.py

The data set has 1,797 grey images of 8x8 pixels in ten classes. The script takes a few seconds.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

# the program of the new process, which gets only the names of three files
LOAD_AND_PREDICT = """
import sys
import joblib
import numpy as np

model_file, images_file, predictions_file = sys.argv[1:]
np.save(predictions_file, joblib.load(model_file).predict(np.load(images_file)))
"""

# load images (n, h, w) and labels 0 to 9
digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
)
print(f"{len(X_train)} training images, {len(X_test)} test images, each of {X_train.shape[1:]} pixels")

# fit with the default parameters; random_state makes the result reproducible
clf = NumpyCNNClassifier(random_state=0, verbose=1).fit(X_train, y_train)
print(clf.network_.summary())

# score on the test set
accuracy = clf.score(X_test, y_test)

# save the model, load it in a new process and check that the predictions are the same
with tempfile.TemporaryDirectory() as folder:
    model, images, predictions = (Path(folder) / name for name in ("model.joblib", "images.npy", "predictions.npy"))
    joblib.dump(clf, model)
    np.save(images, X_test)
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, model, images, predictions], check=True)
    assert np.array_equal(np.load(predictions), clf.predict(X_test))
    print(f"saved {model.stat().st_size / 1024:.0f} KiB; a new process loaded it and predicted the same labels")

print(f"held-out accuracy {accuracy:.2f}")
