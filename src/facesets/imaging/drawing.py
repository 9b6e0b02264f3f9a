"""Colours and lettering that all drawn pages share."""

from functools import cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colour = tuple[int, int, int]

PAPER = (250, 250, 248)
INK = (28, 30, 34)
SOFT = (112, 116, 122)
FAINT = (222, 223, 220)
WARN = (158, 84, 52)
STRONG = (52, 96, 140)
MIDDLE = (150, 180, 208)


@cache
def font(size: int) -> Font:
    """The one typeface, in this many pixels."""
    return ImageFont.load_default(size)


def fitting(text: str, face: Font, width: int) -> str:
    """Return the text, cut with an ellipsis where it is wider than `width` pixels."""
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
