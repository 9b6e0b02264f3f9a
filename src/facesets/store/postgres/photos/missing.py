"""Photos without any file left: `images.missing_since`. Lists and counts skip them.

A trigger notes photos that lose their last path, or get one. This module notes that the files at known paths
are missing or back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import LiteralString, TypeAlias

from facesets.file_records import FoundFile
from facesets.path_map import SAME_PATHS, PathMap
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.paths import from_text, range_below, to_text

_AT_ONCE = 20_000

FindMissing: TypeAlias = Callable[[Sequence[str]], Sequence[str]]
IsThere: TypeAlias = Callable[[FoundFile], bool]


@dataclass(frozen=True, slots=True)
class MissingPhoto:
    """A photo without any file left.

    Attributes
    ----------
    path : str
        The first known path; empty if there is none.
    faces : int
        Number of faces on it.
    people : list of str
        The names of the people on it.
    since : str
        Day on which the file was found missing.
    """

    sha256: str
    path: str
    faces: int
    people: list[str]
    since: str


def note_missing(
    database: Database,
    roots: Sequence[str] | None,
    missing: FindMissing,
    is_there: IsThere,
    paths: PathMap = SAME_PATHS,
) -> int:
    """Record which photos, of all or below some folders, have no file left; return their number.

    Parameters
    ----------
    missing : function
        Returns the paths that certainly have no file now.
    is_there : function
        Whether a file of a missing photo is back unchanged.
    paths : PathMap
        The library's folders on this host; all these paths are paths of this host. Paths that this host
        cannot see count neither as missing nor as back.
    """

    def find_missing(known: Sequence[str]) -> list[str]:
        here = {paths.here(path): path for path in known if paths.covers(path)}
        return [here[path] for path in missing(list(here))]

    def is_back(file: FoundFile) -> bool:
        return paths.covers(file.path) and is_there(replace(file, path=paths.here(file.path)))

    back = [file.path for file in database.run(_files_of_missing) if is_back(file)]
    if back:
        database.run(_unmark_missing, back)
    for root in [None] if roots is None else dict.fromkeys(map(paths.known, roots)):
        bounds = {"root": None, "below": "", "beyond": None} if root is None else range_below(root)
        after = ""
        while rows := database.run(_some_paths, bounds | {"after": after, "limit": _AT_ONCE}):
            after = rows[-1]
            if some := find_missing([from_text(path) for path in rows]):
                database.run(_mark_missing, [*some, *find_missing(database.run(_other_paths, some))])
    return database.run(count_missing)


def _some_paths(connection: Connection, given: dict[str, object]) -> list[str]:
    return connection.scalars(
        """SELECT p.path FROM image_paths p JOIN present_images i ON i.id = p.image_id
            WHERE p.path > %(after)s AND (p.path = %(root)s OR (p.path >= %(below)s
                AND (%(beyond)s::text IS NULL OR p.path < %(beyond)s)))
            ORDER BY p.path LIMIT %(limit)s""",
        given,
    )


def _other_paths(connection: Connection, paths: Sequence[str]) -> list[str]:
    """Return the other paths of the photos at some paths."""
    found = connection.scalars(
        """SELECT o.path FROM image_paths o WHERE o.image_id IN (
                SELECT p.image_id FROM image_paths p WHERE p.path = ANY(%(paths)s) AND p.image_id IS NOT NULL)
            AND o.path <> ALL(%(paths)s)""",
        {"paths": [to_text(path) for path in paths]},
    )
    return [from_text(path) for path in found]


def _files_of_missing(connection: Connection) -> list[FoundFile]:
    """Return the former paths of missing photos, with their file records."""
    rows = connection.execute(
        """SELECT p.path, p.size, p.mtime_ns FROM image_paths p
            JOIN images i ON i.id = p.image_id AND i.missing_since IS NOT NULL ORDER BY p.path"""
    )
    return [FoundFile(from_text(path), size, mtime_ns) for path, size, mtime_ns in rows]


def _mark_missing(connection: Connection, paths: Sequence[str]) -> None:
    """Mark photos as missing if all of their paths are among these missing ones."""
    missing = connection.execute(
        """SELECT i.id FROM present_images i WHERE i.id IN (
                SELECT p.image_id FROM image_paths p WHERE p.path = ANY(%(paths)s))
            AND NOT EXISTS (SELECT FROM image_paths o
                WHERE o.image_id = i.id AND o.path <> ALL(%(paths)s))
            ORDER BY i.id FOR NO KEY UPDATE""",
        {"paths": [to_text(path) for path in paths]},
    ).fetchall()
    # An update of no row counts as a change, too.
    if missing:
        connection.execute(
            "UPDATE images SET missing_since = now() WHERE id = ANY(%s::bigint[])",
            ([image for (image,) in missing],),
        )


def _unmark_missing(connection: Connection, paths: Sequence[str]) -> None:
    """Unmark photos with files at these paths again."""
    connection.execute(
        """UPDATE images SET missing_since = NULL, replaced_by = NULL WHERE missing_since IS NOT NULL
            AND id IN (SELECT image_id FROM image_paths WHERE path = ANY(%s))""",
        ([to_text(path) for path in paths],),
    )


def count_missing(connection: Connection) -> int:
    """Count the missing photos."""
    return int(connection.scalar("SELECT count(*) FROM missing_images"))


def missing_photos(
    connection: Connection, *, after: int = 0, limit: int | None = None
) -> list[tuple[int, MissingPhoto]]:
    """Return missing photos with numbers beyond `after`, ascending."""
    rows = connection.execute(_MISSING, {"after": after, "limit": limit})
    return [
        (number, MissingPhoto(sha256, from_text(path), faces, people, since))
        for number, sha256, path, faces, people, since in rows
    ]


_MISSING: LiteralString = """
    SELECT i.id, i.sha256,
        coalesce((SELECT p.path FROM image_paths p WHERE p.image_id = i.id ORDER BY p.id LIMIT 1), ''),
        (SELECT count(*) FROM face_detections f WHERE f.image_id = i.id),
        ARRAY(SELECT DISTINCT n.name FROM face_detections f CROSS JOIN LATERAL (
                SELECT m.name FROM person_names m WHERE m.person_id = f.person_id ORDER BY m.id LIMIT 1) AS n
            WHERE f.image_id = i.id ORDER BY 1),
        to_char(i.missing_since, 'YYYY-MM-DD')
    FROM missing_images i WHERE i.id > %(after)s ORDER BY i.id LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True)
