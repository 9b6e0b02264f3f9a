"""Counts of everything in the library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import LiteralString

from facesets.library_records import PhotosOfStage
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.photos.stages import count_pending


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """The images searched and faces found by one detector."""

    pack: str
    recognizer: str = field(metadata={"key": "recogniser"})
    det_size: int
    min_det_score: float
    images: int
    faces: int


@dataclass(frozen=True, slots=True)
class ClipStatistics:
    """A CLIP model, and how many images it embedded."""

    model: str
    images: int


@dataclass(frozen=True, slots=True)
class LibraryStatistics:
    """Totals of a library.

    Attributes
    ----------
    aliases : int
        Paths of images in addition to the first.
    unreadable : int
        Paths that could not be read.
    assigned, unassigned : int
        Faces with and without a person.
    clustered : int
        Faces that clustering assigned to a person or put into an unnamed cluster.
    persons : mapping of status to number
    named : int
        People with a name.
    candidates : int
        Faces that wait for a decision.
    questions : int
        Open suggestions, including those about people but not those for names.
    megabytes : float
        Size of the whole database on disk.
    queue : mapping of state to number
        Jobs; empty without a queue.
    faces_without_norm : int
        Faces whose norm `enrich` would measure.
    missing : int
        Images without a file left; no other figure counts them.
    """

    galleries: int
    images: int
    paths: int
    aliases: int
    unreadable: int
    faces: int
    assigned: int
    unassigned: int
    clustered: int
    persons: dict[str, int] = field(default_factory=dict)
    named: int = 0
    prototypes: int = 0
    candidates: int = 0
    questions: int = 0
    megabytes: float = 0.0
    last_runs: dict[str, str] = field(default_factory=dict)
    models: list[ModelStatistics] = field(default_factory=list)
    clip: list[ClipStatistics] = field(default_factory=list)
    queue: dict[str, int] = field(default_factory=dict)
    faces_without_norm: int = 0
    missing: int = 0


def library_statistics(connection: Connection) -> LibraryStatistics:
    """Count everything in one snapshot."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    galleries, images, named, prototypes, candidates, missing, size = connection.one(
        """SELECT (SELECT count(*) FROM galleries), (SELECT count(*) FROM present_images),
            (SELECT count(DISTINCT person_id) FROM person_names),
            (SELECT count(*) FROM person_prototypes),
            (SELECT count(DISTINCT c.face_id) FROM face_candidates c
                JOIN present_faces f ON f.id = c.face_id WHERE c.status = 'pending'),
            (SELECT count(*) FROM missing_images),
            pg_database_size(current_database())"""
    )
    paths, linked, unreadable = connection.one(
        """SELECT count(*), count(DISTINCT image_id), count(*) FILTER (WHERE reason <> '')
            FROM image_paths p WHERE image_id IS NULL
                OR EXISTS (SELECT FROM present_images i WHERE i.id = p.image_id)"""
    )
    faces, assigned, clustered = connection.one(
        """SELECT count(*), count(person_id), count(*) FILTER (
                WHERE CASE WHEN person_id IS NULL THEN cluster LIKE 'unknown%'
                    ELSE assigned_by = 'auto' END)
            FROM present_faces"""
    )
    return LibraryStatistics(
        galleries=galleries,
        images=images,
        paths=paths,
        aliases=paths - unreadable - linked,
        unreadable=unreadable,
        faces=faces,
        assigned=assigned,
        unassigned=faces - assigned,
        clustered=clustered,
        persons=dict(connection.execute(_PERSONS).fetchall()),
        named=named,
        missing=missing,
        prototypes=prototypes,
        candidates=candidates,
        megabytes=round(size / 1e6, 1),
        last_runs=dict(
            connection.execute(
                """SELECT DISTINCT ON (command) command,
                        to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' ' || status
                    FROM runs ORDER BY command, id DESC"""
            ).fetchall()
        ),
        models=_models(connection),
        clip=_clip(connection),
    )


def faces_without_norm(connection: Connection, detector_id: int) -> int:
    """Count the faces of a detector without a norm, in photos with a path."""
    found: int = connection.scalar(
        """SELECT count(*) FROM face_detections f
            WHERE f.detector_id = %s AND f.norm = 'NaN' AND EXISTS (
                SELECT FROM image_paths p WHERE p.image_id = f.image_id AND p.reason = '')""",
        (detector_id,),
    )
    return found


