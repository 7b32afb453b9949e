"""Picture files as arrays, and the choice of pictures: no duplicates, classes of about the same size."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

LARGEST = (2048, 2048)  # as large as a picture is worth reading, in pixels

SAME_PICTURE = 0.9  # the correlation of two small grey images from which on they count as the same picture


class Picture(NamedTuple):
    """A picture (h, w, c) of uint8, its class, and the name of what must not lie on both sides of a split."""

    pixels: np.ndarray
    label: str
    group: str


def read_rgb(path):
    """Return a picture as Pillow's RGB image, on white where it is transparent."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # a drawing has 231 million
    with Image.open(path) as image:
        image.thumbnail(LARGEST, reducing_gap=2)
        rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def fitted(image, size, colour="white"):
    """Return an image, scaled to fit into a square and padded with a colour, as an array."""
    from PIL import ImageOps

    return np.asarray(ImageOps.pad(image, (size, size), color=colour))


def is_empty(image):
    """Return whether an image shows next to nothing."""
    return np.asarray(image).std() < 4


def alike(images, names):
    """Return for each image the number of its group: the same name, or the same picture in other colours."""
    from scipy.sparse.csgraph import connected_components

    small = np.stack([np.asarray(image.convert("L").resize((16, 16)), dtype=float).ravel() for image in images])
    small -= small.mean(axis=1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True) + 1e-9
    same_name = np.equal.outer(np.array(names), np.array(names))
    return connected_components(same_name | (small @ small.T > SAME_PICTURE))[1]


def as_set(pictures, *, at_most, at_least, seed=0):
    """Return X, y and groups of distinct pictures, with between `at_least` and `at_most` of each class."""
    chosen = balanced(distinct(pictures), at_most, at_least, np.random.default_rng(seed))
    pixels, labels, groups = zip(*chosen, strict=True)
    return np.stack(pixels), np.array(labels), np.array(groups)


def distinct(pictures):
    """Leave out copies of a picture, and every copy of a picture that occurs in two classes."""
    copies = defaultdict(list)
    for picture in pictures:
        copies[picture.pixels.tobytes()].append(picture)
    return [same[0] for same in copies.values() if len({picture.label for picture in same}) == 1]


def balanced(pictures, at_most, at_least, rng):
    """Draw at most so many pictures of each class, and leave out classes of fewer than `at_least`."""
    classes = defaultdict(list)
    for picture in pictures:
        classes[picture.label].append(picture)
    kept = [classes[label] for label in sorted(classes) if len(classes[label]) >= at_least]
    return [some[i] for some in kept for i in np.sort(rng.permutation(len(some))[:at_most])]
