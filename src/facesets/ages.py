"""Ages of people, and estimated ages in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgeRange:
    """A person's age on a photo, in full years, both ends included."""

    youngest: int
    oldest: int


_COARSE_FROM = 10


def about(years: float) -> str:
    """Return an estimated age in words: to five years, of children to one."""
    rounded = 5 * round(years / 5) if years >= _COARSE_FROM else max(1, round(years))
    return f"about {rounded}"
