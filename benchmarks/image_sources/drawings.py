"""Colour drawings of the Open Clip Art Library. The class is the top folder, such as "animals" or "food".

The drawings are by many people, in many styles; some folders hold what a person would put elsewhere.
"""

from __future__ import annotations

from . import pictures
from .packages import debian

KINDS = ("animals", "buildings", "computer", "food", "people", "plants", "recreation", "tools", "transportation")
SYMBOLS = ("icons", "buttons", "aiga-symbols", "roadsigns", "stickmen", "smilies", "games", "folders")


def drawings(size):
    """Return X (n, size, size, 3), y and the folders of drawings by one hand."""
    return pictures.as_set(_all_drawings(size), at_most=400, at_least=20)


def _all_drawings(size):
    folder = debian("openclipart-png") / "usr" / "share" / "openclipart" / "png"
    for kind in KINDS:
        for path in sorted((folder / kind).glob("**/*.png")):
            if not path.is_symlink() and not any(part in SYMBOLS for part in path.parts):
                yield pictures.Picture(pictures.fitted(pictures.read_rgb(path), size), kind, _series(path.stem))


def _series(stem):
    """Return a name without its numbers: "cat_02" and "cat_03" are often variants of a drawing."""
    return "".join(character for character in stem if character.isalpha())
