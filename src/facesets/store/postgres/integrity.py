"""Check and repair a library that was edited by hand.

Transactions keep a face and its vector together; manual SQL may not.

The state after a documented reset of people is valid: the next `cluster` brings people back.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

from facesets.errors import Command, Sentence
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text
from facesets.store.postgres.people.persons import give_faces, take_faces
from facesets.store.postgres.people.steps import Step, making_step
from facesets.store.postgres.photos.integrity import repair_findings, wrong_findings
from facesets.store.postgres.photos.stages import OF_FACES

if TYPE_CHECKING:
    from uuid import UUID


# More than any user merges; people merged in a circle stay where they are after this many steps.
_MAX_MERGES = 100

_BAD_VECTORS: LiteralString = """SELECT f.image_id, f.detector_id FROM face_detections f
    JOIN detectors d ON d.id = f.detector_id JOIN models m ON m.id = d.model_id
    LEFT JOIN face_embeddings e ON e.face_id = f.id
    WHERE e.face_id IS NULL OR e.model_id <> d.model_id OR vector_dims(e.embedding) <> m.dimension
        OR abs(vector_norm(e.embedding) - 1) > 0.001"""
_UNSEARCHED: LiteralString = """SELECT i.id, NULL::smallint FROM images i
    WHERE NOT EXISTS (SELECT FROM face_scans s WHERE s.image_id = i.id)
        AND NOT EXISTS (SELECT FROM image_embeddings e WHERE e.image_id = i.id)"""
_BAD_EMBEDDINGS: LiteralString = """SELECT e.image_id, NULL::smallint FROM image_embeddings e, models m
    WHERE m.id = e.model_id AND (m.kind <> 'clip' OR vector_dims(e.embedding) <> m.dimension
        OR abs(vector_norm(e.embedding) - 1) > 0.001)"""
_UNRECORDED: LiteralString = """SELECT DISTINCT f.image_id, f.detector_id FROM face_detections f
    WHERE NOT EXISTS (SELECT FROM face_scans s
        WHERE s.image_id = f.image_id AND s.detector_id = f.detector_id)"""
_REPEATED_ORDINALS: LiteralString = """SELECT image_id, detector_id FROM face_detections
    GROUP BY image_id, detector_id, ordinal HAVING count(*) > 1"""
_LOST_PATHS: LiteralString = "SELECT path FROM image_paths WHERE image_id IS NULL AND reason = ''"
_WRONG_PATHS: LiteralString = """SELECT p.path FROM image_paths p JOIN images i ON i.id = p.image_id
    WHERE p.sha256 <> i.sha256"""
_FACES_OF_MERGED: LiteralString = """SELECT count(*) FROM face_detections f
    JOIN persons p ON p.id = f.person_id
    WHERE p.status = 'merged'"""
_FACES_OF_NO_DETECTOR: LiteralString = """SELECT count(*) FROM face_detections f
    WHERE NOT EXISTS (SELECT FROM detectors d WHERE d.id = f.detector_id)"""
_BROKEN_INDEXES: LiteralString = """SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT x.indisvalid AND n.nspname = current_schema()
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.index_relid = x.indexrelid)"""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem, its count, and how it is repaired.

    Attributes
    ----------
    by_sql : bool
        `repair_rows` repairs it without reading photos.
    """

    what: str
    count: int
    repair: str
    by_sql: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """The path of a photo that must be read again.

    Attributes
    ----------
    image : int or None
        Its number; None if the path has lost its image.
    path : str
        Empty where no path leads to the image.
    """

    image: int | None
    path: str


