"""Faces by image and box, valid in any library; and faces that must never come back.

The latter are stored as keyed hashes, which reveal nothing to others. If a face is found again by another
version or with another detection size, its box differs slightly. So the centre of a box is stored as a cell
of a grid as fine as a quarter of the face, and a face is compared with the cells around its own, of its size
and the neighbouring sizes.
"""

import hashlib
import hmac
import math
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import LiteralString

import numpy as np

from facesets.imaging.boxes import best_partners
from facesets.records import Float32, ImageRecord
from facesets.store.postgres.connection import Connection

SAME_FACE_OVERLAP = 0.5
"""Minimum intersection over union of two boxes of one face."""


@dataclass(frozen=True, slots=True)
class FacePlace:
    """The image and box of a face.

    Attributes
    ----------
    width, height : int
        Size of the image, in pixels.
    box : tuple of float
        x1, y1, x2, y2 in these pixels.
    found_by : str
        The models and settings that found it.
    """

    sha256: str
    width: int
    height: int
    box: tuple[float, float, float, float]
    found_by: str = ""


_PLACES: LiteralString = """SELECT f.id, i.sha256, i.width, i.height, f.x1, f.y1, f.x2, f.y2,
        d.pack || '/' || d.detector || '@' || d.det_size
    FROM face_detections f JOIN images i ON i.id = f.image_id JOIN detectors d ON d.id = f.detector_id """


def places_of(connection: Connection, faces: Sequence[int]) -> dict[int, FacePlace]:
    """Return the places of some faces, by number."""
    rows = connection.execute(_PLACES + "WHERE f.id = ANY(%s::bigint[]) ORDER BY f.id", (list(faces),))
    return {
        int(face): FacePlace(digest, width, height, (x1, y1, x2, y2), found_by)
        for face, digest, width, height, x1, y1, x2, y2, found_by in rows
    }


def faces_at(connection: Connection, places: Sequence[FacePlace]) -> list[int | None]:
    """Find the faces at some places by overlap of boxes; None if there is none."""
    of_image: dict[str, list[int]] = defaultdict(list)
    for number, place in enumerate(places):
        of_image[place.sha256].append(number)
    found: list[int | None] = [None] * len(places)
    there: dict[str, list[tuple[int, str, tuple[float, ...]]]] = defaultdict(list)
    rows = connection.execute(_PLACES + "WHERE i.sha256 = ANY(%s) ORDER BY f.id", (list(of_image),))
    for face, digest, width, height, x1, y1, x2, y2, found_by in rows:
        there[digest].append((face, found_by, (x1 / width, y1 / height, x2 / width, y2 / height)))
    for digest, numbers in of_image.items():
        for number, face in _matched([places[number] for number in numbers], numbers, there[digest]):
            found[number] = face
    return found


def _matched(
    places: Sequence[FacePlace],
    numbers: Sequence[int],
    there: Sequence[tuple[int, str, tuple[float, ...]]],
) -> list[tuple[int, int]]:
    """Match places to faces of one image, preferring the same detector."""
    pairs: list[tuple[int, int]] = []
    ways = {place.found_by for place in places}
    for way in ways:
        mine = [(n, p) for n, p in zip(numbers, places, strict=True) if p.found_by == way]
        same = [each for each in there if each[1] == way]
        others = same or [each for each in there if each[1] not in ways] or list(there)
        boxes = np.array(
            [np.array(p.box) / (p.width, p.height, p.width, p.height) for _, p in mine], np.float32
        )
        other_boxes = np.array([box for _, _, box in others], np.float32).reshape(-1, 4)
        partner = best_partners(boxes, other_boxes, min_iou=SAME_FACE_OVERLAP)
        pairs += [(mine[i][0], others[j][0]) for i, j in enumerate(partner.tolist()) if j >= 0]
    return pairs


_GRID = 0.25
"""Edge of a cell, as a share of the face's size."""

