"""XMP sidecars: which photos need one, and which part of each is ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, LiteralString
from uuid import UUID

import numpy as np
from psycopg import sql

from facesets.records import Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text, range_below, to_text


@dataclass(frozen=True, slots=True)
class KnownSidecar:
    """The stored record of a sidecar.

    Attributes
    ----------
    photo
        The path of its photo.
    name
        The file name, in the photo's folder.
    people
        The people to name.
    ours, planned
        The part that is ours, as bytes, now and after a write that has begun.
    made_of
        Hash of its inputs; None if it must be checked again.
    size, mtime_ns
        Size and time of the file as we wrote it.
    names_forgotten
        It names a forgotten person: its current content must not be preserved.
    """

    photo: str
    name: str
    people: frozenset[UUID]
    ours: bytes
    planned: bytes | None = None
    made_of: bytes | None = None
    size: int | None = None
    mtime_ns: int | None = None
    names_forgotten: bool = False

    @property
    def path(self) -> Path:
        """Its path."""
        return Path(self.photo).with_name(self.name)


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo at one of its paths.

    Attributes
    ----------
    size, mtime_ns
        Size and time of the file when it was indexed.
    image
        Number of its content.
    width, height
        Size of the upright picture, in pixels.
    sidecar
        None if nothing was written.
    elsewhere
        If nothing was written: the record of the same photo at another path, from where it may have moved.
    is_known
        Whether the library has a photo there; if not, only the sidecar's path counts.
    """

    path: str
    size: int
    mtime_ns: int
    image: int
    sha256: str
    width: int
    height: int
    sidecar: KnownSidecar | None
    elsewhere: KnownSidecar | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class PersonFace:
    """A face and its person; the box in pixels of the upright image."""

    person: UUID
    box: tuple[float, float, float, float]


def names_of_people(connection: Connection) -> dict[UUID, str]:
    """Return all visible named people, by first name."""
    rows = connection.execute(
        """SELECT DISTINCT ON (n.person_id) n.person_id, n.name FROM person_names n
            JOIN persons p ON p.id = n.person_id AND p.status = 'active' ORDER BY n.person_id, n.id"""
    )
    return dict(rows.fetchall())


def paths_to_look_at(
    connection: Connection, detector_id: int, people: Sequence[UUID], below: Sequence[str]
) -> Int64:
    """Return the numbers of paths with photos of some people or a sidecar of ours, ascending."""
    numbers = connection.scalars(
        sql.SQL(_TO_LOOK_AT).format(below=sql.SQL(_BELOW)),
        {"detector": detector_id, "people": list(people), **_ranges(below)},
    )
    return np.array(numbers, np.int64)


def paths_without_photo(connection: Connection, below: Sequence[str]) -> list[str]:
    """Return paths with a sidecar of ours but no photo in the library, in order."""
    paths = connection.scalars(sql.SQL(_WITHOUT_PHOTO).format(below=sql.SQL(_BELOW)), _ranges(below))
    return [from_text(path) for path in paths]


def sidecars_without_photo(connection: Connection, paths: Sequence[str]) -> list[PhotoFile]:
    """Return the records of sidecars at some paths without a photo."""
    known = _known(connection, "path", [to_text(path) for path in paths])
    return [PhotoFile(each.photo, -1, -1, 0, "", 0, 0, each, is_known=False) for each in known.values()]


def _ranges(below: Sequence[str]) -> dict[str, object]:
    ranges = [range_below(root) for root in below]
    columns = {name: [each[name] for each in ranges] for name in ("root", "below", "beyond")}
    return {"all": not below, **columns}


_BELOW: LiteralString = """(%(all)s OR EXISTS (
        SELECT FROM unnest(%(root)s::text[], %(below)s::text[], %(beyond)s::text[]) AS r (root, below, beyond)
        WHERE w.path = r.root OR (w.path >= r.below AND w.path < r.beyond)))"""

_WITHOUT_PHOTO: LiteralString = """
    SELECT w.path FROM xmp_sidecars w WHERE {below}
        AND NOT EXISTS (SELECT FROM image_paths p WHERE p.path = w.path) ORDER BY w.path"""

_TO_LOOK_AT: LiteralString = """
    WITH wanted AS (
        SELECT p.id, p.path FROM image_paths p WHERE p.reason = '' AND p.image_id IN (
            SELECT f.image_id FROM face_detections f
            WHERE f.person_id = ANY(%(people)s::uuid[]) AND f.detector_id = %(detector)s)
        UNION SELECT p.id, p.path FROM xmp_sidecars s JOIN image_paths p USING (path) WHERE p.reason = ''
        UNION SELECT p.id, p.path FROM xmp_sidecars s JOIN images i ON i.sha256 = s.sha256
            JOIN image_paths p ON p.image_id = i.id WHERE p.reason = '')
    SELECT w.id FROM wanted w WHERE {below} ORDER BY w.id"""


