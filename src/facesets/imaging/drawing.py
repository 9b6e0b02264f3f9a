"""Colours and lettering that all drawn pages share.

A page may hold names in any script. No one font has all letters, so that each is drawn with the first of
several that has it.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files

import manimgx_fonts
import noto_cjk_sans_jp_regular
from PIL import ImageDraw, ImageFont

from facesets.files import printable

Colour = tuple[int, int, int]

PAPER = (250, 250, 248)
INK = (28, 30, 34)
SOFT = (112, 116, 122)
FAINT = (222, 223, 220)
WARN = (158, 84, 52)
STRONG = (52, 96, 140)
MIDDLE = (150, 180, 208)

_USUAL = "NotoSans[wght].ttf"
_LAST = ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
_JOINERS = "\u200c\u200d"
_NOBODYS = "\U0010ffff"
_PROBE = 24
_HEIGHT = 0.95
_MIDDLE = 0.36
"""Height of a line above the baseline, and of the middle of its letters, in sizes."""


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
        face = _font(file, size)
        pen.text((left, line), letters, ink, face, anchor="ls")
        left += face.getlength(letters)


def width(text: str, size: int) -> float:
    """How many pixels wide a line of text of this height is."""
    return sum(_font(file, size).getlength(letters) for file, letters in _runs(text))


def fitting(text: str, size: int, most: int) -> str:
    """Return the text, cut with an ellipsis where it is wider than `most` pixels."""
    if width(text, size) <= most:
        return text
    while text and width(text + "…", size) > most:
        text = text[:-1]
    return text + "…"


def _runs(text: str) -> Iterator[tuple[str, str]]:
    """Cut a text into pieces that one font can draw: each with the font's file."""
    file, letters = _USUAL, ""
    for letter in _drawable(text):
        kind = unicodedata.category(letter)
        # What is no letter stays with its neighbours, so that these are shaped together.
        joins = kind in ("Mn", "Mc", "Me", "Cf")
        stays = (joins or (kind[0] in "ZP" and file not in _LAST)) and _has(file, letter)
        if joins and not stays:
            continue
        other = file if stays else _file_for(letter)
        if other != file and letters:
            yield file, letters
            letters = ""
        file, letters = other or _USUAL, letters + (letter if other else "?")
    if letters:
        yield file, letters


def _drawable(text: str) -> str:
    """One line of whole letters: control characters and foreign bytes are escaped, blanks are spaces."""
    shown = []
    for letter in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(letter)
        if kind == "Zs":
            shown.append(" ")
        elif kind == "Cf":
            shown.append(letter if letter in _JOINERS else "")
        else:
            shown.append(printable(letter))
    return "".join(shown)


@cache
def _file_for(letter: str) -> str:
    """The first font that has a letter; empty if none does."""
    return next((file for file in _files() if _has(file, letter)), "")


@cache
def _files() -> tuple[str, ...]:
    """All fonts: the usual one, one a script, symbols, and the large one of East Asia."""
    names = sorted(file.name for file in files(manimgx_fonts).iterdir() if file.name.endswith(".ttf"))
    scripts = [name for name in names if name not in (_USUAL, *_LAST) and "Italic" not in name]
    return (_USUAL, *scripts, *_LAST, noto_cjk_sans_jp_regular.FONT_FILE)


@cache
def _has(file: str, letter: str) -> bool:
    """Whether a font has a letter: else it draws what it draws for any that it lacks."""
    return _drawn(file, letter) != _drawn(file, _NOBODYS)


@cache
def _drawn(file: str, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(file, _PROBE).getmask(letter)
    return mask.size, bytes(mask)


@cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    package = noto_cjk_sans_jp_regular if file == noto_cjk_sans_jp_regular.FONT_FILE else manimgx_fonts
    with as_file(files(package) / file) as path:
        return ImageFont.truetype(path, size)