_LEVELS = 2
"""Number of size steps per doubling of a face's size."""


def remember_forgotten(connection: Connection, places: Sequence[FacePlace]) -> None:
    """Remember faces that must never come back."""
    key = _key(connection) or _new_key(connection)
    digests = {_digest(key, place.sha256) for place in places}
    digests |= {_digest(key, place.sha256, *_cell(*_middle(place.box))) for place in places}
    connection.execute(
        "INSERT INTO forgotten_faces (digest) SELECT unnest(%s::bytea[]) ON CONFLICT DO NOTHING",
        (sorted(digests),),
    )


def without_forgotten(connection: Connection, records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Return the images without forgotten faces."""
    key = _key(connection)
    if key is None:
        return list(records)
    images = {record.sha256: _digest(key, record.sha256) for record in records}
    known = _known(connection, images.values())
    return [
        _without(connection, key, record) if images[record.sha256] in known else record for record in records
    ]


def with_forgotten(connection: Connection, sha256: Iterable[str]) -> set[str]:
    """Return the contents with forgotten faces."""
    key = _key(connection)
    digests = {} if key is None else {_digest(key, each): each for each in sha256}
    return {digests[digest] for digest in _known(connection, digests)}


def hashed_words(connection: Connection, words: Iterable[str]) -> list[bytes]:
    """Hash words with the same key; empty if no person was forgotten yet."""
    key = _key(connection)
    return [] if key is None else sorted({_digest(key, f"word {word}") for word in words})


def _without(connection: Connection, key: bytes, record: ImageRecord) -> ImageRecord:
    around = [
        {_digest(key, record.sha256, *cell) for cell in _around(*_middle(box))}
        for box in _boxes(record.faces.box)
    ]
    known = _known(connection, {digest for cells in around for digest in cells})
    remaining = np.array([known.isdisjoint(cells) for cells in around], bool)
    return record if remaining.all() else replace(record, faces=record.faces.take(np.flatnonzero(remaining)))


def _boxes(box: Float32) -> list[tuple[float, float, float, float]]:
    boxes: list[tuple[float, float, float, float]] = [tuple(each) for each in box.tolist()]
    return boxes


def _known(connection: Connection, digests: Iterable[bytes]) -> set[bytes]:
    found = connection.scalars(
        "SELECT digest FROM forgotten_faces WHERE digest = ANY(%s::bytea[])", (list(digests),)
    )
    return set(found)


def _key(connection: Connection) -> bytes | None:
    found: bytes | None = connection.scalar("SELECT key FROM forgetting_key LIMIT 1")
    return found


def _new_key(connection: Connection) -> bytes:
    key = secrets.token_bytes(32)
    connection.execute("INSERT INTO forgetting_key (key) VALUES (%s)", (key,))
    return key


def _digest(key: bytes, sha256: str, *cell: int) -> bytes:
    return hmac.digest(key, " ".join([sha256, *map(str, cell)]).encode(), hashlib.sha256)


def _middle(box: tuple[float, float, float, float]) -> tuple[float, float, float]:
    """Return the middle of a box, and the edge of a square of equal area."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, math.sqrt(max(x2 - x1, 1.0) * max(y2 - y1, 1.0))


def _cell(x: float, y: float, size: float) -> tuple[int, int, int]:
    level = math.floor(_LEVELS * math.log2(size))
    return _at(level, x, y)


def _at(level: int, x: float, y: float) -> tuple[int, int, int]:
    edge = _GRID * 2 ** (level / _LEVELS)
    return level, math.floor(x / edge), math.floor(y / edge)


def _around(x: float, y: float, size: float) -> Iterator[tuple[int, int, int]]:
    """Return the grid cells around a face, for its size and neighbouring sizes."""
    own = _cell(x, y, size)[0]
    for level in (own - 1, own, own + 1):
        _, column, row = _at(level, x, y)
        for right in (-1, 0, 1):
            for down in (-1, 0, 1):
                yield level, column + right, row + down
