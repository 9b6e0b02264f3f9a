"""Photos with the names that another program wrote down for them, and what its readers share."""

import math
import unicodedata
from dataclasses import dataclass

from facesets.formats.named_regions import NamedRegion

PROGRAMS = {
    "mwg": "XMP",
    "microsoft": "Microsoft's XMP",
    "iptc": "IPTC's XMP",
    "picasa": "Picasa",
    "digikam": "digiKam",
    "osxphotos": "Apple Photos",
    "takeout": "Google Photos",
}
"""What to call whoever wrote a name, by what a region says of its program."""


@dataclass(frozen=True, slots=True)
class NamedPhoto:
    """What a program says of one photo.

    Attributes
    ----------
    path
        Where the photo lies as far as the program knows; it may be another machine's.
    regions
        The people whom it names.
    name, size
        Of the file, by which the photo is known where it lies elsewhere; size in bytes, -1 for unknown.
    """

    path: str
    regions: tuple[NamedRegion, ...]
    name: str = ""
    size: int = -1


def plain_name(value: object) -> str:
    """A name as it is kept, in NFC and without space around it; empty for what is no text."""
    return unicodedata.normalize("NFC", value.strip()) if isinstance(value, str) else ""


def number(value: object) -> float:
    """A number of a file; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
