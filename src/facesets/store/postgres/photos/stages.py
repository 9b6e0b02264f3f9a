"""The analysis steps that processed each image, in which version, and where their results are stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from psycopg import sql

from facesets.file_records import FoundFile
from facesets.library_records import PendingPhoto, PhotosOfStage
from facesets.records import Faces, Finding, ImageRecord
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import escaped, from_text, range_below
from facesets.store.postgres.photos.bodies import write_bodies
from facesets.store.postgres.photos.face_attributes import delete_attributes, write_attributes
from facesets.store.postgres.photos.metadata import store_metadata
from facesets.store.postgres.photos.tags import store_face_tags, store_image_tags

Found: TypeAlias = Sequence[tuple[int, ImageRecord, Finding]]
"""Images with their numbers and the results of a step."""

_WRITERS: Mapping[str, Callable[[Connection, Found], None]] = {
    "metadata": store_metadata,
    "bodies": write_bodies,
    "attributes": write_attributes,
    "scene": store_image_tags,
    "face-tags": store_face_tags,
}
"""Stores the results of a step, replacing earlier ones."""

_ERASERS: Mapping[str, Callable[[Connection], int]] = {"attributes": delete_attributes}
"""Deletes all results of a step and what was derived from them; returns their number."""
_HAS_FILE = sql.SQL(
    """i.missing_since IS NULL AND
    EXISTS (SELECT FROM image_paths p WHERE p.image_id = i.id AND p.reason = '' AND ({below}))"""
)

OF_FACES = ("attributes", "bodies", "face-tags")
"""Steps with results that belong to faces."""


def store_findings(connection: Connection, images: Sequence[tuple[int, ImageRecord]]) -> None:
    """Store results of steps for images, replacing earlier ones."""
    by_stage: dict[str, list[tuple[int, ImageRecord, Finding]]] = {}
    for number, image in images:
        for stage, finding in image.findings.items():
            by_stage.setdefault(stage, []).append((number, image, finding))
    for stage, found in by_stage.items():
        completed = [each for each in found if each[2].value is not None]
        if completed and stage in _WRITERS:
            _WRITERS[stage](connection, completed)
        note(connection, stage, [(number, finding) for number, _, finding in found])


def delete_findings(connection: Connection, stage: str) -> int | None:
    """Delete all results of a step; return the number of photos or faces, None if impossible."""
    if stage not in _ERASERS:
        return None
    connection.execute("DELETE FROM image_stages WHERE stage = %s", (stage,))
    return _ERASERS[stage](connection)


def note(connection: Connection, stage: str, found: Sequence[tuple[int, Finding]]) -> None:
    """Record that a step processed images, with the outcome."""
    versions = {
        version: ensure_version(connection, stage, version)
        for version in {finding.version for _, finding in found}
    }
    connection.execute(
        """INSERT INTO image_stages (image_id, stage, version_id, status, reason, ended_at)
            SELECT new.image, %(stage)s, new.version,
                CASE WHEN new.reason = '' THEN 'completed' ELSE 'failed' END, new.reason, now()
            FROM unnest(%(images)s::bigint[], %(versions)s::smallint[], %(reasons)s::text[])
                AS new (image, version, reason)
            ON CONFLICT (image_id, stage) DO UPDATE SET version_id = excluded.version_id,
                status = excluded.status, reason = excluded.reason, ended_at = excluded.ended_at""",
        {
            "stage": stage,
            "images": [number for number, _ in found],
            "versions": [versions[finding.version] for _, finding in found],
            "reasons": [escaped(finding.reason).replace("\0", " ") for _, finding in found],
        },
    )


def forget_stages_of_faces(connection: Connection, numbers: Sequence[int]) -> None:
    """Mark images as pending for steps that use faces, because the faces changed."""
    _lock(connection, numbers)
    connection.execute(
        "DELETE FROM image_stages WHERE stage = ANY(%s) AND image_id = ANY(%s)",
        (list(OF_FACES), list(numbers)),
    )


def of_faces_still_there(
    connection: Connection, images: Sequence[tuple[int, ImageRecord]], detector_id: int | None
) -> list[tuple[int, ImageRecord]]:
    """Return the images without those with faces that changed meanwhile; these stay pending.

    Until this transaction ends they get no new faces. Deleted faces do not matter.
    """
    numbers = [number for number, image in images if any(stage in image.findings for stage in OF_FACES)]
    if not numbers:
        return list(images)
    _lock(connection, numbers)
    known = {number: {box.tobytes() for box in image.faces.box} for number, image in images}
    changed = {
        number
        for number, *box in connection.execute(
            """SELECT image_id, x1, y1, x2, y2 FROM face_detections
                WHERE image_id = ANY(%s) AND detector_id = %s""",
            (numbers, detector_id),
        )
        if np.array(box, np.float32).tobytes() not in known[number]
    }
    return [each for each in images if each[0] not in changed]


def without_known(
    connection: Connection, images: Sequence[tuple[int, ImageRecord]], known: Sequence[int]
) -> list[tuple[int, ImageRecord]]:
    """Return the images without results that the same version of a step already stored."""
    if not known:
        return list(images)
    rows = connection.execute(
        """SELECT s.image_id, s.stage, v.version FROM image_stages s
            JOIN stage_versions v ON v.id = s.version_id
            WHERE s.image_id = ANY(%s) AND s.status = 'completed'""",
        (list(known),),
    )
    done: set[tuple[int, str, str]] = set(rows.fetchall())
    return [
        (
            number,
            replace(
                image,
                findings={
                    stage: finding
                    for stage, finding in image.findings.items()
                    if (number, stage, finding.version) not in done
                },
            ),
        )
        for number, image in images
    ]


def _lock(connection: Connection, numbers: Sequence[int]) -> None:
    """Lock images, so that faces and results about them are not stored at the same time."""
    connection.execute(
        "SELECT FROM images WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", (sorted(numbers),)
    )


def ensure_version(connection: Connection, stage: str, version: str) -> int:
    """Return the number of a step's version, creating it if new."""
    given = (stage, version)
    find = "SELECT id FROM stage_versions WHERE stage = %s AND version = %s"
    number = connection.scalar(find, given)
    if number is None:
        connection.execute(
            "INSERT INTO stage_versions (stage, version) VALUES (%s, %s) ON CONFLICT DO NOTHING", given
        )
        number = connection.scalar(find, given)
    return int(number)


