"""Colors and text drawing of all drawn pages.

A page may hold names in any script. No font has all letters, so each letter is drawn with the first of
several that has it.
"""

import unicodedata
from collections.abc import Iterator

from PIL import ImageDraw

from facesets.files import printable
from facesets.imaging.fonts import font, font_with, has, is_symbols, usual

Colour = tuple[int, int, int]

PAPER = (250, 250, 248)
INK = (28, 30, 34)
SOFT = (112, 116, 122)
FAINT = (222, 223, 220)
WARN = (158, 84, 52)
STRONG = (52, 96, 140)
MIDDLE = (150, 180, 208)

_JOINERS = "\u200c\u200d"
_HEIGHT = 0.95
_MIDDLE = 0.36
"""Height of the middle of letters above the baseline, as a share of the text size."""


def write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    ink: Colour,
    size: int,
    *,
    anchor: str = "la",
) -> None:
    """Draw a line of text, `size` pixels high.

    Parameters
    ----------
    anchor : str
        Where in the text `place` is: `l`, `m` or `r` (left, middle, right), then `a` or `m` (top, middle).
    """
    left, line = place
    line += _HEIGHT * size if anchor[1] == "a" else _MIDDLE * size
    left -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * width(text, size)
    for file, letters in _runs(text):
        face = font(file, size)
        pen.text((left, line), letters, ink, face, anchor="ls")
        left += face.getlength(letters)


def width(text: str, size: int) -> float:
    """Return the width in pixels of a line of text of this height."""
    return sum(font(file, size).getlength(letters) for file, letters in _runs(text))


def fitting(text: str, size: int, most: int) -> str:
    """Return the text, shortened with an ellipsis if it is wider than `most` pixels."""
    if width(text, size) <= most:
        return text
    while text and width(text + "…", size) > most:
        text = text[:-1]
    return text + "…"


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Cut a text into pieces that one font can draw, each with the font's file."""
    file, letters = usual(), ""
    for letter in _drawable(text):
        kind = unicodedata.category(letter)
        # Characters that are no letters stay with their neighbors, so that these are shaped together.
        joins = kind in ("Mn", "Mc", "Me", "Cf")
        stays = (joins or (kind[0] in "ZP" and not is_symbols(file))) and has(file, letter)
        if joins and not stays:
            continue
        other = file if stays else font_with(letter)
        if other != file and letters:
            yield file, letters
            letters = ""
        file, letters = other or usual(), letters + (letter if other else "?")
    if letters:
        yield file, letters


def _drawable(text: str) -> str:
    """Return one line of whole letters: control characters and foreign bytes escaped, blanks as spaces."""
    shown = []
    for letter in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(letter)
        if kind == "Zs":
            shown.append(" ")
        elif kind == "Cf":
            shown.append(letter if letter in _JOINERS else "")
        else:
            shown.extend(map(_plain, printable(letter)))
    return "".join(shown)


def _plain(letter: str) -> str:
    """Return a letter, without its accents if no font has it with them."""
    return letter if font_with(letter) else unicodedata.normalize("NFD", letter)[0]
