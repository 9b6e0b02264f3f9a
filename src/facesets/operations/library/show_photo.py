"""`show PHOTO`: everything the library knows about one photo."""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from facesets.errors import Command, NotFound, WrongUsage
from facesets.files import printable, read_regular_file
from facesets.imaging.decode import SUFFIXES
from facesets.imaging.limits import MAX_FILE_BYTES
from facesets.operations.options.index import STAGES
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.photo_details import (
    LibraryPhoto,
    ages_on_photo,
    contents_at,
    contents_beginning,
    faces_on_photo,
    find_photo,
    norms_on_photo,
    parts_of_photo,
    stages_of_photo,
)
from facesets.store.postgres.photos.image_paths import reasons_at

_HASH = re.compile(r"[0-9a-f]{8,64}")
_MAX_FACES = 1000


@dataclass(frozen=True, slots=True)
class PhotoPath:
    """A path of a photo, and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class PhotoStage:
    """The state of an analysis step for a photo."""

    stage: str
    status: str
    version: str = ""
    reason: str = ""
    ended_at: str = ""


@dataclass(frozen=True, slots=True)
class PhotoFace:
    """A face on a photo.

    Attributes
    ----------
    box : tuple of float
        Left, top, right and bottom in pixels of the upright picture.
    norm : float or None
        Length of the embedding before normalisation, a measure of clarity; None if unknown.
    age : str
        The age of its person, in words, if known from more than this face; else empty.
    """

    face: int
    box: tuple[float, float, float, float]
    quality: float
    norm: float | None
    person: str
    name: str
    assigned_by: str
    age: str = ""


@dataclass(frozen=True, slots=True)
class ShownPhoto:
    """A photo.

    Attributes
    ----------
    taken : str
        To the second, by the camera's clock; empty if unknown.
    found : dict
        Results of steps, by name: a dict, or a list of them for faces or bodies.
    """

    sha256: str
    paths: list[PhotoPath]
    width: int
    height: int
    taken: str
    added_at: str
    stages: list[PhotoStage]
    found: dict[str, Any]
    faces: list[PhotoFace]


def means_photo(text: str) -> bool:
    """Whether an argument is a photo, by path or hash, and not a cache or a manifest."""
    return Path(text).suffix.lower() in SUFFIXES or (_is_hash(text) and not Path(text).exists())


def show_photo(library: Library, text: str) -> ShownPhoto:
    """Return everything known about a photo, given its path, or its hash or at least 8 characters of it.

    Raises
    ------
    NotFound
        The library does not know it.
    WrongUsage
        Several photos have such a hash.
    """
    return library.database.run(lambda connection: _shown(connection, _content(connection, text)))


def faces_of_photo(library: Library, text: str) -> list[int]:
    """Return the face numbers of a photo, from left to right; arguments and errors as `show_photo`."""

    def work(connection: Connection) -> list[int]:
        photo = _photo(connection, _content(connection, text))
        return [face.id for face in faces_on_photo(connection, photo.id, limit=_MAX_FACES)]

    return library.database.run(work)


def _is_hash(text: str) -> bool:
    return _HASH.fullmatch(text) is not None


def _content(connection: Connection, text: str) -> str:
    if _is_hash(text) and not Path(text).exists():
        found = contents_beginning(connection, text)
        if len(found) > 1:
            raise WrongUsage(f"Several photos have a hash that begins with {text}. Give more characters.")
        if found:
            return found[0]
        raise NotFound(f"No photo in the library has a hash that begins with {text}.")
    path = Path(text)
    places = [str(path.absolute()), str(path.resolve())]
    known = contents_at(connection, places[0]) or contents_at(connection, places[1])
    if known is not None:
        return known
    for reason in reasons_at(connection, places).values():
        raise NotFound(
            f"{printable(text)} is not in the library because it could not be read: "
            f"{printable(reason)}. Repair the file, then run {Command('index', 'PHOTOS')} again."
        )
    try:
        return hashlib.sha256(read_regular_file(path, max_bytes=MAX_FILE_BYTES)).hexdigest()
    except OSError as error:
        raise NotFound(
            f"{printable(text)} is not in the library, and cannot be read: {error.strerror or error}."
        ) from error


def _photo(connection: Connection, sha256: str) -> LibraryPhoto:
    photo = find_photo(connection, sha256)
    if photo is None:
        raise NotFound(f"This photo is not in the library. Add it with {Command('index', 'PHOTOS')}.")
    return photo


def _shown(connection: Connection, sha256: str) -> ShownPhoto:
    photo = _photo(connection, sha256)
    found, norms = parts_of_photo(connection, photo.id), norms_on_photo(connection, photo.id)
    aged = ages_on_photo(connection, photo)
    return ShownPhoto(
        photo.sha256,
        [PhotoPath(path, size) for path, size in photo.paths],
        photo.width,
        photo.height,
        _moment(photo.taken),
        _moment(photo.added_at),
        _stages(connection, photo),
        {stage: _plain(part) for stage, part in found.items()},
        [
            PhotoFace(
                face.id,
                face.box,
                face.quality,
                round(norms[face.id], 2) if face.id in norms else None,
                "" if face.person is None else str(face.person),
                face.person_name,
                face.assigned_by,
                "" if face.person is None else aged[face.person],
            )
            for face in faces_on_photo(connection, photo.id, limit=_MAX_FACES)
        ],
    )


def _stages(connection: Connection, photo: LibraryPhoto) -> list[PhotoStage]:
    done = {
        each.stage: PhotoStage(each.stage, each.status, each.version, each.reason, _moment(each.ended_at))
        for each in stages_of_photo(connection, photo.id)
    }
    return [done.get(stage, PhotoStage(stage, "pending")) for stage in STAGES] + [
        each for stage, each in done.items() if stage not in STAGES
    ]


def _moment(when: datetime | None) -> str:
    return "" if when is None else when.isoformat(" ", "seconds")


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever stages found
    """Return the same for JSON: times as texts, unknown values empty."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.datetime64):
        return "" if np.isnat(value) else str(value).replace("T", " ")
    return value.item() if isinstance(value, np.generic) else value
