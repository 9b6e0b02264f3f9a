"""Faces by image and box: how they are called where numbers of this library mean nothing."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import numpy as np

from facesets.imaging.boxes import best_partners
from facesets.store.postgres.connection import Connection

SAME_FACE_OVERLAP = 0.5
"""Least intersection over union of two boxes of one face."""


@dataclass(frozen=True, slots=True)
class FacePlace:
    """Where a face is.

    Attributes
    ----------
    width, height : int
        Of the image, in pixels.
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
    """Where some faces are, by their numbers."""
    rows = connection.execute(_PLACES + "WHERE f.id = ANY(%s::bigint[]) ORDER BY f.id", (list(faces),))
    return {
        int(face): FacePlace(digest, width, height, (x1, y1, x2, y2), found_by)
        for face, digest, width, height, x1, y1, x2, y2, found_by in rows
    }


def faces_at(connection: Connection, places: Sequence[FacePlace]) -> list[int | None]:
    """The faces that lie at some places, by the overlap of their boxes; None where there is none."""
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
    """Pairs of number and face of one image. Faces found in the same way are compared first."""
    pairs: list[tuple[int, int]] = []
    ways = {place.found_by for place in places}
    for way in ways:
        mine = [(n, p) for n, p in zip(numbers, places, strict=True) if p.found_by == way]
        same = [each for each in there if each[1] == way]
        others = same or [each for each in there if each[1] not in ways] or list(there)
        boxes = np.array(
            [np.array(p.box) / (p.width, p.height, p.width, p.height) for _, p in mine], np.float32
        )
        theirs = np.array([box for _, _, box in others], np.float32).reshape(-1, 4)
        partner = best_partners(boxes, theirs, min_iou=SAME_FACE_OVERLAP)
        pairs += [(mine[i][0], others[j][0]) for i, j in enumerate(partner.tolist()) if j >= 0]
    return pairs


@dataclass(frozen=True, slots=True)
class SaidExemplarRow:
    """A face that a human fixed as an exemplar of somebody, or dropped from them."""

    face: int
    person: UUID
    pinned: bool


def said_exemplars(connection: Connection) -> list[SaidExemplarRow]:
    """All of them."""
    rows = connection.execute("SELECT face_id, person_id, pinned FROM said_exemplars ORDER BY 1, 2")
    return [SaidExemplarRow(int(face), person, pinned) for face, person, pinned in rows]


def named_or_said(connection: Connection, persons: Sequence[UUID]) -> dict[UUID, tuple[list[str], str]]:
    """Names and status of everybody whom a human named or hid, and of these persons besides."""
    rows = connection.execute(
        """SELECT w.id, coalesce(nullif(array(SELECT n.name FROM person_names n
                    WHERE n.person_id = w.id ORDER BY n.id), '{}'), s.names, '{}'),
                CASE coalesce(p.status, s.status) WHEN 'hidden' THEN 'hidden' ELSE 'active' END
            FROM (SELECT person_id AS id FROM said_people UNION SELECT person_id FROM person_names
                UNION SELECT unnest(%s::uuid[])) w
            LEFT JOIN said_people s ON s.person_id = w.id LEFT JOIN persons p ON p.id = w.id
            WHERE p.status IS DISTINCT FROM 'merged' ORDER BY w.id""",
        (list(persons),),
    )
    return {person: (names, status) for person, names, status in rows}
