"""A person's name on a part of a photo, as another program wrote it down."""

import math
from dataclasses import dataclass
from typing import Literal

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture, from 0 to 1."""


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
        Who wrote it: "mwg", "microsoft", "iptc", "picasa", "digikam", "osxphotos", "takeout".
    """

    name: str
    box: Box | None
    frame: Literal["stored", "upright"]
    program: str


def box_within(x1: float, y1: float, x2: float, y2: float) -> Box | None:
    """The part of a box that lies on the picture, in fractions of it; None where nothing does."""
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None
    x1, y1, x2, y2 = (min(max(each, 0.0), 1.0) for each in (x1, y1, x2, y2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
