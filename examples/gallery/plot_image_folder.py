"""
A folder of photographs
=======================

`load_image_folder` reads a folder that has a sub-folder for each class, and the names of the sub-folders become the
labels. It needs Pillow, and this page also needs matplotlib: ``pip install "skcnn[images,plots]"``.
"""

# %%
# First, this script makes such a folder: it cuts scikit-learn's two sample photographs into pieces of 64x64 pixels and
# writes each piece to a file. With photographs of your own, skip this step.

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from sklearn.datasets import load_sample_images

temporary = TemporaryDirectory()
folder = Path(temporary.name)
for name, photograph in zip(("temple", "flower"), load_sample_images().images, strict=True):
    (folder / name).mkdir()
    for row in range(0, 427 - 63, 64):
        for column in range(0, 640 - 63, 64):
            piece = photograph[row : row + 64, column : column + 64]
            Image.fromarray(piece).save(folder / name / f"{row}-{column}.png")

print(*sorted(path.relative_to(folder) for path in folder.glob("*/*.png"))[:3], sep="\n")

# %%
# Read the folder
# ---------------
# All images get the same size. Here, they are reduced to 32x32 pixels.

from skcnn.datasets import load_image_folder, load_images

photos = load_image_folder(folder, size=32)
print(photos.data.shape, photos.data.dtype, photos.target_names)

# %%
# Train and test
# --------------
# For this easy task, 20 epochs are enough. For photographs of your own, leave out `max_iter`, and try larger images.

from sklearn.model_selection import train_test_split

from skcnn import NumpyCNNClassifier

X_train, X_test, y_train, y_test, _, test_files = train_test_split(
    photos.data, photos.target, photos.filenames, stratify=photos.target, random_state=0
)
clf = NumpyCNNClassifier(max_iter=20, random_state=0).fit(X_train, y_train)
print(f"accuracy on {len(X_test)} test images: {clf.score(X_test, y_test):.2f}")

# %%
# Predict files
# -------------
# `load_images` reads single files in the same way. The title of each image is the predicted class and its probability.
# Even those of which the network is least certain are right. The two photographs have different colours, so this task
# is easy.

import matplotlib.pyplot as plt
import numpy as np

X_new = load_images(test_files, size=32)
y_pred = clf.predict(X_new)
probability = clf.predict_proba(X_new).max(axis=1)
order = np.argsort(probability)

fig, axes = plt.subplots(2, 4, figsize=(6, 3.6), layout="constrained")
for ax, index in zip(axes.flat, [*order[:4], *order[-4:]], strict=True):
    ax.imshow(X_new[index])
    ax.set_title(f"{y_pred[index]}, {probability[index]:.2f}", fontsize=9)
    ax.axis("off")
axes[0, 0].set_title("least certain:\n" + axes[0, 0].get_title(), fontsize=9)
axes[1, 0].set_title("most certain:\n" + axes[1, 0].get_title(), fontsize=9)
plt.show()

# %%

temporary.cleanup()
