import numpy as np
import pytest


@pytest.fixture
def save(tmp_path):
    """Return a function that writes an array, or an image of Pillow, to a file, and returns the file's path."""
    image_class = pytest.importorskip("PIL.Image")

    def save(name, pixels, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = image_class.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
        image.save(path, **options)
        return path

    return save


@pytest.fixture
def coloured(rng):
    """Return a function that makes an image (h, w, 3) of random colours."""
    return lambda h=6, w=8: rng.integers(0, 256, (h, w, 3)).astype(np.uint8)
