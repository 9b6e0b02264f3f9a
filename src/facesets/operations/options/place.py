"""A place and what is around it, as users give it."""

import math

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.places import FARTHEST_KM, Near

USUAL_KM = 10.0
"""About a town."""


def place_named(flag: str, text: str) -> Near:
    """A place in degrees, and how far around it, from `LAT,LON` or `LAT,LON,KM`. Raises `WrongUsage`."""
    try:
        latitude, longitude, *around = text.strip().split(",")
        numbers = [
            float(part) for part in (latitude, longitude, *(each.removesuffix("km") for each in around))
        ]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)):
        raise WrongUsage(
            f"{flag} {printable(text)} is no place. Give degrees north and east, and kilometres around it, "
            "such as 48.137,11.575,5."
        )
    return near(flag, *numbers)


def near(flag: str, latitude: float, longitude: float, km: float = USUAL_KM) -> Near:
    """What is around a place. Raises `WrongUsage` for one that is not on Earth."""
    if not -90 <= latitude <= 90:
        raise WrongUsage(f"{flag}: {latitude:g} is no latitude. It is between -90 and 90, and comes first.")
    if not -180 <= longitude <= 180:
        raise WrongUsage(f"{flag}: {longitude:g} is no longitude. It is between -180 and 180.")
    if not 0 < km <= math.ceil(FARTHEST_KM):
        raise WrongUsage(
            f"{flag}: give more than 0 and at most {math.ceil(FARTHEST_KM)} kilometres, not {km:g}."
        )
    return Near(latitude, longitude, km)
