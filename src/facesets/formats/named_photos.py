"""Photos and their regions with names from another program."""

import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture, from 0 to 1."""

PROGRAMS = {
    "mwg": "XMP",
    "microsoft": "Microsoft's XMP",
    "iptc": "IPTC's XMP",
    "picasa": "Picasa",
    "digikam": "digiKam",
    "osxphotos": "Apple Photos",
    "takeout": "Google Photos",
}
"""Names of the programs that write regions, by their identifiers."""


@dataclass(frozen=True, slots=True)
class NamedRegion:
    """One name in one photo.

    Attributes
    ----------
    name
        The other program's name, stripped, in Unicode's NFC; never empty.
    box
        x1, y1, x2, y2 as fractions (0 to 1) of the picture; None if the program names a person without a
        place.
    frame
        Reference of the fractions: the picture as stored, or as seen (upright).
    program
        Who wrote it: "mwg", "microsoft", "iptc", "picasa", "digikam", "osxphotos", "takeout".
    """

    name: str
    box: Box | None
    frame: Literal["stored", "upright"]
    program: str


def box_within(x1: float, y1: float, x2: float, y2: float) -> Box | None:
    """Clip a box to the picture, in fractions of it; None if it lies outside."""
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None
    x1, y1, x2, y2 = (min(max(each, 0.0), 1.0) for each in (x1, y1, x2, y2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


@dataclass(frozen=True, slots=True)
class NamedPhoto:
    """The names that a program has for one photo.

    Attributes
    ----------
    path
        The photo's path as the program knows it, possibly on another machine.
    regions
        The named people.
    name, size
        Name and size of the file, which identify the photo at another path; size in bytes, -1 if unknown.
    """

    path: str
    regions: tuple[NamedRegion, ...]
    name: str = ""
    size: int = -1


def plain_name(value: object) -> str:
    """Normalize a name to NFC without surrounding space; empty for anything but text."""
    return unicodedata.normalize("NFC", value.strip()) if isinstance(value, str) else ""


def number(value: object) -> float:
    """Parse a number of a file; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
