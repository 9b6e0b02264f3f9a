"""How old somebody is to be on a photo, as a user says it."""

import re

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.library_records import AgeRange


def age_range(flag: str, text: str) -> AgeRange:
    """Read `5-8`, or `5` for one year of age. Raises `WrongUsage`."""
    found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text.strip())
    if found is None:
        raise WrongUsage(f"{flag} {printable(text)} is no age. Give full years, such as 5-8.")
    ages = AgeRange(int(found[1]), int(found[2] or found[1]))
    if ages.youngest > ages.oldest:
        raise WrongUsage(f"{flag} {printable(text)}: give the younger age first, such as 5-8.")
    return ages
