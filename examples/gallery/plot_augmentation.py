"""
What augmentation does
======================

`augment` changes the images at random in every training step. It takes one of these, a list of them, or a function of
your own.
"""

# %%
# Part of a photograph, with the channels last and pixels around 0, as the network sees it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from skcnn.augmentation import Crop, Cutout, Flip, Rotate, Shift

image = load_sample_image("china.jpg")[80:336:4, 120:440:4] / 255 - 0.5
print(image.shape)

# %%
# An augmentation is called with a batch of images and a random generator. This function makes each image brighter or
# darker:


def brightness(images, rng):
    return images + rng.normal(0, 0.15, (len(images), 1, 1, 1))


# %%
# Each row shows five random results.

augmentations = {
    "Flip()": Flip(),
    "Shift(8)": Shift(8),
    "Rotate(15)": Rotate(15),
    "Crop(0.6)": Crop(0.6),
    "Cutout(24)": Cutout(24),
    "brightness": brightness,
}
rng = np.random.default_rng(1)
batch = np.repeat(image[np.newaxis], 5, axis=0)

fig, axes = plt.subplots(6, 5, figsize=(6, 6), layout="constrained")
for row, (name, augmentation) in zip(axes, augmentations.items(), strict=True):
    for ax, changed in zip(row, augmentation(batch, rng), strict=True):
        ax.imshow(np.clip(changed + 0.5, 0, 1))
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %%
# Choose changes that do not change the class. A mirrored cat is a cat, but a mirrored digit is no digit. Pass your
# choice to the classifier:

from skcnn import NumpyCNNClassifier

NumpyCNNClassifier(augment=[Flip(), Crop(0.8), brightness])
