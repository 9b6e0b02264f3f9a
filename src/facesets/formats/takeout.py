"""Read names from the JSON files beside photos of Google Takeout, without regions.

A photo `IMG_1.jpg` has `IMG_1.jpg.json`, or since 2024 `IMG_1.jpg.supplemental-metadata.json`. The part
before `.json` is limited to 46 characters. The number of a second `IMG_1(1).jpg` stands at the very end:
`IMG_1.jpg(1).json`, `IMG_1.jpg.supplemental-metadata(1).json`. An edited photo, `IMG_1-edited.jpg` or in the
language of the account `IMG_1-bearbeitet.jpg`, has no JSON file of its own: the original's applies.
"""

import json
import re
import unicodedata
from collections.abc import Collection, Iterator

from facesets.errors import WrongUsage
from facesets.formats.named_photos import NamedRegion, plain_name

_LONGEST = 46
_NEW = ".supplemental-metadata"
_NUMBERED = re.compile(r"(.*)(\(\d+\))(\.[^.]*)", re.DOTALL)
_EDITED = tuple(
    f"-{word}"
    for word in (
        *("edited", "bearbeitet", "modifié", "modificato", "editado", "ha editado", "editat"),
        *("bewerkt", "redigerad", "redigeret", "redigert", "muokattu", "edytowane", "upravené"),
        *("отредактировано", "відредаговано", "編集済み", "编辑", "편집됨"),
    )
)
"""Counts only if the original's file exists, so extra words do no harm."""


def takeout_file(photo: str, names: Collection[str]) -> str:
    """Return the JSON file of a photo, among all names of the folder; empty for none."""
    return next((name for name in _possible_files(photo) if name in names), "")


def _possible_files(photo: str) -> Iterator[str]:
    written = [(photo, ""), *_numbered(photo)]
    edited = [(before, copy) for name, copy in written if (before := _before_editing(name))]
    first = [each for before, copy in edited if not copy for each in _numbered(before)]
    for original, copy in (*written, *edited, *first):
        yield f"{(original + _NEW)[:_LONGEST]}{copy}.json"
        yield f"{original[:_LONGEST]}{copy}.json"


def _numbered(photo: str) -> list[tuple[str, str]]:
    """Split the number from the name of a numbered photo; empty for others."""
    found = _NUMBERED.fullmatch(photo)
    return [(found[1] + found[3], found[2])] if found else []


def _before_editing(photo: str) -> str:
    """Return the original's name of an edited photo; empty if it was not edited."""
    stem, dot, suffix = photo.rpartition(".")
    # A Mac decomposes accents; files from elsewhere keep their own form.
    for form in ("NFC", "NFD"):
        for ending in _EDITED:
            if stem.endswith(written := unicodedata.normalize(form, ending)):
                return stem.removesuffix(written) + dot + suffix
    return ""


def read_takeout(content: bytes) -> tuple[NamedRegion, ...]:
    """Return the people that a JSON file names.

    Raises
    ------
    WrongUsage
        The file is not a JSON object.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WrongUsage("It is not valid JSON. Unpack the archive again.") from error
    if not isinstance(fields, dict):
        raise WrongUsage("It is not a JSON object, so it is not from Takeout. Unpack the archive again.")
    people = fields.get("people")
    names = (
        [plain_name(each.get("name")) for each in people if isinstance(each, dict)]
        if isinstance(people, list)
        else []
    )
    return tuple(NamedRegion(name, None, "upright", "takeout") for name in dict.fromkeys(names) if name)
