"""Faces in detail: embeddings, how they were assigned, and their quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from facesets.clustering.known_recognizers import NormLimits, known_recognizer
from facesets.clustering.poor_faces import Clarities, Clarity, norm_limits, rate_clarity
from facesets.imaging.poor_faces import face_limits, poor_faces
from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import FLOAT4, INT4, INT8, copy_out, float4_array, gathered, vector
from facesets.store.postgres.models import DetectorRow


@dataclass(frozen=True, slots=True)
class FaceVectors:
    """Faces of one model, with embeddings.

    Attributes
    ----------
    face_id, image : int64 arrays of shape (n,)
    embedding : float32 array of shape (n, d)
        Unit length.
    recognizer, recognizer_sha256 : str
        The recognition model.
    """

    face_id: Int64
    image: Int64
    embedding: Float32
    model: int
    recognizer: str
    recognizer_sha256: str = ""


def vectors_of_faces(connection: Connection, faces: Sequence[int]) -> list[FaceVectors]:
    """Return the embeddings of some faces by model; the model with most faces comes first."""
    rows = connection.execute(
        """SELECT e.model_id, m.name, m.sha256, f.id, f.image_id, e.embedding
            FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
            JOIN models m ON m.id = e.model_id
            WHERE f.id = ANY(%s::bigint[]) ORDER BY f.id""",
        (list(faces),),
        binary=True,
    ).fetchall()
    models = {(int(row[0]), str(row[1]), str(row[2])) for row in rows}
    found = [
        FaceVectors(
            np.array([row[3] for row in rows if row[0] == model], np.int64),
            np.array([row[4] for row in rows if row[0] == model], np.int64),
            np.stack([row[5].to_numpy() for row in rows if row[0] == model]),
            model,
            name,
            sha256,
        )
        for model, name, sha256 in models
    ]
    return sorted(found, key=lambda each: (-len(each.face_id), each.model))


@dataclass(frozen=True, slots=True)
class FaceRow:
    """A face.

    Attributes
    ----------
    assigned_by, assigned_at : str
        Empty for a face without a person.
    norm : float
        NaN if unknown.
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
    """Return the face with a number."""
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
    """Return the latest change that assigned a face; None if there is none."""
    # By the primary key, one step at a time; otherwise the whole table would be read.
    found: int | None = connection.scalar(
        """SELECT s.id FROM steps s CROSS JOIN LATERAL (
                SELECT FROM step_faces f WHERE f.step_id = s.id AND f.face_id = %s
                    AND f.person_before IS DISTINCT FROM f.person_after OFFSET 0) f
            ORDER BY s.id DESC LIMIT 1""",
        (face,),
    )
    return found


def nearest_of_person(connection: Connection, face: int, person: UUID, limit: int) -> list[tuple[int, float]]:
    """Return the faces of a person that are most similar to a face, other than itself."""
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
    """Return the mean of a person's faces without one face, of the same model; None without others."""
    found = connection.scalar(
        """SELECT avg(e.embedding) FROM face_embeddings own
                JOIN face_embeddings e ON e.model_id = own.model_id
                JOIN face_detections f ON f.id = e.face_id
            WHERE own.face_id = %(face)s AND f.person_id = %(person)s AND f.id <> %(face)s""",
        {"face": face, "person": person},
    )
    return None if found is None else found.to_numpy()


