"""Names in the JSON files that Google Takeout puts beside photos: who is on a photo, without a place.

A photo `IMG_1.jpg` has `IMG_1.jpg.json`, or since 2024 `IMG_1.jpg.supplemental-metadata.json`. What is before
`.json` is cut off after 46 characters. The number of a second `IMG_1(1).jpg` stands at the very end:
`IMG_1.jpg(1).json`, `IMG_1.jpg.supplemental-metadata(1).json`.
"""

import json
import re
from collections.abc import Collection, Iterator

from facesets.errors import WrongUsage
from facesets.formats.named_photos import plain_name
from facesets.formats.named_regions import NamedRegion

_LONGEST = 46
_NEW = ".supplemental-metadata"
_NUMBERED = re.compile(r"(.*)(\(\d+\))(\.[^.]*)", re.DOTALL)
_EDITED = "-edited"


def takeout_file(photo: str, names: Collection[str]) -> str:
    """The file that speaks of a photo, among all names of the folder; empty for none."""
    return next((name for name in _possible_files(photo) if name in names), "")


def _possible_files(photo: str) -> Iterator[str]:
    numbered = _NUMBERED.fullmatch(photo)
    stem, dot, suffix = photo.rpartition(".")
    originals = [(photo, "")]
    if numbered:
        originals.append((numbered[1] + numbered[3], numbered[2]))
    if stem.endswith(_EDITED):
        originals.append((stem.removesuffix(_EDITED) + dot + suffix, ""))
    for original, copy in originals:
        yield f"{(original + _NEW)[:_LONGEST]}{copy}.json"
        yield f"{original[:_LONGEST]}{copy}.json"


def read_takeout(content: bytes) -> tuple[NamedRegion, ...]:
    """Who is on the photo that a file speaks of.

    Raises
    ------
    WrongUsage
        It is no JSON object.
    """
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WrongUsage("It is no JSON that Takeout writes. Unpack the archive again.") from error
    if not isinstance(said, dict):
        raise WrongUsage("It is no JSON object, so it is not Takeout's. Unpack the archive again.")
    people = said.get("people")
    names = (
        [plain_name(each.get("name")) for each in people if isinstance(each, dict)]
        if isinstance(people, list)
        else []
    )
    return tuple(NamedRegion(name, None, "upright", "takeout") for name in dict.fromkeys(names) if name)
