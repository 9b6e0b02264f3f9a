"""Bodies in photos, and suggestions for those without a face."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from facesets.clustering.people.body_matches import BodyMatch, DayBodies, match_bodies
from facesets.imaging.bodies import PhotoBodies
from facesets.records import Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """A suggested person for a body without a face; used for display only.

    Attributes
    ----------
    why : str
        `burst`: in the same place on a photo taken seconds apart; `colours`: in the same clothes that day.
    similarity : float or None
        Similarity of the colours, up to 1; None if unknown.
    like : int
        The similar body of the person.
    """

    person: str
    name: str
    why: str
    similarity: float | None
    like: int


@dataclass(frozen=True, slots=True)
class BodyOnPhoto:
    """One person in a photo, found by the body detector.

    Attributes
    ----------
    box, face_box : box or None
        The recognizable face, else the one that only the body detector found.
    face : int or None
        Number of the recognizable face.
    """

    id: int
    box: Box | None
    score: float | None
    face_box: Box | None
    face_score: float | None
    face: int | None
    person: str | None
    name: str
    suggested: Suggested | None = None


@dataclass(frozen=True, slots=True)
class SuggestedPhoto:
    """A photo that may show a person.

    Attributes
    ----------
    path, like : str
        The photo, and the similar photo of the person.
    taken : str
        By the camera's clock.
    """

    path: str
    taken: str
    box: Box
    why: str
    similarity: float | None
    like: str


def write_bodies(connection: Connection, found: Sequence[tuple[int, ImageRecord, Finding]]) -> None:
    """Store the bodies of images, replacing earlier ones."""
    connection.execute(
        "DELETE FROM bodies WHERE image_id = ANY(%s::bigint[])", ([number for number, *_ in found],)
    )
    rows = [
        {"image": number} | row for number, image, finding in found for row in _rows(finding.value, image)
    ]
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO bodies (image_id, x1, y1, x2, y2, score, face_x1, face_y1, face_x2,
                    face_y2, face_score, colours, face_id)
                SELECT %(image)s, (%(box)s::real[])[1], (%(box)s::real[])[2],
                    (%(box)s::real[])[3], (%(box)s::real[])[4], %(score)s::real, (%(face_box)s::real[])[1],
                    (%(face_box)s::real[])[2], (%(face_box)s::real[])[3], (%(face_box)s::real[])[4],
                    %(face_score)s::real, %(colours)s::bytea,
                    (SELECT max(f.id) FROM face_detections f WHERE f.image_id = %(image)s
                        AND ARRAY[f.x1, f.y1, f.x2, f.y2] = %(of)s::real[])""",
            rows,
        )


def _rows(bodies: PhotoBodies | None, image: ImageRecord) -> list[dict[str, Any]]:
    """Return one row per person; none for images without bodies."""
    if bodies is None:
        return []
    return [
        {
            "box": None if np.isnan(bodies.score[row]) else bodies.box[row].tolist(),
            "score": _number(bodies.score[row]),
            "face_box": None if np.isnan(bodies.face_score[row]) else bodies.face_box[row].tolist(),
            "face_score": _number(bodies.face_score[row]),
            "colours": bodies.colours[row].tobytes() if bodies.colours[row].any() else None,
            "of": image.faces.box[bodies.face[row]].tolist() if bodies.face[row] >= 0 else None,
        }
        for row in range(len(bodies))
    ]


