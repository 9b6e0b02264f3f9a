"""A person's name on a part of a photo, as another program wrote it down."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class NamedRegion:
    """
    One name in one photo.

    Attributes
    ----------
    name
        As the other program has it, stripped, in Unicode's NFC; never empty.
    box
        x1, y1, x2, y2 as fractions (0 to 1) of the picture; None where the program names somebody without a
        place.
    frame
        What the fractions are of: the picture as its pixels are stored, or as it is seen (upright).
    program
        Who wrote it: "mwg", "microsoft", "picasa", "digikam", "osxphotos", "takeout".
    """

    name: str
    box: tuple[float, float, float, float] | None
    frame: Literal["stored", "upright"]
    program: str
