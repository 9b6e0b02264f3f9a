"""How old somebody is to be on a photo, as a user says it."""

import re

from facesets.ages import AgeRange
from facesets.errors import Field, WrongUsage
from facesets.files import printable


def age_range(flag: str, text: str) -> AgeRange:
    """Read `5-8`, or `5` for one year of age. Raises `WrongUsage`."""
    found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip())
    if found is None:
        raise WrongUsage(f"{flag} {printable(text)} is no age. Give full years, such as 5-8.")
    ages = AgeRange(int(found[1]), int(found[2] or found[1]))
    if ages.youngest > ages.oldest:
        raise WrongUsage(f"{flag} {printable(text)}: give the younger age first, such as 5-8.")
    return ages


def require_order(youngest: float | None, oldest: float | None) -> None:
    """Refuse a gate that no age passes. Raises `WrongUsage`."""
    if youngest is not None and oldest is not None and youngest > oldest:
        raise WrongUsage(
            f"{Field('min_age')} {youngest:g} is above {Field('max_age')} {oldest:g}, so that no face "
            "is left. Give the younger age to the first."
        )