def _number(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def of_image(connection: Connection, image_id: int) -> list[BodyOnPhoto]:
    """Return the bodies in a photo, from left to right, with suggestions."""
    rows = connection.execute(
        """SELECT b.id, ARRAY[b.x1, b.y1, b.x2, b.y2], b.score,
                CASE WHEN f.id IS NULL THEN ARRAY[b.face_x1, b.face_y1, b.face_x2, b.face_y2]
                    ELSE ARRAY[f.x1, f.y1, f.x2, f.y2] END,
                coalesce(f.det_score, b.face_score), f.id, f.person_id, i.taken::date
            FROM bodies b JOIN images i ON i.id = b.image_id LEFT JOIN face_detections f ON f.id = b.face_id
            WHERE b.image_id = %s ORDER BY coalesce(b.x1, b.face_x1), b.id""",
        (image_id,),
    ).fetchall()
    day = next((row[-1] for row in rows), None)
    suggested = {} if day is None else dict(_suggestions_of(connection, day, image_id=image_id))
    return [
        BodyOnPhoto(
            body,
            _box(box),
            score,
            _box(face_box),
            face_score,
            face,
            None if person is None else str(person),
            _name(connection, person),
            suggested.get(body),
        )
        for body, box, score, face_box, face_score, face, person, _ in rows
    ]


def _box(numbers: list[float | None]) -> Box | None:
    x1, y1, x2, y2 = numbers
    return None if x1 is None or y1 is None or x2 is None or y2 is None else (x1, y1, x2, y2)


def _name(connection: Connection, person: UUID | None) -> str:
    found: str | None = connection.scalar(
        "SELECT name FROM person_names WHERE person_id = %s ORDER BY id LIMIT 1", (person,)
    )
    return found or ""


def count_bodies(connection: Connection, person: UUID) -> int:
    """Count the bodies with a face of a person."""
    found: int = connection.scalar(
        "SELECT count(*) FROM bodies b JOIN present_faces f ON f.id = b.face_id WHERE f.person_id = %s",
        (person,),
    )
    return found


def photos_suggested(connection: Connection, person: UUID, *, limit: int) -> list[SuggestedPhoto]:
    """Return photos with a suggested body of a person, latest days first."""
    days = connection.scalars(
        """SELECT DISTINCT i.taken::date FROM bodies b JOIN face_detections f ON f.id = b.face_id
            JOIN images i ON i.id = b.image_id
            WHERE f.person_id = %s AND i.taken IS NOT NULL ORDER BY 1 DESC""",
        (person,),
    )
    found: list[SuggestedPhoto] = []
    for day in days:
        for body, suggested in _suggestions_of(connection, day, person=person):
            found.append(_photo(connection, body, suggested))
            if len(found) == limit:
                return found
    return found


def _photo(connection: Connection, body: int, suggested: Suggested) -> SuggestedPhoto:
    (taken, *box, path, like) = connection.one(
        """SELECT i.taken, b.x1, b.y1, b.x2, b.y2,
                (SELECT path FROM image_paths p WHERE p.image_id = b.image_id ORDER BY p.id LIMIT 1),
                (SELECT path FROM image_paths p JOIN bodies o ON o.image_id = p.image_id
                    WHERE o.id = %(like)s ORDER BY p.id LIMIT 1)
            FROM bodies b JOIN images i ON i.id = b.image_id WHERE b.id = %(body)s""",
        {"body": body, "like": suggested.like},
    )
    x1, y1, x2, y2 = box
    return SuggestedPhoto(
        from_text(path or ""),
        taken.isoformat(" "),
        (x1, y1, x2, y2),
        suggested.why,
        suggested.similarity,
        from_text(like or ""),
    )


def _suggestions_of(
    connection: Connection, day: date, *, image_id: int | None = None, person: UUID | None = None
) -> list[tuple[int, Suggested]]:
    """Return suggestions for the bodies of a day, by number: for one photo or one person."""
    numbers, people, bodies = _load(connection, day)
    if bodies is None:
        return []
    if image_id is not None:
        # Photos do not compete for people: suggestions on one do not depend on the others.
        bodies = replace(bodies, open=bodies.open & (bodies.photo == image_id))
    return [
        (numbers[match.body], _suggested(connection, match, numbers, people))
        for match in match_bodies(bodies)
        if person in (None, people[match.person])
    ]


def _suggested(connection: Connection, match: BodyMatch, numbers: list[int], people: list[UUID]) -> Suggested:
    similarity = None if np.isnan(match.similarity) else round(match.similarity, 3)
    person = people[match.person]
    return Suggested(str(person), _name(connection, person), match.why, similarity, numbers[match.like])


def _load(connection: Connection, day: date) -> tuple[list[int], list[UUID], DayBodies | None]:
    """Load the bodies of a day with their numbers, and the people of `DayBodies`."""
    span = {"begin": day, "end": day + timedelta(days=1)}
    rows = connection.execute(
        """SELECT b.id, b.image_id, extract(epoch FROM i.taken)::bigint, b.x1 / i.width, b.y1 / i.height,
                b.x2 / i.width, b.y2 / i.height, b.colours, p.id,
                b.face_id IS NULL AND EXISTS (SELECT FROM face_scans s WHERE s.image_id = i.id)
            FROM bodies b JOIN present_images i ON i.id = b.image_id
                LEFT JOIN face_detections f ON f.id = b.face_id
                LEFT JOIN persons p ON p.id = f.person_id AND p.status = 'active'
            WHERE i.taken >= %(begin)s AND i.taken < %(end)s AND b.x1 IS NOT NULL ORDER BY b.id""",
        span,
    ).fetchall()
    if not rows:
        return [], [], None
    present = connection.execute(
        """SELECT DISTINCT f.image_id, f.person_id FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE i.taken >= %(begin)s AND i.taken < %(end)s AND f.person_id IS NOT NULL""",
        span,
    ).fetchall()
    people = sorted({row[8] for row in rows if row[8] is not None})
    number = {person: place for place, person in enumerate(people)}
    colours = _unit([row[7] for row in rows])
    bodies = DayBodies(
        photo=np.array([row[1] for row in rows], np.int64),
        taken=np.array([row[2] for row in rows], np.int64),
        box=np.array([row[3:7] for row in rows], np.float32),
        colours=colours,
        person=np.array([number.get(row[8], -1) for row in rows], np.int64),
        open=np.array([row[9] for row in rows], bool),
        present=frozenset((image, number[person]) for image, person in present if person in number),
    )
    return [row[0] for row in rows], people, bodies


def _unit(descriptors: list[bytes | None]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Normalise descriptors to unit length; missing ones become zeros."""
    lengths = [len(each) for each in descriptors if each is not None]
    length = max(lengths, default=1)
    rows = np.zeros((len(descriptors), length), np.float32)
    for row, each in zip(rows, descriptors, strict=True):
        if each is not None and len(each) == length:
            row[:] = np.frombuffer(each, np.uint8)
    unit: np.ndarray[tuple[int, int], np.dtype[np.float32]] = rows / np.maximum(
        np.linalg.norm(rows, axis=1, keepdims=True), 1e-9
    )
    return unit
