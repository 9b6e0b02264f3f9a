"""Parse records of an Immich server leniently."""

import base64
import hashlib
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A server's version."""

    major: int
    minor: int
    patch: int

    @property
    def text(self) -> str:
        """Return the version as text."""
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Owner:
    """The account that an API key belongs to."""

    id: str
    name: str
    email: str
    storage_label: str

    def is_called(self, label: str) -> bool:
        """Whether a label is one of the account's names."""
        names = (self.name, self.email, self.email.partition("@")[0], self.storage_label)
        return label.casefold() in {name.casefold() for name in names}


@dataclass(frozen=True, slots=True)
class Asset:
    """A photo on the server, as a search lists it.

    Attributes
    ----------
    id : str
        UUID, in lower case.
    sha1 : str
        Hex digest of the original's bytes; empty where the server does not know it, as for the files of
        an external library.
    path : str
        Where the server keeps the original; anything may stand there.
    width, height : int
        Of the original in pixels, perhaps not upright; 0 when unknown.
    """

    id: str
    sha1: str
    path: str
    width: int
    height: int
    is_image: bool
    visibility: str
    is_trashed: bool
    is_offline: bool
    is_edited: bool
    owner_id: str


@dataclass(frozen=True, slots=True)
class ServerPerson:
    """A person on the server; the name is empty for unnamed people."""

    id: str
    name: str
    birth_date: str | None = None
    is_hidden: bool = False
    is_favorite: bool = False
    color: str | None = None


@dataclass(frozen=True, slots=True)
class ServerFace:
    """A face that the server found, in pixels of its preview, which is upright."""

    id: str
    box: tuple[float, float, float, float]
    width: int
    height: int
    person: ServerPerson | None

    @property
    def person_id(self) -> str:
        """Return the person's id; empty if the face is unassigned."""
        return self.person.id if self.person else ""

    @property
    def person_name(self) -> str:
        """Return the person's name; empty if there is none."""
        return self.person.name if self.person else ""


def parse_version(answer: object) -> Version | None:
    """Parse the answer of `/server/version`; None if invalid."""
    fields = _object(answer)
    numbers = [fields.get(name) for name in ("major", "minor", "patch")]
    if not all(isinstance(number, int) for number in numbers):
        return None
    return Version(*numbers)  # type: ignore[arg-type]


def parse_owner(answer: object) -> Owner:
    """Parse the answer of `/users/me`."""
    fields = _object(answer)
    return Owner(*(_text(fields, name) for name in ("id", "name", "email", "storageLabel")))


def parse_asset(item: object) -> Asset | None:
    """Parse one item of a search; None without a usable id."""
    fields = _object(item)
    identity = parse_id(fields.get("id"))
    if identity is None:
        return None
    exif = _object(fields.get("exifInfo"))
    width, height = _count(fields, "width"), _count(fields, "height")
    if not (width and height):
        width, height = _count(exif, "exifImageWidth"), _count(exif, "exifImageHeight")
    # Before 1.134 there was no visibility, and 2.x may leave it out.
    visibility = _text(fields, "visibility") or (
        "archive" if fields.get("isArchived") is True else "timeline"
    )
    path = _text(fields, "originalPath")
    return Asset(
        id=identity,
        sha1="" if _text(fields, "libraryId") else _sha1_of_content(_text(fields, "checksum"), path),
        path=path or _text(fields, "originalFileName"),
        width=width,
        height=height,
        is_image=fields.get("type", "IMAGE") == "IMAGE",
        visibility=visibility,
        is_trashed=fields.get("isTrashed") is True,
        is_offline=fields.get("isOffline") is True,
        is_edited=fields.get("isEdited") is True,
        owner_id=_text(fields, "ownerId"),
    )


def parse_faces(answer: object) -> list[ServerFace]:
    """Parse the answer of `/faces`; faces without a box are left out."""
    items = answer if isinstance(answer, list) else []
    return [face for item in items if (face := _face(_object(item))) is not None]


def parse_person(answer: object) -> ServerPerson | None:
    """Parse a person; None without a usable id."""
    fields = _object(answer)
    identity = parse_id(fields.get("id"))
    if identity is None:
        return None
    return ServerPerson(
        id=identity,
        name=_text(fields, "name"),
        # Some versions add a time of day to the date.
        birth_date=_text(fields, "birthDate")[:10] or None,
        is_hidden=fields.get("isHidden") is True,
        is_favorite=fields.get("isFavorite") is True,
        color=_text(fields, "color") or None,
    )


def parse_people(items: object) -> list[ServerPerson]:
    """Parse a list of people; those without a usable id are left out."""
    listed = items if isinstance(items, list) else []
    return [person for item in listed if (person := parse_person(item)) is not None]


def parse_albums(items: object) -> list[tuple[str, str]]:
    """Parse a list of albums; those without a usable id are left out."""
    listed = [_object(item) for item in items] if isinstance(items, list) else []
    return [
        (identity, _text(fields, "albumName"))
        for fields in listed
        if (identity := parse_id(fields.get("id"))) is not None
    ]


def is_success(answer: object, identity: str) -> bool:
    """Whether an answer reports success for an id."""
    rows = [_object(row) for row in answer] if isinstance(answer, list) else []
    return any(parse_id(row.get("id")) == identity and row.get("success") is True for row in rows)


def parse_id(value: object) -> str | None:
    """Parse a UUID; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return None


def _face(fields: Json) -> ServerFace | None:
    corners = [fields.get(f"boundingBox{corner}") for corner in ("X1", "Y1", "X2", "Y2")]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in corners):
        return None
    x1, y1, x2, y2 = (float(value) for value in corners)  # type: ignore[arg-type]
    if not all(math.isfinite(value) for value in (x1, y1, x2, y2)):
        return None
    return ServerFace(
        id=parse_id(fields.get("id")) or "",
        box=(x1, y1, x2, y2),
        width=_count(fields, "imageWidth"),
        height=_count(fields, "imageHeight"),
        person=parse_person(fields.get("person")),
    )


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(fields: Json, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _count(fields: Json, name: str) -> int:
    value = fields.get(name)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
    return int(value) if usable and value is not None else 0


def _sha1_of_content(checksum: str, path: str) -> str:
    """Return the hex digest of a base64 checksum of content.

    For the files of an external library Immich gives the digest of `path:<original path>` in its place,
    and not every version reports that a file is in one.
    """
    try:
        digest = base64.b64decode(checksum, validate=True)
    except ValueError:
        return ""
    of_path = hashlib.sha1(f"path:{path}".encode("utf-8", errors="replace"), usedforsecurity=False).digest()
    return digest.hex() if len(digest) == len(of_path) and digest != of_path else ""