_REBUILD = Sentence(f"{Command('db index')} rebuilds search indexes; rebuild others with REINDEX")
_READ_AGAIN = "their files are read again"
_SEARCH_AGAIN = "face detection runs again on their photos"
_OF_IMAGES: tuple[tuple[str, LiteralString], ...] = (
    ("faces without a valid embedding", _BAD_VECTORS),
    ("photos without face detection and embedding", _UNSEARCHED),
    ("photos with an invalid embedding", _BAD_EMBEDDINGS),
    ("photos with faces but no record of face detection", _UNRECORDED),
    ("photos with faces in the wrong order", _REPEATED_ORDINALS),
)
_OF_PATHS: tuple[tuple[str, LiteralString], ...] = (
    ("paths without a photo", _LOST_PATHS),
    ("paths that refer to the wrong photo", _WRONG_PATHS),
)
_BY_SQL: tuple[tuple[str, LiteralString, str], ...] = (
    (
        "faces of merged people",
        _FACES_OF_MERGED,
        "they move to the merged person; people merged into no one become active again",
    ),
    (
        "faces found by an unknown model",
        _FACES_OF_NO_DETECTOR,
        "they are removed, and `index` finds them again",
    ),
    (
        "people whose deletion was interrupted before the tables were rewritten",
        "SELECT count(*) FROM unfinished_forgetting",
        "the tables are rewritten",
    ),
)


def find_problems(connection: Connection) -> list[Problem]:
    """Find all problems."""
    found = []
    for problems, repair in ((_OF_IMAGES, _SEARCH_AGAIN), (_OF_PATHS, _READ_AGAIN)):
        for what, select in problems:
            found.append(Problem(what, len(connection.execute(select).fetchall()), repair))
    for what, counting, repair in _BY_SQL:
        found.append(Problem(what, _number(connection, counting), repair, by_sql=True))
    for what, of, repair in _REPAIRED:
        found.append(Problem(what, _number(connection, "SELECT count(*) " + of), repair, by_sql=True))
    for what, count, repair in wrong_findings(connection):
        found.append(Problem(what, count, repair, by_sql=True))
    for what, of, repair in _FOR_A_HUMAN:
        found.append(Problem(what, _number(connection, "SELECT count(*) " + of), repair))
    found.append(Problem("broken indexes", _number(connection, _BROKEN_INDEXES), _REBUILD))
    return [problem for problem in found if problem.count]


def _number(connection: Connection, counting: LiteralString) -> int:
    return int(connection.scalar(counting))


def places_to_read(connection: Connection) -> list[Place]:
    """Return all paths of the photos that must be read again."""
    images = {image for _, select in _OF_IMAGES for image, _ in connection.execute(select)}
    rows = connection.execute(
        """SELECT i.id, coalesce(p.path, '') FROM unnest(%s::bigint[]) AS i (id)
            LEFT JOIN image_paths p ON p.image_id = i.id""",
        (sorted(images),),
    ).fetchall()
    rows += [(None, path) for _, select in _OF_PATHS for path in connection.scalars(select)]
    return [Place(image, from_text(path)) for image, path in rows]


def repair_rows(connection: Connection, by: str) -> list[str]:
    """Repair what SQL can, and reset the searches that must run again.

    Parameters
    ----------
    by : str
        The author, recorded with the change of people.

    Returns
    -------
    list of str
        Paths of the images to search again. Faces keep their people: found again in the same box, a
        face is the same face.
    """
    connection.execute("CREATE TEMPORARY TABLE again (image_id bigint, detector_id smallint) ON COMMIT DROP")
    for _, select in _OF_IMAGES:
        connection.execute(b"INSERT INTO again " + select.encode())
    # Results of analysis steps on invalid faces and embeddings are doubtful, too.
    connection.execute(
        "DELETE FROM image_stages s USING again a WHERE s.image_id = a.image_id AND s.stage = ANY(%s)",
        (["scene", *OF_FACES],),
    )
    connection.execute(
        """DELETE FROM face_scans s USING again a
            WHERE s.image_id = a.image_id AND s.detector_id = a.detector_id"""
    )
    connection.execute(
        b"DELETE FROM image_embeddings x WHERE EXISTS ("
        + _BAD_EMBEDDINGS.encode()
        + b" AND e.image_id = x.image_id AND e.model_id = x.model_id)"
    )
    connection.execute(
        """DELETE FROM face_detections f
            WHERE NOT EXISTS (SELECT FROM detectors d WHERE d.id = f.detector_id)"""
    )
    repair_findings(connection)
    _follow_merges(connection)
    with making_step(connection, "check", by, "check") as step:
        _repair_people(step)
    paths = connection.scalars(
        """UPDATE image_paths p SET mtime_ns = -1
            WHERE p.image_id IN (SELECT image_id FROM again) OR (p.image_id IS NULL AND p.reason = '')
                OR EXISTS (SELECT FROM images i WHERE i.id = p.image_id AND i.sha256 <> p.sha256)
            RETURNING p.path"""
    )
    return sorted(from_text(path) for path in paths)


