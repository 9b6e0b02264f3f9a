"""How old people are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgeRange:
    """How old somebody is on a photo, in full years, both ends included."""

    youngest: int
    oldest: int
