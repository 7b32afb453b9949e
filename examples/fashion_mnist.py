"""Articles of clothing: train on Fashion-MNIST and watch accuracy and macro F1 on the test images.

    python examples/fashion_mnist.py               # 6,000 of the 60,000 training images: under a minute
    python examples/fashion_mnist.py --exercise    # all of them, one image a step, 3 epochs: some minutes

The second is a classic exercise, two convolutions and a hidden layer written by hand, as the preset `EXERCISE`.

The data is that of Debian's package dataset-fashion-mnist where it is installed; else it is fetched from OpenML.
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
    clf = NumpyCNNClassifier(**EXERCISE)
else:
    clf = NumpyCNNClassifier(max_iter=5)
    # the files are in random order, so the first images are as good as any
    X_train, y_train = X_train[:6000], y_train[:6000]
clf.set_params(random_state=0, verbose=1)

# the test images are only looked at: they stop nothing and select nothing, and the last weights stand
clf.fit(X_train, y_train, X_val=X_test, y_val=y_test)

print("\nepoch  test accuracy  macro F1")
for row in clf.history_:
    print(f"{row['epoch']:5}  {row['val_accuracy']:13.4f}  {row['val_f1']:8.4f}")
