"""Textures of the game UFO: Alien Invasion, most of them from photographs. The class is what their names say they show.

Names are not always right: a "wall" may show bricks, and some textures are painted or computed. Textures of one group
have the same name but for a suffix, such as "door012" and "door012_b", or look alike but for their colours.
"""

from __future__ import annotations

import re
import zipfile
from io import BytesIO

import numpy as np

from . import pictures
from .packages import debian

MATERIALS = {
    "brick": "^(wall_)?brick",
    "carpet": "carpet",
    "concrete": "^conc",
    "grass": "^(grass|hedge|leaves)",
    "ground": "^(dirt|ground|sand|desert)",
    "metal": "^metal(?!_window|door)",
    "rock": "^(pj)?(rock|stone)",
    "wood": "^(s_)?wood",
}
THINGS = {
    "art": "^art_",
    "box": "^(box|chest)|crate_?[a-z0-9]",
    "door": "^(jap)?door[_0-9]",
    "floor": "^floor[0-9]",
    "sign": "^sign(?!_lvl)",
    "wall": "^wall[0-9]",
    "window": "^window",
}
MAPS = r"_(nm|gm|sm|norm|gloss|spec|n|glow|blend|alpha)\."  # of bumps, of shine: they belong to a texture


def materials(size):
    """Return X (n, size, size, 3), y and the textures: up to 8 parts of each, which do not overlap."""
    rng = np.random.default_rng(0)
    found = [picture for image, *names in _textures(MATERIALS) for picture in _parts(image, size, names, rng)]
    return pictures.as_set(found, at_most=400, at_least=60)


def things(size):
    """Return X (n, size, size, 3), y and the textures: whole, one image of each."""
    found = [pictures.Picture(_resized(image, (size, size)), *names) for image, *names in _textures(THINGS)]
    return pictures.as_set(found, at_most=200, at_least=20)


def _parts(image, size, names, rng, n_parts=8):
    """Cut a texture, scaled to 4 parts along its shorter side, into parts, and draw some of them."""
    scale = 4 * size / min(image.size)
    columns, rows = (max(4, round(length * scale / size)) for length in image.size)
    grid = _resized(image, (columns * size, rows * size)).reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    for part in rng.permutation(rows * columns)[:n_parts]:
        yield pictures.Picture(grid[divmod(part, columns)], *names)


def _resized(image, size):
    return np.asarray(image.resize(size))


def _textures(kinds):
    """Return each texture as an image, with its kind and its group."""
    images, labels, stems = zip(*_named(kinds), strict=True)
    return list(zip(images, labels, pictures.alike(images, stems), strict=True))


def _named(kinds):
    """Yield each texture of 64 pixels or more as an image, with its kind and the name that its variants share."""
    path = debian("ufoai-textures") / "usr" / "share" / "games" / "ufoai" / "base" / "0textures.pk3"
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            stem = name.rpartition("/")[2].lower()
            kind = next((kind for kind, pattern in kinds.items() if re.search(pattern, stem)), None)
            if kind and re.search(r"\.(jpg|png|tga)$", stem) and not re.search(MAPS, stem):
                image = pictures.read_rgb(BytesIO(archive.read(name)))
                if min(image.size) >= 64 and not pictures.is_empty(image):
                    yield image, kind, re.match(r"[a-z_]*[0-9]*", stem).group()
