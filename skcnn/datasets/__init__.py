"""Data sets, with loaders like those of scikit-learn."""

from skcnn.datasets.fashion_mnist import load_fashion_mnist
from skcnn.datasets.image_files import load_images
from skcnn.datasets.image_folder import load_image_folder

__all__ = ["load_fashion_mnist", "load_image_folder", "load_images"]
