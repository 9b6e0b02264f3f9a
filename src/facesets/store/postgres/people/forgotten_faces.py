"""Faces that are never to come back: keyed hashes of image and box, by which nobody else can tell anything.

A face that is found again, by another version or with another detection size, lies in a slightly other box.
So the middle of a box is kept by the cell of a grid as fine as a quarter of the face, and a face is compared
with the cells around its own, of its size and those beside it.
"""

import hashlib
import hmac
import math
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from facesets.records import Float32, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.face_places import FacePlace

_GRID = 0.25
"""Edge of a cell, as a part of the face's size."""

_LEVELS = 2
"""Steps of size in which a face doubles."""


def remember_forgotten(connection: Connection, places: Sequence[FacePlace]) -> None:
    """Let faces at these places never come back."""
    key = _key(connection) or _new_key(connection)
    digests = {_digest(key, place.sha256) for place in places}
    digests |= {_digest(key, place.sha256, *_cell(*_middle(place.box))) for place in places}
    connection.execute(
        "INSERT INTO forgotten_faces (digest) SELECT unnest(%s::bytea[]) ON CONFLICT DO NOTHING",
        (sorted(digests),),
    )


def without_forgotten(connection: Connection, records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Images without the faces that are not to come back."""
    key = _key(connection)
    if key is None:
        return list(records)
    images = {record.sha256: _digest(key, record.sha256) for record in records}
    known = _known(connection, images.values())
    return [
        _without(connection, key, record) if images[record.sha256] in known else record for record in records
    ]


def with_forgotten(connection: Connection, sha256: Iterable[str]) -> set[str]:
    """Those contents on which there are faces that are not to come back."""
    key = _key(connection)
    digests = {} if key is None else {_digest(key, each): each for each in sha256}
    return {digests[digest] for digest in _known(connection, digests)}


def hashed_words(connection: Connection, words: Iterable[str]) -> list[bytes]:
    """Words as hashes by the same key; none where nobody was forgotten yet."""
    key = _key(connection)
    return [] if key is None else sorted({_digest(key, f"word {word}") for word in words})


def _without(connection: Connection, key: bytes, record: ImageRecord) -> ImageRecord:
    around = [
        {_digest(key, record.sha256, *cell) for cell in _around(*_middle(box))}
        for box in _boxes(record.faces.box)
    ]
    known = _known(connection, {digest for cells in around for digest in cells})
    kept = np.array([known.isdisjoint(cells) for cells in around], bool)
    return record if kept.all() else replace(record, faces=record.faces.take(np.flatnonzero(kept)))


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
    """The middle of a box, and its size: the edge of a square as large."""
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, math.sqrt(max(x2 - x1, 1.0) * max(y2 - y1, 1.0))


def _cell(x: float, y: float, size: float) -> tuple[int, int, int]:
    level = math.floor(_LEVELS * math.log2(size))
    return _at(level, x, y)


def _at(level: int, x: float, y: float) -> tuple[int, int, int]:
    edge = _GRID * 2 ** (level / _LEVELS)
    return level, math.floor(x / edge), math.floor(y / edge)


def _around(x: float, y: float, size: float) -> Iterator[tuple[int, int, int]]:
    """The cell of a face and those around it, for its size and those beside it."""
    own = _cell(x, y, size)[0]
    for level in (own - 1, own, own + 1):
        _, column, row = _at(level, x, y)
        for right in (-1, 0, 1):
            for down in (-1, 0, 1):
                yield level, column + right, row + down