def sample_vectors(
    connection: Connection, detector: DetectorRow, count: int
) -> tuple[Int64, Float32, Float32]:
    """Return images, norms and embeddings of a spread sample of faces."""
    dimension = detector.settings.dimension
    blocks = copy_out(
        connection,
        """COPY (SELECT f.image_id, f.norm, e.embedding FROM (
                SELECT id, image_id, norm FROM face_detections WHERE detector_id = %(detector)s
                ORDER BY hashint8(id) LIMIT %(count)s) AS f
            JOIN face_embeddings e ON e.face_id = f.id
            WHERE e.model_id = %(model)s AND vector_dims(e.embedding) = %(dimension)s)
            TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id, "model": detector.model_id, "dimension": dimension, "count": count},
        {"image": INT8, "norm": FLOAT4, "embedding": vector(dimension)},
    )
    found = gathered(blocks, [("image", np.int64), ("norm", np.float32), ("embedding", np.float32)])
    return found["image"], found["norm"], found["embedding"]


_SAMPLE_FACES = 8000
_MORE = 1.1
"""Growth of faces with a norm after which limits are measured again."""


def library_norm_limits(connection: Connection, detector: DetectorRow) -> NormLimits | None:
    """Return the norm limits of the quality filter for this detector, as known or stored."""
    known = known_recognizer(detector.settings.recognizer)
    if known.norm_limits is not None or not known.norm_is_informative:
        return known.norm_limits
    founding, joining, _ = _stored_limits(connection, detector)
    return None if founding is None else NormLimits(round(founding, 1), round(joining, 1))


def store_norm_limits(connection: Connection, detector: DetectorRow) -> None:
    """Measure and store the norm limits of a model without published ones, unless they are current."""
    name = detector.settings.recognizer
    known = known_recognizer(name)
    if known.norm_limits is not None or not known.norm_is_informative:
        return
    faces = connection.scalar(
        "SELECT count(*) FROM face_detections WHERE detector_id = %s AND norm <> 'NaN'", (detector.id,)
    )
    if faces <= _MORE * _stored_limits(connection, detector)[2]:
        return
    image, norm, vectors = sample_vectors(connection, detector, _SAMPLE_FACES)
    # Limits measured once stay, even if new faces would make them unmeasurable.
    found = norm_limits(name, vectors, norm, image)
    connection.execute(
        """UPDATE models SET norm_faces = %s, norm_founding = coalesce(%s, norm_founding),
                norm_joining = coalesce(%s, norm_joining) WHERE id = %s""",
        (faces, *((None, None) if found is None else (found.founding, found.joining)), detector.model_id),
    )


def _stored_limits(connection: Connection, detector: DetectorRow) -> tuple[Any, ...]:
    return connection.one(
        "SELECT norm_founding, norm_joining, norm_faces FROM models WHERE id = %s", (detector.model_id,)
    )


def quality_of_faces(
    connection: Connection, detector: DetectorRow, face_ids: Int64, limits: NormLimits | None = None
) -> Clarities:
    """Return how clear each face is (`Clarity`); a deleted face counts as unusable. Shape (n,).

    `limits` are those of the library, if already known.
    """
    limits = limits or library_norm_limits(connection, detector)
    only = int(face_ids[0]) if len(face_ids) == 1 else None
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, f.norm, f.face_short, f.kps, i.width, i.height
            FROM face_detections f JOIN images i ON i.id = f.image_id
            WHERE f.detector_id = %(detector)s AND (%(only)s::bigint IS NULL OR f.id = %(only)s::bigint)
            ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"detector": detector.id, "only": only},
        {
            "id": INT8,
            "norm": FLOAT4,
            "short": FLOAT4,
            "kps": float4_array(10),
            "width": INT4,
            "height": INT4,
        },
    )
    columns = [(name, np.float32) for name in ("norm", "short", "kps")]
    found = gathered(blocks, [*columns, *((name, np.int64) for name in ("id", "width", "height"))])
    there = np.isin(face_ids, found["id"])
    place = np.searchsorted(found["id"], face_ids[there])
    found = {name: column[place] for name, column in found.items()}
    poor = poor_faces(
        face_limits(detector.settings.recognizer),
        found["short"],
        found["kps"].reshape(-1, 5, 2),
        found["width"],
        found["height"],
    )
    clarity = np.full(len(face_ids), Clarity.NOTHING, np.uint8)
    clarity[there] = rate_clarity(found["norm"], limits, poor)
    return clarity


def low_quality_people(connection: Connection, detector: DetectorRow) -> list[UUID]:
    """Return people whose faces are all of too low quality; no new faces join them."""
    limits = library_norm_limits(connection, detector)
    if limits is None:
        return []
    return connection.scalars(
        """SELECT person_id FROM face_detections WHERE detector_id = %s AND person_id IS NOT NULL
            GROUP BY 1 HAVING bool_and(norm < %s::real)""",
        (detector.id, limits.joining),
    )