def _follow_merges(connection: Connection) -> None:
    """Move faces of merged people to the final person."""
    for _ in range(_MAX_MERGES):
        moved = connection.execute(
            """UPDATE face_detections f SET person_id = p.merged_into_id
                FROM persons p
                WHERE p.id = f.person_id AND p.status = 'merged' AND p.merged_into_id IS NOT NULL"""
        )
        if not moved.rowcount:
            break
    connection.execute(
        """UPDATE persons p SET status = 'active', merged_into_id = NULL, updated_at = now()
            WHERE p.status = 'merged' AND EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id)"""
    )


_ELSEWHERE: LiteralString = """FROM face_corrections s JOIN face_detections f ON f.id = s.face_id
    JOIN persons p ON p.id = s.person_id AND p.status <> 'merged'
    WHERE s.is_person AND f.person_id <> s.person_id"""
_DENIED: LiteralString = """FROM face_corrections s JOIN face_detections f ON f.id = s.face_id
    WHERE NOT s.is_person AND f.person_id = s.person_id"""
_TORN: LiteralString = """FROM face_pair_corrections p JOIN face_detections a ON a.id = p.face_a
    JOIN face_detections b ON b.id = p.face_b WHERE p.same <> (a.person_id = b.person_id)"""
_ANSWERED: LiteralString = """FROM face_candidates c JOIN face_detections f ON f.id = c.face_id
    WHERE c.status = 'pending' AND c.kind = 'near' AND f.person_id IS NOT NULL"""
_NO_ROW: LiteralString = """FROM face_detections f WHERE f.cluster IS NOT NULL
    AND NOT EXISTS (SELECT FROM clusters c WHERE c.id = f.cluster)"""

_REPAIRED: tuple[tuple[str, LiteralString, str], ...] = (
    ("faces assigned to another person than you confirmed", _ELSEWHERE, "they are reassigned"),
    ("faces assigned to a person that you denied", _DENIED, "they are unassigned"),
    ("faces of clusters without a row", _NO_ROW, "the row is created"),
    ("suggestions for faces that are already assigned", _ANSWERED, "they are removed"),
)
"""Repairs of `_repair_people`: the problem, its SQL, and the repair."""
_FOR_A_HUMAN: tuple[tuple[str, LiteralString, str], ...] = (
    (
        "pairs of faces that contradict your corrections",
        _TORN,
        "list them with `maintain violations`; resolve them with `people move` or `people merge`",
    ),
)


def _repair_people(step: Step) -> None:
    """Repair what follows from corrections."""
    connection = step.connection
    back: dict[UUID, list[int]] = {}
    for face, person in connection.execute("SELECT s.face_id, s.person_id " + _ELSEWHERE).fetchall():
        back.setdefault(person, []).append(face)
    for person, faces in back.items():
        give_faces(step, faces, person, "manual")
    take_faces(step, connection.scalars("SELECT s.face_id " + _DENIED))
    connection.execute(
        """DELETE FROM face_candidates c USING face_detections f
            WHERE f.id = c.face_id AND c.status = 'pending' AND c.kind = 'near' AND f.person_id IS NOT NULL"""
    )
    missing = connection.scalars("SELECT DISTINCT f.cluster " + _NO_ROW)
    connection.execute(
        """INSERT INTO clusters (id, model_id) SELECT DISTINCT ON (f.cluster) f.cluster, d.model_id
            FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            WHERE f.cluster = ANY(%s) ORDER BY f.cluster, f.id ON CONFLICT DO NOTHING""",
        (missing,),
    )