def pending(
    connection: Connection, photos: PhotosOfStage, detector_id: int | None, *, after: int, limit: int
) -> list[PendingPhoto]:
    """Return the next images with a file for a step, ascending, with the faces of a detector."""
    condition, given = to_look_at(photos)
    rows = connection.execute(
        sql.SQL(
            """SELECT i.id, i.sha256, i.width, i.height, i.taken, i.fingerprint FROM images i
                WHERE i.id > %(after)s AND {} ORDER BY i.id LIMIT %(limit)s"""
        ).format(condition),
        given | {"after": after, "limit": limit},
    ).fetchall()
    numbers = [row[0] for row in rows]
    files = _files(connection, numbers)
    faces = faces_of(connection, numbers, detector_id)
    return [
        PendingPhoto(
            number,
            ImageRecord(
                sha256,
                width,
                height,
                np.datetime64(taken, "s"),
                bytes(fingerprint),
                faces[number],
                searched=detector_id is not None,
            ),
            tuple(files.get(number, ())),
        )
        for number, sha256, width, height, taken, fingerprint in rows
    ]


def count_pending(connection: Connection, photos: PhotosOfStage) -> int:
    """Count the images with a file for a step."""
    condition, given = to_look_at(photos)
    return int(connection.scalar(sql.SQL("SELECT count(*) FROM images i WHERE {}").format(condition), given))


def to_look_at(photos: PhotosOfStage) -> tuple[sql.Composable, dict[str, object]]:
    """Return the SQL condition that an image `i` is pending, and its parameters."""
    given: dict[str, object] = {"stage": photos.stage, "version": photos.version}
    below: list[sql.Composable] = []
    for place, root in enumerate(photos.below):
        names = {name: f"{name}_{place}" for name in ("root", "below", "beyond")}
        given |= {names[name]: value for name, value in range_below(root).items()}
        below.append(
            sql.SQL("p.path = {root} OR (p.path >= {below} AND p.path < {beyond})").format(
                **{name: sql.Placeholder(own) for name, own in names.items()}
            )
        )
    conditions: list[sql.Composable] = [
        _HAS_FILE.format(below=sql.SQL(" OR ").join(below) if below else sql.SQL("true"))
    ]
    if not photos.done:
        is_over = sql.SQL("status <> 'failed'") if photos.failed else sql.SQL("true")
        conditions.append(
            sql.SQL(
                """NOT EXISTS (SELECT FROM image_stages s JOIN stage_versions v ON v.id = s.version_id
                    WHERE s.image_id = i.id AND s.stage = %(stage)s AND v.version = %(version)s AND {})"""
            ).format(is_over)
        )
    return sql.SQL(" AND ").join(conditions), given


def _files(connection: Connection, numbers: Sequence[int]) -> dict[int, list[FoundFile]]:
    files: dict[int, list[FoundFile]] = {}
    for number, path, size, mtime_ns in connection.execute(
        """SELECT image_id, path, size, mtime_ns FROM image_paths
            WHERE image_id = ANY(%s) AND reason = '' ORDER BY id""",
        (list(numbers),),
    ):
        files.setdefault(number, []).append(FoundFile(from_text(path), size, mtime_ns))
    return files


def faces_of(connection: Connection, numbers: Sequence[int], detector_id: int | None) -> dict[int, Faces]:
    """Return the faces of each of these images by a detector, in order, with empty embeddings."""
    boxes: dict[int, list[tuple[list[float], list[float], float, float, float]]] = {}
    for number, x1, y1, x2, y2, kps, det_score, face_short, blur in connection.execute(
        """SELECT image_id, x1, y1, x2, y2, kps, det_score, face_short, blur FROM face_detections
            WHERE image_id = ANY(%s) AND detector_id = %s ORDER BY image_id, ordinal, id""",
        (list(numbers), detector_id),
    ):
        boxes.setdefault(number, []).append(([x1, y1, x2, y2], kps, det_score, face_short, blur))
    return {number: _faces(boxes.get(number, [])) for number in numbers}


def _faces(rows: Sequence[tuple[list[float], list[float], float, float, float]]) -> Faces:
    if not rows:
        return Faces.empty(0)
    box, kps, det_score, face_short, blur = (
        np.array(column, np.float32) for column in zip(*rows, strict=True)
    )
    return Faces(
        image=np.zeros(len(rows), np.int64),
        box=box,
        kps=kps.reshape(-1, 5, 2),
        det_score=det_score,
        embedding=np.empty((len(rows), 0), np.float32),
        face_short=face_short,
        blur=blur,
    )
