"""Read names of Apple Photos from the JSON that `osxphotos query --json` prints.

A photo has `path`, `path_edited`, `original_filename`, `original_filesize`, `width`, `height`; `persons`, a
list of names; and `face_info`, a list whose elements have `name`, and `center_x`, `center_y` and `size`:
fractions of the upright picture from its lower left corner, and of its longer edge.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from facesets.errors import WrongUsage
from facesets.files import open_regular_file, printable
from facesets.formats.named_photos import Box, NamedPhoto, NamedRegion, box_within, number, plain_name

_UNNAMED = "_UNKNOWN_"
_READ = 1 << 20
_LARGEST = 1 << 24
_SPACE = " \t\n\r"


def read_osxphotos(path: Path) -> Iterator[NamedPhoto]:
    """Return the photos of an export with named people.

    Raises
    ------
    WrongUsage
        The file is not JSON, or not an export of osxphotos.
    OSError
        It cannot be read.
    """
    again = "Give the output of `osxphotos query --json`"
    try:
        with open_regular_file(path) as file:
            for photo in elements(file):
                if not isinstance(photo, dict) or not {"persons", "face_info"} & photo.keys():
                    raise WrongUsage(f"{printable(path)} does not hold photos from osxphotos. {again}.")
                yield from _of_photo(photo)
    except BrokenJson as error:
        raise WrongUsage(f"{printable(path)} is not a complete JSON array. {again} in full.") from error


def _of_photo(photo: dict[str, Any]) -> Iterator[NamedPhoto]:
    regions = _regions(photo)
    if not regions:
        return
    path, edited = _text(photo.get("path")), _text(photo.get("path_edited"))
    name = _text(photo.get("original_filename"))
    size = photo.get("original_filesize")
    known_size = size if type(size) is int and 0 <= size < 1 << 62 else -1
    if edited:
        # Regions are those of the edited picture, which may be a part of the original.
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
        if name and name != _UNNAMED:
            found.append(NamedRegion(name, _box(face, width, height), "upright", "osxphotos"))
    persons = photo.get("persons")
    named = {each.name for each in found}
    others = dict.fromkeys(map(plain_name, persons if isinstance(persons, list) else []))
    found += [
        NamedRegion(name, None, "upright", "osxphotos")
        for name in others
        if name and name != _UNNAMED and name not in named
    ]
    return tuple(found)


def _box(face: dict[str, Any], width: float, height: float) -> Box | None:
    x, y, size = (number(face.get(each)) for each in ("center_x", "center_y", "size"))
    if not (width > 0 and height > 0 and size > 0):
        return None
    half = size * max(width, height) / 2
    across, down = half / width, half / height
    return box_within(x - across, 1 - y - down, x + across, 1 - y + down)


class BrokenJson(Exception):
    """A text is not a JSON array of elements that each fit into memory."""


def elements(file: IO[bytes]) -> Iterator[Any]:
    """Yield the elements of a file's array; any other value is yielded itself.

    Raises
    ------
    BrokenJson
        The text is not JSON, or one element is too large or nested too deeply.
    OSError
        The file cannot be read.
    """
    text = _Text(file)
    if text.next_character() != "[":
        yield text.next_value()
        return
    text.skip()
    while text.next_character() not in ("]", ""):
        yield text.next_value()
        if text.next_character() == ",":
            text.skip()
        elif text.next_character() != "]":
            raise BrokenJson
    if text.next_character() != "]":
        raise BrokenJson


class _Text:
    """The text of a file, held in memory only as far as needed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._scan = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def next_character(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more(_READ):
                return ""

    def skip(self) -> None:
        """Move past the current character."""
        self._at += 1

    def next_value(self) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """Return the value that begins here. Raises `BrokenJson`."""
        self.next_character()
        wanted = _READ
        while True:
            try:
                value, end = self._scan.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise BrokenJson from error
            except ValueError as error:
                # The rest may be unread. Read twice as much each time, so that few scans suffice.
                if len(self._text) - self._at > _LARGEST or not self._more(wanted):
                    raise BrokenJson from error
                wanted *= 2
                continue
            # A number at the end of the text read may continue, too.
            if end < len(self._text) or not self._more(wanted):
                self._at = end
                return value

    def _more(self, count: int) -> bool:
        """Read more text; False at the end."""
        if self._ended:
            return False
        content = self._file.read(count)
        self._ended = len(content) < count
        self._text = self._text[self._at :] + self._decode.decode(content, final=self._ended)
        self._at = 0
        return bool(content)
