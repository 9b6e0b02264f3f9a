"""One face closely: what it is like, and which step made it whose it is."""

from dataclasses import dataclass
from uuid import UUID

from facesets.records import Float32
from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A face.

    Attributes
    ----------
    assigned_by, assigned_at : str
        Empty for a face without a person.
    norm : float
        NaN where it is not known.
    embedding : float32 array of shape (d,), or None
    """

    id: int
    detector_id: int
    person: UUID | None
    assigned_by: str
    assigned_at: str
    quality: float
    norm: float
    embedding: Float32 | None


def find_face(connection: Connection, face: int) -> FaceRow | None:
    """The face of a number."""
    row = connection.execute(
        """SELECT f.id, f.detector_id, f.person_id,
                CASE WHEN f.person_id IS NULL THEN '' ELSE coalesce(f.assigned_by, '') END,
                CASE WHEN f.person_id IS NULL THEN ''
                    ELSE coalesce(to_char(f.assigned_at, 'YYYY-MM-DD HH24:MI'), '') END,
                f.quality, f.norm, e.embedding
            FROM face_detections f LEFT JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.id = %s""",
        (face,),
    ).fetchone()
    if row is None:
        return None
    number, detector, person, by, at, quality, norm, embedding = row
    vector = None if embedding is None else embedding.to_numpy()
    return FaceRow(number, detector, person, by, at, quality, norm, vector)


def last_step_of_face(connection: Connection, face: int) -> int | None:
    """The latest step that changed whose a face is; None if none did."""
    # By the primary key, a step at a time: the other way round the whole table would be read.
    found: int | None = connection.scalar(
        """SELECT s.id FROM steps s CROSS JOIN LATERAL (
                SELECT FROM step_faces f WHERE f.step_id = s.id AND f.face_id = %s
                    AND f.person_before IS DISTINCT FROM f.person_after OFFSET 0) f
            ORDER BY s.id DESC LIMIT 1""",
        (face,),
    )
    return found


def nearest_of_person(connection: Connection, face: int, person: UUID, limit: int) -> list[tuple[int, float]]:
    """The faces of a person that are most similar to a face, but itself, and how similar."""
    rows = connection.execute(
        """SELECT f.id, (1 - (e.embedding <=> own.embedding))::real AS similarity
            FROM face_embeddings own JOIN face_embeddings e ON e.model_id = own.model_id
                JOIN present_faces f ON f.id = e.face_id
            WHERE own.face_id = %(face)s AND f.person_id = %(person)s AND f.id <> %(face)s
            ORDER BY similarity DESC, f.id LIMIT %(limit)s""",
        {"face": face, "person": person, "limit": limit},
    )
    return [(int(other), round(float(similarity), 4)) for other, similarity in rows]


def mean_without(connection: Connection, face: int, person: UUID) -> Float32 | None:
    """The mean of a person's faces but one, of the same model; None where there is no other."""
    found = connection.scalar(
        """SELECT avg(e.embedding) FROM face_embeddings own
                JOIN face_embeddings e ON e.model_id = own.model_id
                JOIN face_detections f ON f.id = e.face_id
            WHERE own.face_id = %(face)s AND f.person_id = %(person)s AND f.id <> %(face)s""",
        {"face": face, "person": person},
    )
    return None if found is None else found.to_numpy()
