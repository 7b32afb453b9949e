"""One image file as an array of pixels. Only this module imports Pillow."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from skcnn._values import Pair

__all__ = ["Decoder"]

Array = NDArray[Any]
# only these, because Pillow passes some other formats to other programs; HEIF comes with the package pillow-heif
FORMATS = {"AVIF", "BMP", "GIF", "HEIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"}
A_FOLDER = "a folder: pass the files in it, such as sorted(Path(folder).glob('*.jpg'))"
BACKGROUND = "white"
FILTER = Image.Resampling.BICUBIC
ORIENTATION = 0x0112  # the tag in EXIF
# how to turn an image upright, for the values of that tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Decoder:
    """Reads an image file as uint8: (h, w, 3) or, if `grey`, (h, w).

    Parameters
    ----------
    size : pair of int, default=None
        The number of rows and columns. None keeps those of the file.
    grey : bool, default=False
        Whether to return grey pixels.
    resize : {"stretch", "crop", "pad"}, default="stretch"
        What happens to an image whose aspect ratio is not that of `size`.
    """

    size: Pair | None = None
    grey: bool = False
    resize: str = "stretch"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image; without a size, (0, 0) or (0, 0, 3)."""
        return (*(self.size or (0, 0)), *(() if self.grey else (3,)))

    def read(self, path: str) -> Array | str:
        """Return the pixels, or the reason why the file cannot be read."""
        try:
            return self._decode(path)
        except TimeoutError:  # a signal handler has raised it
            raise
        except Exception as error:  # damaged files make Pillow raise many types of errors
            return _reason(path, error)

    def _decode(self, path: str) -> Array:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe would wait for its writer
            raise OSError(A_FOLDER if os.path.isdir(path) else "not a file")
        with Image.open(path, formats=_formats()) as image:
            if self.size:
                # a JPEG is decoded at a fraction of its size, as long as it stays larger than needed
                image.draft(None, (2 * max(self.size),) * 2)
            image.load()
            orientation = image.getexif().get(ORIENTATION)
            image = _opaque(_in_8_bits(image)).convert("L" if self.grey else "RGB")
        if orientation in TURNS:
            image = image.transpose(TURNS[orientation])
        return np.asarray(_resized(image, self.size, self.resize) if self.size else image)


def _formats() -> list[str]:
    Image.init()
    return sorted(FORMATS.intersection(Image.OPEN))


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Scale grey pixels of 16 bits, or of floating-point numbers, to 0..255. Pillow itself would clip them."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    pixels, largest = np.asarray(image), 1 if image.mode == "F" else 0xFFFF
    if not (pixels.min() >= 0 and pixels.max() <= largest):
        raise ValueError(f"pixels from {pixels.min():g} to {pixels.max():g}, but 0 to {largest} can be read")
    return Image.fromarray(np.rint(pixels * (255 / largest)).astype(np.uint8))


def _opaque(image: Image.Image) -> Image.Image:
    """Convert an image to RGB, with a background behind transparent pixels."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), image).convert("RGB")


def _resized(image: Image.Image, size: Pair, resize: str) -> Image.Image:
    height, width = size
    if resize == "crop":
        return ImageOps.fit(image, (width, height), FILTER)
    if resize == "stretch":
        return image.resize((width, height), FILTER)
    scale = min(width / image.width, height / image.height)
    inner = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    padded = Image.new(image.mode, (width, height), BACKGROUND)
    padded.paste(image.resize(inner, FILTER), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


def _reason(path: str, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        is_heif = path.lower().endswith((".heic", ".heif")) and "HEIF" not in Image.OPEN
        return "needs the package pillow-heif" if is_heif else "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"{error} Raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file."
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
