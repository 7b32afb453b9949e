"""The main job: train on scikit-learn's digits, save the model, load it in a new Python process and predict.

    python examples/digits.py

1,797 grey images of 8x8 pixels, ten classes. A few seconds.
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

# what the new process runs: it knows nothing but the two files
LOAD_AND_PREDICT = """
import sys
import joblib
import numpy as np

model_file, images_file, predictions_file = sys.argv[1:]
np.save(predictions_file, joblib.load(model_file).predict(np.load(images_file)))
"""

# load: images as (n, h, w), labels 0 to 9
digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images, digits.target, test_size=0.25, stratify=digits.target, random_state=0
)
print(f"{len(X_train)} images to train on, {len(X_test)} held out, each of {X_train.shape[1:]} pixels")

# fit: the defaults do, and random_state makes the run repeatable
clf = NumpyCNNClassifier(random_state=0, verbose=1).fit(X_train, y_train)
print(clf.network_.summary())

# score: on images that had no part in training
accuracy = clf.score(X_test, y_test)

# save here, load there: the predictions are the same
with tempfile.TemporaryDirectory() as folder:
    model, images, predictions = (Path(folder) / name for name in ("model.joblib", "images.npy", "predictions.npy"))
    joblib.dump(clf, model)
    np.save(images, X_test)
    subprocess.run([sys.executable, "-c", LOAD_AND_PREDICT, model, images, predictions], check=True)
    assert np.array_equal(np.load(predictions), clf.predict(X_test))
    print(f"saved {model.stat().st_size / 1024:.0f} KiB; a new process loaded it and predicted the same labels")

print(f"held-out accuracy {accuracy:.2f}")
