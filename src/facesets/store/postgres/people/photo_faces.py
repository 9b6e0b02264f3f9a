"""Photos as pages show them, the faces on them, and which photos of a person are beside one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from facesets.face_attributes import Sex
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.people.person_ages import ages_of


@dataclass(frozen=True, slots=True)
class LibraryPhoto:
    """What the library has of a photo.

    Attributes
    ----------
    id : int
        Of its row.
    width, height : int
        Of the upright picture, in pixels.
    taken : datetime or None
        By the camera's clock.
    paths : tuple of (path, bytes)
        Where it was seen, and how large the file is.
    is_missing : bool
        No file is left.
    """

    id: int
    sha256: str
    width: int
    height: int
    taken: datetime | None
    added_at: datetime
    paths: tuple[tuple[str, int], ...]
    is_missing: bool


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """A face as programs get it.

    Attributes
    ----------
    box : tuple of float
        Left, top, right and bottom, in pixels of the upright photo.
    person_name : str
        Empty for nobody, and for somebody without a name.
    age : float or None
        How old it looks, in years.
    sex : str or None
        `M`, `F`, or `U` where a model is not sure; None where none looked.
    """

    id: int
    sha256: str
    box: tuple[float, float, float, float]
    det_score: float
    quality: float
    cluster: str | None
    person: UUID | None
    person_name: str
    assigned_by: str
    created_at: datetime
    age: float | None
    sex: Sex | None


def find_photo(connection: Connection, sha256: str) -> LibraryPhoto | None:
    """The photo of that content."""
    row = connection.execute(
        """SELECT id, sha256, width, height, taken, added_at, missing_since IS NOT NULL
            FROM images WHERE sha256 = %s""",
        (sha256,),
    ).fetchone()
    if row is None:
        return None
    paths = connection.execute("SELECT path, size FROM image_paths WHERE image_id = %s ORDER BY id", row[:1])
    places = tuple((from_text(path), int(size)) for path, size in paths)
    photo, content, width, height, taken, added_at, is_missing = row
    return LibraryPhoto(photo, content, width, height, taken, added_at, places, is_missing)


def facts_of_faces(connection: Connection, faces: Sequence[int]) -> list[FaceFacts]:
    """These faces in this order; those that do not exist are left out."""
    rows = connection.execute(
        _FACTS
        + """JOIN unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place) ON wanted.id = f.id
            ORDER BY wanted.place""",
        (list(faces),),
    )
    return _facts(rows.fetchall())


def faces_on_photo(connection: Connection, photo: int, *, limit: int, offset: int = 0) -> list[FaceFacts]:
    """The faces on a photo, from left to right."""
    rows = connection.execute(
        _FACTS + "WHERE f.image_id = %s ORDER BY f.x1, f.id LIMIT %s OFFSET %s", (photo, limit, offset)
    )
    return _facts(rows.fetchall())


def count_faces_on_photo(connection: Connection, photo: int) -> int:
    """How many faces are on a photo."""
    return int(connection.scalar("SELECT count(*) FROM face_detections WHERE image_id = %s", (photo,)))


def people_on_photo(connection: Connection, photo: int) -> list[UUID]:
    """Whose faces are on a photo."""
    return connection.scalars(
        "SELECT DISTINCT person_id FROM face_detections WHERE image_id = %s AND person_id IS NOT NULL",
        (photo,),
    )


def ages_on_photo(connection: Connection, photo: LibraryPhoto) -> dict[UUID, str]:
    """How old those on a photo were, in words (see `PersonAge.at`)."""
    ages = ages_of(connection, people_on_photo(connection, photo.id))
    return {person: age.at(photo.taken) for person, age in ages.items()}


_FACTS: LiteralString = """
    SELECT f.id, i.sha256, f.x1, f.y1, f.x2, f.y2, f.det_score, f.quality, f.cluster, f.person_id,
        coalesce((SELECT n.name FROM person_names n
            WHERE n.person_id = f.person_id ORDER BY n.id LIMIT 1), ''),
        CASE WHEN f.person_id IS NULL THEN '' ELSE coalesce(f.assigned_by, '') END, f.created_at,
        round(f.age::numeric, 1)::float, CASE WHEN f.age IS NOT NULL THEN coalesce(f.sex, 'U') END
    FROM face_detections f JOIN images i ON i.id = f.image_id """


def _facts(rows: Sequence[tuple[Any, ...]]) -> list[FaceFacts]:
    return [
        FaceFacts(face, sha256, (x1, y1, x2, y2), round(float(score), 4), round(float(quality), 4), *others)
        for face, sha256, x1, y1, x2, y2, score, quality, *others in rows
    ]


def photos_beside(connection: Connection, photo: int, person: UUID) -> tuple[str | None, str | None]:
    """The photos of a person just newer and just older than one, by their content; None at the ends."""
    row = connection.one(_BESIDE, {"photo": photo, "person": person})
    return row[0], row[1]


# OFFSET 0: the person's photos are looked up one by one, rather than all of the library's read.
_BESIDE: LiteralString = """
    WITH theirs AS MATERIALIZED (
        SELECT coalesce(i.taken, '-infinity') AS taken, i.id
        FROM present_faces f CROSS JOIN LATERAL (
            SELECT id, taken FROM images WHERE id = f.image_id OFFSET 0) AS i
        WHERE f.person_id = %(person)s),
    this AS (SELECT coalesce(taken, '-infinity') AS taken, id FROM images WHERE id = %(photo)s),
    newer AS (SELECT t.id FROM theirs t, this WHERE (t.taken, t.id) > (this.taken, this.id)
        ORDER BY t.taken, t.id LIMIT 1),
    older AS (SELECT t.id FROM theirs t, this WHERE (t.taken, t.id) < (this.taken, this.id)
        ORDER BY t.taken DESC, t.id DESC LIMIT 1)
    SELECT (SELECT sha256 FROM images WHERE id = (SELECT id FROM newer)),
        (SELECT sha256 FROM images WHERE id = (SELECT id FROM older))"""