# People whose photos are all missing do not count, unless they have a name.
_PERSONS: LiteralString = """SELECT status, count(*) FROM persons p
    WHERE EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id)
        OR EXISTS (SELECT FROM present_faces f WHERE f.person_id = p.id)
        OR NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id)
    GROUP BY 1 ORDER BY 1"""


def newest_face(connection: Connection) -> int | None:
    """Return the number of the last stored face; None without faces."""
    number: int | None = connection.scalar("SELECT max(id) FROM face_detections")
    return number


def _clip(connection: Connection) -> list[ClipStatistics]:
    rows = connection.execute(
        """SELECT m.name, e.images FROM models m
            JOIN (SELECT c.model_id, count(*) AS images FROM image_embeddings c
                    JOIN present_images i ON i.id = c.image_id GROUP BY 1) e
                ON e.model_id = m.id
            ORDER BY m.id"""
    )
    return [ClipStatistics(name, images) for name, images in rows]


def _models(connection: Connection) -> list[ModelStatistics]:
    rows = connection.execute(
        """SELECT d.pack, m.name, d.det_size, d.min_det_score, coalesce(s.images, 0), coalesce(f.faces, 0)
            FROM detectors d
            JOIN models m ON m.id = d.model_id
            LEFT JOIN (SELECT c.detector_id, count(*) AS images FROM face_scans c
                    JOIN present_images i ON i.id = c.image_id GROUP BY 1) s
                ON s.detector_id = d.id
            LEFT JOIN (SELECT detector_id, count(*) AS faces FROM present_faces GROUP BY 1) f
                ON f.detector_id = d.id
            ORDER BY d.id"""
    ).fetchall()
    return [ModelStatistics(*row) for row in rows]


_REASONS = 20
"""Number of reasons to report, most frequent first."""


@dataclass(frozen=True, slots=True)
class StageCounts:
    """The progress of an analysis step.

    Attributes
    ----------
    version : str
        The current one if known, else the version of most of its images; empty if there is none.
    pending : int
        Images with a file that this version did not process.
    completed, failed : int
        Images with a file, too.
    reasons : mapping of str to int
        Reasons of failures, with counts.
    """

    stage: str
    version: str
    pending: int
    processing: int
    completed: int
    failed: int
    reasons: Mapping[str, int]


def stage_counts(connection: Connection, stage: str, current: str = "") -> StageCounts:
    """Count the images of a step in the current or most frequent version."""
    # For images without a file only open requests count, as for pending ones.
    rows = connection.execute(
        """SELECT v.version, s.status, count(*) FROM image_stages s JOIN stage_versions v
                ON v.id = s.version_id
            WHERE s.stage = %s AND (s.status = 'processing' OR EXISTS (
                SELECT FROM present_images i WHERE i.id = s.image_id))
            GROUP BY 1, 2""",
        (stage,),
    ).fetchall()
    of_version: dict[str, dict[str, int]] = {}
    for version, status, count in rows:
        of_version.setdefault(version, {})[status] = count
    version = current or max(of_version, key=lambda each: sum(of_version[each].values()), default="")
    counts = of_version.get(version, {})
    reasons = connection.execute(
        """SELECT s.reason, count(*) FROM image_stages s JOIN stage_versions v ON v.id = s.version_id
            WHERE s.stage = %s AND v.version = %s AND s.status = 'failed' AND EXISTS (
                SELECT FROM present_images i WHERE i.id = s.image_id)
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %s""",
        (stage, version, _REASONS),
    ).fetchall()
    return StageCounts(
        stage,
        version,
        pending=count_pending(connection, PhotosOfStage(stage, version)),
        processing=counts.get("processing", 0),
        completed=counts.get("completed", 0),
        failed=counts.get("failed", 0),
        reasons=dict(reasons),
    )


def detection_counts(connection: Connection, detector: DetectorRow | None) -> StageCounts:
    """Count the images searched by a detector, and the unreadable paths."""
    pending, completed = connection.one(
        """SELECT count(*) FILTER (WHERE s.image_id IS NULL), count(s.image_id) FROM present_images i
            LEFT JOIN face_scans s ON s.image_id = i.id AND s.detector_id = %s""",
        (None if detector is None else detector.id,),
    )
    reasons = connection.execute(
        "SELECT reason, count(*) FROM image_paths WHERE reason <> '' GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()
    version = "" if detector is None else f"{detector.settings.pack}, {detector.settings.det_size}"
    failed = sum(count for _, count in reasons)
    return StageCounts("detection", version, pending, 0, completed, failed, dict(reasons[:_REASONS]))
