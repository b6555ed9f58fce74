"""What a picture can write of names in any script: fonts that have their signs, or another word where no font has."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib import font_manager, ft2font

from keras_imagenet.console import printable

FIRST = "DejaVu Sans"
"""Matplotlib's own: Latin, Greek, Cyrillic, Armenian, Georgian, Arabic, Hebrew."""
SHAPES = hasattr(ft2font, "__libraqm_version__")
"""Whether this Matplotlib (3.11 and later) writes from right to left, joins letters and puts vowels where they belong."""
JOINED = ((0x0900, 0x0DFF), (0x0F00, 0x109F), (0x1780, 0x17FF), (0x1800, 0x18AF))
"""Scripts besides those from right to left that are not legible letter by letter: Indic ones, Tibetan, Burmese, Khmer, Mongolian."""


def legible(names: Sequence[str], others: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names, each replaced by the other for it where it cannot be written, or by its number; and the font families to use."""
    names, others = [printable(name) for name in names], [printable(other) for other in others]
    families, signs = _fonts({sign for text in (*names, *others) for sign in text})

    def legible_one(number: int, *texts: str) -> str:
        return next((text for text in texts if text and _writable(text, signs)), f"#{number}")

    return [legible_one(number, *texts) for number, texts in enumerate(zip(names, others, strict=True))], families


def _writable(text: str, signs: set[str]) -> bool:
    return set(text) <= signs and (SHAPES or not any(map(_needs_shaping, text)))


def _needs_shaping(sign: str) -> bool:
    from_right = unicodedata.bidirectional(sign) in ("R", "AL")
    return from_right or any(first <= ord(sign) <= last for first, last in JOINED)


def _fonts(needed: set[str]) -> tuple[list[str], set[str]]:
    """Families that have the signs needed, as far as this machine has any, and which of the signs those are."""
    families, found = [], set()
    for family, path in _installed():
        if not needed - found:
            break
        if new := {sign for sign in needed - found if ord(sign) in _signs(path)}:
            families.append(family)
            found |= new
    return families or [FIRST], found


@cache
def _installed() -> list[tuple[str, str]]:
    """(family, file) of one font a family, Matplotlib's own first; without those of boxes for all signs, or of coloured ones."""
    found = {font.name: font.fname for font in font_manager.fontManager.ttflist if font.style == "normal"}
    usable = [name for name in found if "Last Resort" not in name and "Emoji" not in name]
    return [(name, found[name]) for name in sorted(usable, key=lambda name: (name != FIRST, name))]


@cache
def _signs(path: str) -> frozenset[int]:
    try:
        return frozenset(ft2font.FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # FreeType's, for a damaged file
        return frozenset()


def shortened(text: str, most: int) -> str:
    """A text in at most so many characters: its beginning, or its end where the number is negative."""
    if len(text) <= abs(most):
        return text
    return f"{text[: most - 1]}…" if most > 0 else f"…{text[most + 1 :]}"
