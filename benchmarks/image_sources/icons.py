"""Icons of Debian's icon themes in colour. The class is the icon's category, the folder that it is in.

Themes do not always agree about an icon's category, and an icon such as "network-server" could be in several: the
labels are noisy. Variants of an icon, such as "folder-home" and "folder-music", have different names, and can lie on
both sides of a split.
"""

from __future__ import annotations

import re

from . import pictures
from .packages import debian

THEMES_WITH_SMALL_ICONS = (
    *("adwaita-icon-theme", "elementary-xfce-icon-theme", "gnome-human-icon-theme", "gnome-icon-theme"),
    *("lxde-icon-theme", "mate-icon-theme", "oxygen-icon-theme", "tango-icon-theme"),
)
THEMES_WITH_LARGE_ICONS = (
    *("elementary-xfce-icon-theme", "faenza-icon-theme", "moka-icon-theme", "obsidian-icon-theme"),
    "oxygen-icon-theme",
)
CATEGORIES = {
    **{name: name for name in ("actions", "apps", "categories", "devices", "emblems", "emotes", "places", "status")},
    **{"mimes": "mimetypes", "mimetypes": "mimetypes"},
}


def icons(themes, sizes, size):
    """Return X (n, size, size, 3), y and the icons' names, drawn in the first of `sizes` that a theme has."""
    found = [icon for theme in themes for icon in _theme(theme, sizes, size)]
    return pictures.as_set(found, at_most=600, at_least=60)


def _theme(package, sizes, size):
    seen = set()
    for wanted in sizes:
        for path in sorted(debian(package).glob("usr/share/icons/**/*.png")):
            category = _category(path, wanted)
            key = (path.parts[-4], category, path.stem)
            if category and key not in seen and not path.is_symlink() and "symbolic" not in path.name:
                seen.add(key)
                yield pictures.Picture(pictures.fitted(pictures.read_rgb(path), size), category, path.stem)


def _category(path, size):
    """Return the category of an icon in the folder ".../48x48/apps" or ".../apps/48", or None for another size."""
    folders = path.parts[-3:-1]
    sizes = [name for name in folders if re.fullmatch(rf"{size}(x{size})?", name)]
    return next((CATEGORIES[name] for name in folders if name in CATEGORIES), None) if sizes else None
