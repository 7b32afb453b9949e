"""Images from files: train on a folder of photographs, save the model, load it and predict the class of a file.

    python examples/image_folder.py                 # 120 small pieces of two photographs: a few seconds
    python examples/image_folder.py photos          # your own, such as photos/cat/1.jpg and photos/dog/1.jpg
    python examples/image_folder.py photos --size 96

It needs Pillow: pip install "skcnn[images]"
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.model_selection import train_test_split

import skcnn
from skcnn.datasets import load_image_folder, load_images

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", nargs="?", help="a folder with a sub-folder of images for each class")
parser.add_argument("--size", type=int, default=64, help="the rows and columns to which all images are resized")
args = parser.parse_args()


def write_samples(folder):
    """Cut scikit-learn's two sample photographs into pieces of 64x64 pixels, which do not overlap."""
    for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir()
        for row in range(0, photograph.shape[0] - 63, 64):
            for column in range(0, photograph.shape[1] - 63, 64):
                piece = photograph[row : row + 64, column : column + 64]
                Image.fromarray(piece).save(folder / name / f"{row:03}-{column:03}.jpg")


with tempfile.TemporaryDirectory() as temporary:
    if args.folder is None:
        write_samples(Path(temporary))

    # load images (n, h, w, 3) and the names of their folders
    photos = load_image_folder(args.folder or temporary, size=args.size, on_error="warn", verbose=1)
    print(f"{len(photos.data)} images of {args.size}x{args.size} pixels; classes: {', '.join(photos.target_names)}")
    X_train, X_test, y_train, y_test, _, test_files = train_test_split(
        photos.data, photos.target, photos.filenames, test_size=0.25, stratify=photos.target, random_state=0
    )

    # fit with the default parameters, and score on images that were not used in training
    clf = skcnn.NumpyCNNClassifier(random_state=0, verbose=1).fit(X_train, y_train)
    accuracy = clf.score(X_test, y_test)

    # save the model, load it and predict the class of a file
    skcnn.save(clf, Path(temporary) / "photos.skcnn")
    loaded = skcnn.load(Path(temporary) / "photos.skcnn")
    print(f"{test_files[0]}: {loaded.predict(load_images(test_files[0], size=args.size))[0]}")

print(f"held-out accuracy {accuracy:.2f}")
