"""Unassigned faces: embeddings, possible people, and faces that runs left over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString
from uuid import UUID

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT8, copy_in, copy_out, values, vector
from facesets.store.postgres.copying import UUID as UUID_FIELD
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step

_ROWS = 4096
"""Maximum number of embeddings returned at once, whatever the server sends in one piece."""


@dataclass(frozen=True, slots=True)
class UnassignedFilter:
    """Conditions that select unassigned faces; all by default.

    Attributes
    ----------
    found_since : datetime or date, optional
        Only faces found since then, by the server's clock.
    taken_since : date, optional
        Only faces of photos taken since then, by the camera's clock.
    max_faces : int, optional
        Maximum number of faces; those of the best quality are taken.
    min_norm : float, optional
        Exclude faces whose norm is known to be lower.
    """

    found_since: datetime | date | None = None
    taken_since: date | None = None
    max_faces: int | None = None
    min_norm: float | None = None


_COUNT: LiteralString = """
    SELECT count(*) FROM present_faces f
    WHERE f.person_id IS NULL AND f.detector_id = %(detector)s
        AND (%(found)s::timestamptz IS NULL OR f.created_at >= %(found)s::timestamptz)
        AND (%(taken)s::date IS NULL OR EXISTS (
            SELECT FROM images i WHERE i.id = f.image_id AND i.taken >= %(taken)s::date))
        AND (f.norm < %(min_norm)s::real) IS NOT TRUE"""
# Without CASE, PostgreSQL expects `vector_dims` to match hardly any row, and puts all vectors on disk.
_VECTORS: LiteralString = """
    COPY (SELECT e.face_id, e.embedding FROM (
            SELECT f.id FROM present_faces f
            WHERE f.person_id IS NULL AND f.detector_id = %(detector)s
                AND (%(found)s::timestamptz IS NULL OR f.created_at >= %(found)s::timestamptz)
                AND (%(taken)s::date IS NULL OR EXISTS (
                    SELECT FROM images i WHERE i.id = f.image_id AND i.taken >= %(taken)s::date))
                AND (f.norm < %(min_norm)s::real) IS NOT TRUE
            ORDER BY CASE WHEN %(max_faces)s::bigint IS NULL THEN 0 ELSE -f.quality END,
                CASE WHEN %(max_faces)s::bigint IS NULL THEN 0 ELSE f.id END
            LIMIT %(max_faces)s) AS chosen
        JOIN face_embeddings e ON e.face_id = chosen.id
        WHERE e.model_id = %(model)s
            AND CASE WHEN vector_dims(e.embedding) = %(dimension)s THEN true ELSE false END)
        TO STDOUT (FORMAT BINARY)"""


def count_unassigned(connection: Connection, detector: DetectorRow, selected: UnassignedFilter) -> int:
    """Count these unassigned faces."""
    count: int = connection.scalar(_COUNT, _parameters(detector, selected))
    return count if selected.max_faces is None else min(count, selected.max_faces)


def unassigned_vectors(
    connection: Connection, detector: DetectorRow, selected: UnassignedFilter
) -> Iterator[tuple[Int64, Float32]]:
    """Return unassigned faces and their embeddings, a few thousand at a time."""
    dimension = detector.settings.dimension
    blocks = copy_out(
        connection,
        _VECTORS,
        {**_parameters(detector, selected), "model": detector.model_id, "dimension": dimension},
        {"face": INT8, "embedding": vector(dimension)},
    )
    for rows in blocks:
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            yield part["face"].astype(np.int64), values(part, "embedding").astype(np.float32)


def _parameters(detector: DetectorRow, selected: UnassignedFilter) -> dict[str, object]:
    return {
        "detector": detector.id,
        "found": selected.found_since,
        "taken": selected.taken_since,
        "max_faces": selected.max_faces,
        "min_norm": selected.min_norm,
    }


def denied_pairs(connection: Connection) -> list[tuple[int, UUID]]:
    """Return pairs of faces and people that a user denied."""
    rows = connection.execute(
        """SELECT c.face_id, c.person_id FROM face_candidates c LEFT JOIN steps s ON s.id = c.answered_in
            WHERE c.kind = 'near' AND c.status = 'rejected' AND s.undone IS NOT TRUE"""
    )
    return [(int(face), person) for face, person in rows]


def hidden_people(connection: Connection) -> set[UUID]:
    """Return hidden people, about whom there are no suggestions."""
    return set(connection.scalars("SELECT id FROM persons WHERE status = 'hidden'"))


def delete_low_norm_suggestions(connection: Connection, detector: DetectorRow, min_norm: float) -> None:
    """Delete open suggestions about faces with a lower norm, from runs that knew no norm."""
    connection.execute(
        """DELETE FROM face_candidates c USING face_detections f
            WHERE f.id = c.face_id AND f.detector_id = %s AND f.norm < %s::real
                AND c.kind IN ('near', 'far') AND c.status = 'pending'""",
        (detector.id, min_norm),
    )


def propose(
    connection: Connection,
    compared: Int64,
    face_ids: Int64,
    person: Int64,
    similarity: Float32,
    persons: Sequence[UUID],
) -> int:
    """Store suggestions for faces, in place of earlier ones about all compared faces.

    Answers stay. Suggestions of `cluster`, whose likelihood was measured and which may be about less similar
    people, stay as long as the face has no person.

    Parameters
    ----------
    compared : int64 array
        Faces.
    face_ids, person, similarity : arrays of shape (n,)
        Unassigned faces, a possible person of each by index into `persons`, and the similarity.

    Returns the number of faces with suggestions.
    """
    connection.execute("CREATE TEMPORARY TABLE compared (face_id bigint) ON COMMIT DROP")
    into = "COPY compared (face_id) FROM STDIN (FORMAT BINARY)"
    copy_in(connection, into, {"face_id": INT8}, {"face_id": compared})
    connection.execute("ANALYZE compared")
    # These suggestions have the default likelihood: nothing was measured.
    connection.execute(
        """DELETE FROM face_candidates c USING compared a, face_detections f
            WHERE a.face_id = c.face_id AND f.id = c.face_id AND c.kind = 'near' AND c.status = 'pending'
                AND (c.uncertainty = 0.5 AND NOT c.evidence ? 'skipped' OR f.person_id IS NOT NULL)"""
    )
    if not len(face_ids):
        return 0
    connection.execute(
        """CREATE TEMPORARY TABLE proposed
            (face_id bigint, person_id uuid, cosine_similarity real) ON COMMIT DROP"""
    )
    raw = np.frombuffer(b"".join(uuid.bytes for uuid in persons), "V16")
    copy_in(
        connection,
        "COPY proposed (face_id, person_id, cosine_similarity) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8, "person_id": UUID_FIELD, "cosine_similarity": FLOAT4},
        {"face_id": face_ids, "person_id": raw[person], "cosine_similarity": similarity},
    )
    # Faces and people may have been deleted since they were read.
    faces = connection.scalars(
        """INSERT INTO face_candidates AS c (face_id, person_id, cosine_similarity)
            SELECT DISTINCT ON (u.face_id, u.person_id) u.face_id, u.person_id, u.cosine_similarity
            FROM proposed u
            JOIN face_detections f ON f.id = u.face_id AND f.person_id IS NULL
            JOIN persons p ON p.id = u.person_id AND p.status <> 'merged'
            ON CONFLICT (face_id, person_id) DO UPDATE SET cosine_similarity = excluded.cosine_similarity
                WHERE c.kind = 'near' AND c.status = 'pending'
            RETURNING face_id"""
    )
    return len(set(faces))


def left_unassigned(connection: Connection, detector_id: int) -> Int64:
    """Return the faces of a detector that a run left unassigned and that still are."""
    faces = connection.scalars(
        """SELECT f.id FROM unassigned_faces u JOIN face_detections f ON f.id = u.face_id
            WHERE f.detector_id = %s AND f.person_id IS NULL""",
        (detector_id,),
    )
    return np.array(faces, np.int64)


def note_unassigned(step: Step, detector_id: int, considered: Int64) -> None:
    """Note since when the considered faces are unassigned and in no cluster, as part of a run's change.

    Notes about faces that the change placed are moved to the log, so that undoing can restore them.
    """
    connection = step.connection
    connection.execute(
        """WITH placed AS (
                DELETE FROM unassigned_faces u USING face_detections f
                WHERE f.id = u.face_id AND f.detector_id = %(detector)s
                    AND (f.person_id IS NOT NULL OR f.cluster IS NOT NULL)
                RETURNING u.face_id, u.since)
            INSERT INTO step_rows (step_id, in_table, key, before)
            SELECT s.step_id, 'unassigned_faces', p.face_id::text, to_jsonb(p)
            FROM placed p JOIN step_faces s ON s.face_id = p.face_id WHERE s.step_id = %(step)s""",
        {"detector": detector_id, "step": step.id},
    )
    connection.execute(
        """INSERT INTO unassigned_faces (face_id)
            SELECT id FROM face_detections WHERE id = ANY(%s::bigint[]) AND detector_id = %s
                AND person_id IS NULL AND cluster IS NULL
            ON CONFLICT DO NOTHING""",
        (considered.tolist(), detector_id),
    )


def note_unassigned_again(connection: Connection, step: int) -> None:
    """Restore the notes about faces that a change had placed, after it is undone."""
    connection.execute(
        """INSERT INTO unassigned_faces (face_id, since)
            SELECT f.id, (k.before ->> 'since')::timestamptz
            FROM step_rows k JOIN face_detections f ON f.id = k.key::bigint
            WHERE k.step_id = %s AND k.in_table = 'unassigned_faces'
                AND f.person_id IS NULL AND f.cluster IS NULL
            ON CONFLICT DO NOTHING""",
        (step,),
    )