class PersonLoss:
    """A named person with faces in missing photos, and the number of faces left."""

    name: str
    faces: int
    left: int


def losses_of_people(connection: Connection, images: Sequence[int]) -> list[PersonLoss]:
    """Return the named people in some photos, by name."""
    rows = connection.execute(
        """SELECT n.name, count(*), (SELECT count(*) FROM face_detections o
                WHERE o.person_id = f.person_id AND o.image_id <> ALL(%(images)s::bigint[]))
            FROM face_detections f CROSS JOIN LATERAL (SELECT m.name FROM person_names m
                WHERE m.person_id = f.person_id ORDER BY m.id LIMIT 1) AS n
            WHERE f.image_id = ANY(%(images)s::bigint[]) GROUP BY f.person_id, n.name ORDER BY 1""",
        {"images": list(images)},
    )
    return [PersonLoss(*row) for row in rows]


def faces_on(connection: Connection, images: Sequence[int]) -> set[int]:
    """Return the faces in some photos."""
    faces = connection.scalars(
        "SELECT id FROM face_detections WHERE image_id = ANY(%s::bigint[])", (list(images),)
    )
    return set(faces)


def best_faces_on(connection: Connection, images: Sequence[int]) -> list[tuple[int, str, bool]]:
    """Return the faces in some photos that were pinned or dropped as reference faces."""
    return connection.execute(
        """SELECT s.face_id, coalesce((SELECT n.name FROM person_names n WHERE n.person_id = s.person_id
                ORDER BY n.id LIMIT 1), left(s.person_id::text, 8)), s.pinned
            FROM prototype_corrections s JOIN face_detections f ON f.id = s.face_id
            WHERE f.image_id = ANY(%s::bigint[]) ORDER BY 1, 2""",
        (list(images),),
    ).fetchall()


def places_of_missing(connection: Connection) -> dict[int, list[str]]:
    """Return the known paths of each image without a file."""
    rows = connection.execute(
        """SELECT i.id, ARRAY(SELECT p.path FROM image_paths p WHERE p.image_id = i.id) FROM images i
            WHERE i.missing_since IS NOT NULL
                AND NOT EXISTS (SELECT FROM image_paths p WHERE p.held_id = i.id) ORDER BY i.id"""
    )
    return {number: [from_text(path) for path in paths] for number, paths in rows}


def targets_of_runs(connection: Connection) -> list[str]:
    """Return the targets of all recorded runs of `index`."""
    return connection.scalars(
        """SELECT DISTINCT json_array_elements_text(options -> 'targets') FROM runs
            WHERE command = 'index' AND json_typeof(options -> 'targets') = 'array'"""
    )


def erase_images(connection: Connection, images: Sequence[int]) -> list[str]:
    """Delete missing photos with all their data; return the deleted contents."""
    missing = connection.execute(
        """DELETE FROM images WHERE id = ANY(%s::bigint[]) AND missing_since IS NOT NULL
            RETURNING id, sha256""",
        (list(images),),
    ).fetchall()
    contents = [sha256 for _, sha256 in missing]
    connection.execute(
        "DELETE FROM imported_names WHERE image_id = ANY(%s::bigint[])", ([number for number, _ in missing],)
    )
    connection.execute("DELETE FROM descriptions WHERE sha256 = ANY(%s)", (contents,))
    return contents
