"""The file that carries names and corrections from one library to another.

Faces are identified by the sha256 of their image and their box in it, so that a library with other numbers,
models or detection settings finds them again.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec

from facesets.errors import Command, DamagedFile, NewerFormat, WrongUsage
from facesets.files import atomic_write, json_bytes, printable, read_regular_file
from facesets.formats.guessed_kind import guessed_kind
from facesets.results.manifest_values import Text

_MAX_BYTES = 1 << 30

Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Place = Annotated[int, msgspec.Meta(ge=0)]
"""The position of a person or a face in the file's lists, counted from 0."""
Pixels = Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
Coordinate = Annotated[float, msgspec.Meta(ge=-(1 << 31), le=1 << 31)]
Box = Annotated[tuple[Coordinate, ...], msgspec.Meta(min_length=4, max_length=4)]


@dataclass(frozen=True, slots=True)
class FilePerson:
    """A person. The first name is the main one."""

    id: UUID
    names: tuple[Text, ...]
    status: Literal["active", "hidden"] = "active"
    birth_year: Annotated[int, msgspec.Meta(ge=1800, le=9999)] | None = None
    birth_date: date | None = None


@dataclass(frozen=True, slots=True)
class FileFace:
    """A face: its box in pixels of an image, and how it was detected."""

    image: Sha256
    width: Pixels
    height: Pixels
    box: Box
    found_by: Text = ""


@dataclass(frozen=True, slots=True)
class FileFaceCorrection:
    """A face shows a person, or does not."""

    face: Place
    person: Place
    is_person: bool


@dataclass(frozen=True, slots=True)
class FileFacePair:
    """Two faces show the same person, or different people."""

    face: Place
    other: Place
    same: bool


@dataclass(frozen=True, slots=True)
class FilePersonPair:
    """Two people are different."""

    person: Place
    other: Place


@dataclass(frozen=True, slots=True)
class FilePrototype:
    """A face is pinned as a reference face of a person, or dropped."""

    face: Place
    person: Place
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFile:
    """The content of the file.

    Attributes
    ----------
    library : str
        The id of the library of origin; empty for another source.
    """

    FORMAT: ClassVar[str] = "facesets/people"
    VERSION: ClassVar[int] = 1

    program: Text
    library: Text
    people: tuple[FilePerson, ...]
    faces: tuple[FileFace, ...]
    of_faces: tuple[FileFaceCorrection, ...] = ()
    of_two_faces: tuple[FileFacePair, ...] = ()
    of_two_people: tuple[FilePersonPair, ...] = ()
    exemplars: tuple[FilePrototype, ...] = ()

    def is_whole(self) -> bool:
        """Whether all references point into the lists."""
        faces = [end for two in self.of_two_faces for end in (two.face, two.other)]
        faces += [each.face for each in self.of_faces] + [each.face for each in self.exemplars]
        people = [end for two in self.of_two_people for end in (two.person, two.other)]
        people += [each.person for each in self.of_faces] + [each.person for each in self.exemplars]
        return max(faces, default=-1) < len(self.faces) and max(people, default=-1) < len(self.people)


def write_people(path: Path, people: PeopleFile) -> None:
    """Write the file atomically. Raises `CannotWrite`."""
    record = msgspec.to_builtins(people)
    with atomic_write(path) as file:
        file.write(json_bytes({"format": people.FORMAT, "version": people.VERSION, **record}))


def read_people(path: Path) -> PeopleFile:
    """Read the file.

    Raises
    ------
    WrongUsage
        The file does not exist, or has another format.
    NewerFormat
        A later version of this program wrote it.
    DamagedFile
        It cannot be read.
    """
    raw = _load(path)
    if raw.get("format") != PeopleFile.FORMAT:
        export = Command("people export")
        raise WrongUsage(f"{printable(path)} contains no exported people. Give a file from {export}.")
    version = raw.get("version")
    if type(version) is not int or version < 1:
        raise _damaged(path)
    if version > PeopleFile.VERSION:
        raise NewerFormat(f"{printable(path)} was written by a newer version of facesets. Upgrade facesets.")
    try:
        people = msgspec.convert(raw, PeopleFile)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:
        raise _damaged(path) from error
    if not people.is_whole():
        raise _damaged(path)
    return people


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(read_regular_file(path, max_bytes=_MAX_BYTES))
    except FileNotFoundError as error:
        raise WrongUsage(f"File not found: {printable(path)}.") from error
    except OSError as error:
        raise WrongUsage(f"Cannot read {printable(path)} ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        kind = guessed_kind(path)
        if path.suffix.lower() == ".npz" and not kind:
            kind = "a cache"
        raise (_damaged(path) if kind in ("", "JSON") else _foreign(path, kind)) from error
    if not isinstance(raw, dict):
        raise _foreign(path, "JSON of another kind")
    return raw


def _foreign(path: Path, kind: str) -> WrongUsage:
    cache = Command("import-cache", printable(path))
    may_be = kind.startswith("an archive") or path.suffix.lower() == ".npz"
    brings = f" If it is a cache, import it with {cache}." if may_be else ""
    return WrongUsage(
        f"{printable(path)} contains no exported people: it seems to be {kind}. Give a JSON file from "
        f"{Command('people export')}, or a result folder with named people.{brings}"
    )


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(f"{printable(path)} is damaged. Create it again with {Command('people export')}.")
