"""Letters of Debian's fonts, white on black. The class is the letter, in upper or in lower case.

Families are told apart by the first word of their name. Many fonts are decorative: in some of them, a person could not
read every letter.
"""

from __future__ import annotations

import string
from itertools import product

import numpy as np

from . import pictures
from .packages import debian

FAMILIES = (
    *("aenigma", "arapey", "averia-gwf", "bebas-neue", "beteckna", "breip", "cabin", "cabinsketch", "cmu"),
    *("century-catalogue", "comfortaa", "comic-neue", "courier-prime", "dancingscript", "dejavu-core"),
    *("dkg-handwriting", "dosis", "dustin", "ebgaramond", "ecolier-court", "essays1743", "eurofurence", "fanwood"),
    *("femkeklaver", "freefont-ttf", "georgewilliams", "goudybookletter", "hack", "humor-sans", "inconsolata"),
    *("isabella", "junicode", "jura", "karla", "kaushanscript", "kristi", "lato", "league-spartan", "leckerli-one"),
    *("liberation", "lindenhill", "linuxlibertine", "lobster", "lobstertwo", "manrope", "monofur", "ocr-a", "okolaks"),
    *("oldstandard", "open-sans", "opendyslexic", "play", "prociono", "quattrocento", "quicksand", "rufscript"),
    *("sil-gentium-basic", "sjfonts", "staypuft", "summersby", "texgyre", "tiresias", "tuffy", "urw-base35"),
    *("vollkorn", "yanone-kaffeesatz"),
    *(f"adf-{name}" for name in ("accanthis", "baskervald", "berenis", "gillius", "ikarius", "irianis", "libris")),
    *(f"adf-{name}" for name in ("mekanus", "oldania", "romande", "solothurn", "switzera", "tribun", "universalis")),
)
SIZE, HEIGHT = 64, 44  # of the image and of the font, in pixels


def letters(per_letter):
    """Return X (n, 64, 64) of uint8, y and the families, with at most so many images of each letter."""
    X, y, groups = pictures.as_set(_all_letters(), at_most=per_letter, at_least=per_letter)
    return X, y, groups


def _all_letters():
    """Draw each letter of each font once, in upper or in lower case at random."""
    rng = np.random.default_rng(0)
    for name, suffix in product(FAMILIES, ("ttf", "otf")):
        for path in sorted(debian(f"fonts-{name}").glob(f"usr/share/fonts/**/*.{suffix}")):
            if not path.is_symlink():
                yield from _font(path, rng.random(26) < 0.5)


def _font(path, upper):
    from PIL import ImageFont

    font = ImageFont.truetype(str(path), HEIGHT)
    family = font.getname()[0].split()[0].lower()
    drawn = [_glyph(font, letter) for letter in string.ascii_letters]
    if len({glyph.tobytes() for glyph in drawn}) < 26 or not all(glyph.any() for glyph in drawn):
        return  # symbols, or a font in which letters are missing
    for i, letter in enumerate(string.ascii_lowercase):
        yield pictures.Picture(drawn[i + 26 * upper[i]], letter, family)


def _glyph(font, letter):
    """Return a letter in the middle of an image."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (SIZE, SIZE))
    left, top, right, bottom = font.getbbox(letter)
    ImageDraw.Draw(image).text(((SIZE - left - right) / 2, (SIZE - top - bottom) / 2), letter, fill=255, font=font)
    return np.asarray(image)