def photo_files(connection: Connection, paths: Sequence[int]) -> list[PhotoFile]:
    """Return the photos at some paths, ordered by number."""
    rows = connection.execute(
        """SELECT p.path, p.size, p.mtime_ns, i.id, i.sha256, i.width, i.height
            FROM image_paths p JOIN images i ON i.id = p.image_id
            WHERE p.id = ANY(%s::bigint[]) AND p.reason = '' ORDER BY p.id""",
        (list(paths),),
    ).fetchall()
    known = _known(connection, "path", [path for path, *_ in rows])
    contents = [sha256 for path, _, _, _, sha256, *_ in rows if path not in known]
    elsewhere = _known(connection, "sha256", contents) if contents else {}
    return [
        PhotoFile(
            from_text(path),
            size,
            mtime_ns,
            image,
            sha256,
            width,
            height,
            known.get(path),
            None if path in known else elsewhere.get(sha256),
        )
        for path, size, mtime_ns, image, sha256, width, height in rows
    ]


def _known(
    connection: Connection, column: Literal["path", "sha256"], values: Sequence[str]
) -> dict[str, KnownSidecar]:
    """Return the records of some sidecars by a column, the latest of several."""
    # A plan cached with the first photos would read the whole table for each, even after it grows.
    rows = connection.execute(
        sql.SQL(
            """SELECT {column}, path, name, people, ours, planned, made_of, size, mtime_ns, names_forgotten
                FROM xmp_sidecars WHERE {column} = ANY(%s::text[]) ORDER BY mtime_ns NULLS FIRST"""
        ).format(column=sql.Identifier(column)),
        (list(values),),
        prepare=False,
    )
    return {
        key: KnownSidecar(from_text(path), from_text(name), frozenset(people), *others)
        for key, path, name, people, *others in rows
    }


def faces_of_people(
    connection: Connection, detector_id: int, images: Sequence[int]
) -> dict[int, list[PersonFace]]:
    """Return the faces in some images, by image, from left to right."""
    rows = connection.execute(
        """SELECT image_id, person_id, x1, y1, x2, y2 FROM face_detections
            WHERE image_id = ANY(%s::bigint[]) AND detector_id = %s AND person_id IS NOT NULL
            ORDER BY x1, id""",
        (list(images), detector_id),
    )
    found: dict[int, list[PersonFace]] = {}
    for image, person, x1, y1, x2, y2 in rows:
        found.setdefault(image, []).append(PersonFace(person, (x1, y1, x2, y2)))
    return found


def store_sidecars(connection: Connection, sidecars: Mapping[str, KnownSidecar | None]) -> None:
    """Store the records of sidecars by photo path; None removes a record."""
    removed = [to_text(path) for path, known in sidecars.items() if known is None]
    connection.execute("DELETE FROM xmp_sidecars WHERE path = ANY(%s::text[])", (removed,))
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO xmp_sidecars
                    (path, name, people, ours, planned, made_of, size, mtime_ns, names_forgotten, sha256)
                VALUES (%(path)s, %(name)s, %(people)s, %(ours)s, %(planned)s, %(made_of)s, %(size)s,
                    %(mtime_ns)s, %(names_forgotten)s, (SELECT i.sha256 FROM image_paths p
                        JOIN images i ON i.id = p.image_id WHERE p.path = %(path)s))
                ON CONFLICT (path) DO UPDATE SET name = excluded.name, people = excluded.people,
                    ours = excluded.ours, planned = excluded.planned, made_of = excluded.made_of,
                    size = excluded.size, mtime_ns = excluded.mtime_ns,
                    names_forgotten = excluded.names_forgotten, sha256 = excluded.sha256""",
            [
                {
                    "path": to_text(path),
                    "name": to_text(known.name),
                    "people": list(known.people),
                    "ours": known.ours,
                    "planned": known.planned,
                    "made_of": known.made_of,
                    "size": known.size,
                    "mtime_ns": known.mtime_ns,
                    "names_forgotten": known.names_forgotten,
                }
                for path, known in sidecars.items()
                if known is not None
            ],
        )


def drop_moved(connection: Connection, paths: Sequence[str]) -> None:
    """Delete the records of sidecars at paths without a photo in the library."""
    connection.execute(
        """DELETE FROM xmp_sidecars s WHERE s.path = ANY(%s::text[])
            AND NOT EXISTS (SELECT FROM image_paths p WHERE p.path = s.path)""",
        ([to_text(path) for path in paths],),
    )


def count_sidecars(connection: Connection, people: Sequence[UUID]) -> int:
    """Count the sidecars in which we name some people."""
    found: int = connection.scalar(
        "SELECT count(*) FROM xmp_sidecars WHERE people && %s::uuid[]", (list(people),)
    )
    return found


def count_naming_forgotten(connection: Connection) -> int:
    """Count the sidecars in which we name a forgotten person."""
    return int(connection.scalar("SELECT count(*) FROM xmp_sidecars WHERE names_forgotten"))


def forget_in_sidecars(connection: Connection, people: Sequence[UUID]) -> None:
    """Remove some people from the records of sidecars.

    Text about them stays in the files until the next export, which recognises it by its hashes.
    """
    connection.execute(
        """UPDATE xmp_sidecars SET made_of = NULL, names_forgotten = true,
                people = ARRAY(SELECT p FROM unnest(people) p WHERE p <> ALL(%(people)s::uuid[]))
            WHERE people && %(people)s::uuid[]""",
        {"people": list(people)},
    )
