"""Fashion-MNIST: train on images of clothing, and report accuracy and macro F1 on the test set after every epoch.

    python examples/fashion_mnist.py               # 6,000 of the 60,000 training images: less than a minute
    python examples/fashion_mnist.py --exercise    # all training images, batch size 1, 3 epochs: a few minutes

The second command trains the preset `EXERCISE`: two convolutions and a hidden layer, a classic exercise in writing a
network by hand.

The data comes from Debian's package dataset-fashion-mnist if it is installed, and otherwise from OpenML.
"""

import argparse

from skcnn import NumpyCNNClassifier
from skcnn.datasets import load_fashion_mnist
from skcnn.presets import EXERCISE

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--exercise", action="store_true", help="train the preset EXERCISE on all 60,000 images")
args = parser.parse_args()

X_train, y_train = load_fashion_mnist(return_X_y=True)
X_test, y_test = load_fashion_mnist(subset="test", return_X_y=True)

if args.exercise:
    clf = NumpyCNNClassifier(**EXERCISE, random_state=0, verbose=1)
else:
    clf = NumpyCNNClassifier(max_iter=5, random_state=0, verbose=1)
    # the images are in random order, so the first 6,000 are a random sample
    X_train, y_train = X_train[:6000], y_train[:6000]

# without early_stopping, X_val and y_val do not influence training, so this is a fair test
clf.fit(X_train, y_train, X_val=X_test, y_val=y_test)

print("\nepoch  test accuracy  macro F1")
for row in clf.history_:
    print(f"{row['epoch']:5}  {row['val_accuracy']:13.4f}  {row['val_f1']:8.4f}")
