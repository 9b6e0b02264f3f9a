"""Names that Apple Photos keeps, in the JSON that `osxphotos query --json` prints.

Of each photo: `path`, `path_edited`, `original_filename`, `original_filesize`, `width`, `height`; `persons`,
the names; and `face_info`, of which each has `name`, and `center_x`, `center_y` and `size`: fractions of the
upright picture from its lower left corner, and of its longer edge.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from facesets.errors import WrongUsage
from facesets.files import open_regular_file, printable
from facesets.formats.json_stream import BrokenJson, elements
from facesets.formats.named_photos import NamedPhoto, number, plain_name
from facesets.formats.named_regions import Box, NamedRegion, box_within

_NOBODY = "_UNKNOWN_"


def read_osxphotos(path: Path) -> Iterator[NamedPhoto]:
    """The photos of an export on which somebody has a name.

    Raises
    ------
    WrongUsage
        The file is no JSON, or none that osxphotos writes.
    OSError
        It cannot be read.
    """
    again = "Give what `osxphotos query --json` prints"
    try:
        with open_regular_file(path) as file:
            for photo in elements(file):
                if not isinstance(photo, dict) or not {"persons", "face_info"} & photo.keys():
                    raise WrongUsage(
                        f"{printable(path)} holds something else than photos of osxphotos. {again}."
                    )
                yield from _of_photo(photo)
    except BrokenJson as error:
        raise WrongUsage(f"{printable(path)} is no whole JSON array. {again}, all of it.") from error


def _of_photo(photo: dict[str, Any]) -> Iterator[NamedPhoto]:
    regions = _regions(photo)
    if not regions:
        return
    path, edited = _text(photo.get("path")), _text(photo.get("path_edited"))
    name = _text(photo.get("original_filename"))
    size = photo.get("original_filesize")
    known_size = size if type(size) is int and 0 <= size < 1 << 62 else -1
    if edited:
        # Places are those of the edited picture, which may be a part of the original.
        yield NamedPhoto(edited, regions)
        regions = tuple(NamedRegion(each.name, None, each.frame, each.program) for each in regions)
    yield NamedPhoto(path, regions, name, known_size)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _regions(photo: dict[str, Any]) -> tuple[NamedRegion, ...]:
    width, height = number(photo.get("width")), number(photo.get("height"))
    faces = photo.get("face_info")
    found: list[NamedRegion] = []
    for face in faces if isinstance(faces, list) else []:
        name = plain_name(face.get("name")) if isinstance(face, dict) else ""
        if name and name != _NOBODY:
            found.append(NamedRegion(name, _box(face, width, height), "upright", "osxphotos"))
    persons = photo.get("persons")
    named = {each.name for each in found}
    others = dict.fromkeys(map(plain_name, persons if isinstance(persons, list) else []))
    found += [
        NamedRegion(name, None, "upright", "osxphotos")
        for name in others
        if name and name != _NOBODY and name not in named
    ]
    return tuple(found)


def _box(face: dict[str, Any], width: float, height: float) -> Box | None:
    x, y, size = (number(face.get(each)) for each in ("center_x", "center_y", "size"))
    if not (width > 0 and height > 0 and size > 0):
        return None
    half = size * max(width, height) / 2
    across, down = half / width, half / height
    return box_within(x - across, 1 - y - down, x + across, 1 - y + down)
