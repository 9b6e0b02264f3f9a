"""Everything known about one photo, and photos with their people for other programs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from facesets.face_attributes import Sex
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import from_text, to_text
from facesets.store.postgres.people.person_ages import ages_of
from facesets.store.postgres.photos import bodies, descriptions, face_attributes
from facesets.store.postgres.photos.metadata import metadata_of_image
from facesets.store.postgres.photos.tags import tags_of_image

_PARTS: Mapping[str, Callable[[Connection, int], Any]] = {
    "metadata": metadata_of_image,
    "bodies": bodies.of_image,
    "tags": tags_of_image,
    "attributes": face_attributes.of_image,
    "describe": descriptions.of_image,
}
"""Reads the results of a step for an image, as a dataclass or a list of them."""


@dataclass(frozen=True, slots=True)
class StageOfPhoto:
    """The result of an analysis step."""

    stage: str
    version: str
    status: str
    reason: str
    ended_at: datetime


def stages_of_photo(connection: Connection, image_id: int) -> list[StageOfPhoto]:
    """Return the steps that processed an image; all others are pending."""
    rows = connection.execute(
        """SELECT s.stage, v.version, s.status, s.reason, s.ended_at
            FROM image_stages s JOIN stage_versions v ON v.id = s.version_id WHERE s.image_id = %(image)s
            UNION ALL (SELECT 'detection', format('%%s, %%s', d.pack, d.det_size), 'completed', '',
                    f.scanned_at
                FROM face_scans f JOIN detectors d ON d.id = f.detector_id WHERE f.image_id = %(image)s
                ORDER BY f.scanned_at DESC LIMIT 1)""",
        {"image": image_id},
    )
    return [StageOfPhoto(*row) for row in rows]


def parts_of_photo(connection: Connection, image_id: int) -> dict[str, Any]:
    """Return the results of analysis steps for an image, by name."""
    parts = {stage: of_image(connection, image_id) for stage, of_image in _PARTS.items()}
    return {stage: part for stage, part in parts.items() if part}


def norms_on_photo(connection: Connection, image_id: int) -> dict[int, float]:
    """Return the known norms of the faces in an image, by number."""
    rows = connection.execute(
        "SELECT id, norm FROM face_detections WHERE image_id = %s AND norm <> 'NaN'", (image_id,)
    ).fetchall()
    return dict(rows)


def has_photos(connection: Connection) -> bool:
    """Whether the library has any photo."""
    return connection.execute("SELECT FROM images LIMIT 1").fetchone() is not None


def contents_at(connection: Connection, path: str) -> str | None:
    """Return the hash of the image at a path."""
    found: str | None = connection.scalar(
        "SELECT i.sha256 FROM image_paths p JOIN images i ON i.id = p.image_id WHERE p.path = %s",
        (to_text(path),),
    )
    return found


def contents_beginning(connection: Connection, prefix: str) -> list[str]:
    """Return up to two hashes with this beginning."""
    return connection.scalars(
        "SELECT sha256 FROM images WHERE sha256 >= %s AND sha256 < %s ORDER BY sha256 LIMIT 2",
        (prefix, prefix + "g"),
    )


@dataclass(frozen=True, slots=True)
class LibraryPhoto:
    """The library's data of a photo.

    Attributes
    ----------
    id : int
        The row number.
    width, height : int
        Size of the upright picture, in pixels.
    taken : datetime or None
        Time by the camera's clock.
    paths : tuple of (path, bytes)
        Paths where it was found, and the size of each file.
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
    """A face for other programs.

    Attributes
    ----------
    box : tuple of float
        Left, top, right and bottom, in pixels of the upright photo.
    person_name : str
        Empty if unassigned or unnamed.
    age : float or None
        The apparent age, in years.
    sex : str or None
        `M`, `F`, or `U` if a model is unsure; None if it was not estimated.
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
    """Find a photo by content."""
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
    """Return these faces in order, without those that do not exist."""
    rows = connection.execute(
        _FACTS
        + """JOIN unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place) ON wanted.id = f.id
            ORDER BY wanted.place""",
        (list(faces),),
    )
    return _facts(rows.fetchall())


def faces_on_photo(connection: Connection, photo: int, *, limit: int, offset: int = 0) -> list[FaceFacts]:
    """Return the faces in a photo, from left to right."""
    rows = connection.execute(
        _FACTS + "WHERE f.image_id = %s ORDER BY f.x1, f.id LIMIT %s OFFSET %s", (photo, limit, offset)
    )
    return _facts(rows.fetchall())


def count_faces_on_photo(connection: Connection, photo: int) -> int:
    """Count the faces in a photo."""
    return int(connection.scalar("SELECT count(*) FROM face_detections WHERE image_id = %s", (photo,)))


def people_on_photo(connection: Connection, photo: int) -> list[UUID]:
    """Return the people in a photo."""
    return connection.scalars(
        "SELECT DISTINCT person_id FROM face_detections WHERE image_id = %s AND person_id IS NOT NULL",
        (photo,),
    )


def ages_on_photo(connection: Connection, photo: LibraryPhoto) -> dict[UUID, str]:
    """Describe the ages of the people in a photo (see `PersonAge.at`)."""
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


def adjacent_photos(connection: Connection, photo: int, person: UUID) -> tuple[str | None, str | None]:
    """Return the next newer and older photo of a person, by content; None at the ends."""
    row = connection.one(_ADJACENT, {"photo": photo, "person": person})
    return row[0], row[1]


# OFFSET 0: the person's photos are looked up one by one; otherwise all photos would be read.
_ADJACENT: LiteralString = """
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


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person. The first name is the person's own, then come those of people merged into it."""

    id: str
    is_active: bool
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeopledImage:
    """The faces of one image: boxes x1, y1, x2, y2 in pixels, and the id of each person or None."""

    sha256: str
    width: int
    height: int
    box: list[tuple[float, float, float, float]]
    person: list[str | None]


def people_on_images(
    connection: Connection, library: Library, sha256: Sequence[str]
) -> tuple[list[PeopledImage], list[PersonRow]]:
    """Return the faces of these images by the current detector, and their people.

    It is a snapshot of one moment if nothing else was read in the transaction.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    detector = library.detector(connection)
    if detector is None:
        return [], []
    images: dict[str, PeopledImage] = {}
    rows = connection.execute(
        """SELECT i.sha256, i.width, i.height, f.x1, f.y1, f.x2, f.y2, f.person_id::text
            FROM images i JOIN face_detections f ON f.image_id = i.id AND f.detector_id = %s
            WHERE i.sha256 = ANY(%s) ORDER BY i.sha256, f.ordinal""",
        (detector.id, list(sha256)),
    )
    for digest, width, height, x1, y1, x2, y2, person in rows:
        image = images.setdefault(digest, PeopledImage(digest, width, height, [], []))
        image.box.append((x1, y1, x2, y2))
        image.person.append(person)
    wanted = sorted({person for image in images.values() for person in image.person if person is not None})
    persons = connection.execute(
        """SELECT p.id::text, p.status = 'active',
                array(SELECT n.name FROM person_names n JOIN persons q ON q.id = n.person_id
                    WHERE q.id = p.id OR q.merged_into_id = p.id ORDER BY q.id <> p.id, n.id)
            FROM persons p WHERE p.id = ANY(%s::uuid[]) ORDER BY p.id""",
        (wanted,),
    )
    return list(images.values()), [PersonRow(row[0], row[1], tuple(row[2])) for row in persons]
