"""The faces of one person or cluster, as shown, and similar people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

import numpy as np

from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.paths import from_text

Order = Literal["newest", "oldest", "far"]


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face of a person.

    Attributes
    ----------
    taken : datetime or None
        Time of the photo by the camera's clock.
    distance : float or None
        Cosine distance to the mean of the person's faces, if sorted by it.
    """

    id: int
    sha256: str
    taken: datetime | None
    assigned_by: str
    distance: float | None


@dataclass(frozen=True, slots=True)
class Era:
    """Years in which a person looks similar: first and last."""

    first: int
    last: int


def shown_faces(
    connection: Connection, person: UUID, order: Order, *, limit: int, after: int | None = None
) -> list[ShownFace]:
    """Return faces of a person in an order, after a given face.

    Faces without a date, and those that cannot be compared, come last in either direction.
    """
    rows = connection.execute(
        _ORDERS[order],
        {"person": person, "after": after, "limit": limit},
    )
    return [ShownFace(*row) for row in rows]


# Sorting needs only an index of faces and the times of photos; everything else is looked up for the few
# that are shown. OFFSET 0: photos are looked up one by one; otherwise all photos of the library would be read
# for a person with many.
_BY_DATE: LiteralString = """
    SELECT s.id, (SELECT sha256 FROM images WHERE id = s.image_id), s.taken,
        (SELECT coalesce(assigned_by, '') FROM face_detections WHERE id = s.id), NULL
    FROM (SELECT f.id, f.image_id, i.taken
        FROM present_faces f CROSS JOIN LATERAL (
            SELECT taken FROM images WHERE id = f.image_id OFFSET 0) AS i
        WHERE f.person_id = %(person)s AND (%(after)s::bigint IS NULL
            OR (coalesce(i.taken, '{undated}'), f.image_id, f.id) {beyond} (
                SELECT coalesce(j.taken, '{undated}'), g.image_id, g.id
                FROM face_detections g JOIN images j ON j.id = g.image_id WHERE g.id = %(after)s))
        ORDER BY coalesce(i.taken, '{undated}') {way}, f.image_id {way}, f.id {way} LIMIT %(limit)s) AS s
    ORDER BY coalesce(s.taken, '{undated}') {way}, s.image_id {way}, s.id {way}"""
# Read all vectors by one scan of their index, which takes half as long as looking up each.
_FAR: LiteralString = """
    WITH middle AS MATERIALIZED (
        SELECT model_id, embedding FROM person_prototypes
        WHERE person_id = %(person)s AND kind = 'centroid' AND taken_from IS NULL
        ORDER BY faces DESC, id LIMIT 1),
    after AS MATERIALIZED (
        SELECT coalesce(e.embedding <=> m.embedding, -1) AS distance, f.id
        FROM face_detections f LEFT JOIN face_embeddings e ON e.face_id = f.id
            LEFT JOIN middle m ON m.model_id = e.model_id WHERE f.id = %(after)s),
    theirs AS MATERIALIZED (
        SELECT id, image_id FROM present_faces WHERE person_id = %(person)s),
    compared AS MATERIALIZED (
        SELECT e.face_id, e.embedding <=> m.embedding AS distance
        FROM face_embeddings e JOIN middle m ON m.model_id = e.model_id
        WHERE e.face_id = ANY((SELECT array_agg(id ORDER BY id) FROM theirs)::bigint[])),
    scored AS (
        SELECT t.*, coalesce(c.distance, -1) AS distance
        FROM theirs t LEFT JOIN compared c ON c.face_id = t.id)
    SELECT s.id, i.sha256, i.taken,
        (SELECT coalesce(assigned_by, '') FROM face_detections WHERE id = s.id), nullif(s.distance, -1)
    FROM (SELECT * FROM scored WHERE %(after)s::bigint IS NULL
            OR (distance, id) < (SELECT a.distance, a.id FROM after a)
        ORDER BY distance DESC, id DESC LIMIT %(limit)s) AS s JOIN images i ON i.id = s.image_id
    ORDER BY s.distance DESC, s.id DESC"""
_ORDERS: dict[Order, LiteralString] = {
    "newest": _BY_DATE.format(undated="-infinity", beyond="<", way="DESC"),
    "oldest": _BY_DATE.format(undated="infinity", beyond=">", way="ASC"),
    "far": _FAR,
}


def eras_of(connection: Connection, person: UUID) -> list[Era]:
    """Return the eras of a person's prototypes; none if the photos span few years."""
    rows = connection.execute(
        """SELECT DISTINCT extract(year FROM taken_from)::int, extract(year FROM taken_until)::int
            FROM person_prototypes WHERE person_id = %s AND kind = 'centroid' AND taken_from IS NOT NULL
            ORDER BY 1, 2""",
        (person,),
    )
    return [Era(*row) for row in rows]


def spread_of(connection: Connection, person: UUID) -> float | None:
    """Return the mean cosine distance of a person's best faces to their mean; None without embeddings."""
    spread = connection.scalar(
        """SELECT 1 - vector_norm(avg(e.embedding)) FROM (
                SELECT f.id FROM present_faces f
                WHERE f.person_id = %s ORDER BY f.quality DESC, f.id LIMIT 2000) AS best
            JOIN face_embeddings e ON e.face_id = best.id
            GROUP BY e.model_id UNION ALL SELECT NULL LIMIT 1""",
        (person,),
    )
    return None if spread is None else round(spread, 4)


def best_faces_of_cluster(connection: Connection, cluster: str, count: int) -> list[int]:
    """Return the best unassigned faces of a cluster."""
    return connection.scalars(
        """SELECT id FROM present_faces WHERE cluster = %s AND person_id IS NULL
            ORDER BY quality DESC, id LIMIT %s""",
        (cluster, count),
    )


def best_of_person(connection: Connection, person: UUID, *, limit: int, offset: int = 0) -> list[int]:
    """Return the faces of a person, best first."""
    return connection.scalars(
        """SELECT id FROM present_faces WHERE person_id = %s ORDER BY quality DESC, id
            LIMIT %s OFFSET %s""",
        (person, limit, offset),
    )


@dataclass(frozen=True, slots=True)
class FaceLine:
    """One face: its box in pixels of the upright photo, its photo, and who assigned it.

    `taken` is the time of the photo by the camera's clock; empty if unknown.
    """

    id: int
    sha256: str
    paths: tuple[str, ...]
    box: tuple[float, float, float, float]
    kps: tuple[float, ...]
    det_score: float
    quality: float
    assigned_by: str
    taken: str


def faces_of(connection: Connection, owner: UUID | str, limit: int) -> list[FaceLine]:
    """Return the best faces of a person or unnamed cluster, with the paths of each photo."""
    if isinstance(owner, UUID):
        return face_lines(connection, best_of_person(connection, owner, limit=limit))
    return face_lines(connection, best_faces_of_cluster(connection, owner, limit))


def face_lines(connection: Connection, faces: Sequence[int]) -> list[FaceLine]:
    """Return faces in this order, with the paths of each photo; missing ones are omitted."""
    rows = connection.execute(
        """SELECT f.id, i.sha256,
                array(SELECT q.path FROM image_paths q WHERE q.image_id = f.image_id ORDER BY q.id) AS paths,
                f.x1, f.y1, f.x2, f.y2, f.kps, f.det_score, f.quality, coalesce(f.assigned_by, ''),
                coalesce(to_char(i.taken, 'YYYY-MM-DD"T"HH24:MI:SS'), '')
            FROM unnest(%s::bigint[]) WITH ORDINALITY AS wanted (id, place)
            JOIN face_detections f ON f.id = wanted.id JOIN images i ON i.id = f.image_id
            ORDER BY wanted.place""",
        (list(faces),),
    )
    return [
        FaceLine(
            face,
            sha256,
            tuple(map(from_text, paths)),
            (x1, y1, x2, y2),
            tuple(kps),
            round(float(score), 4),
            round(float(quality), 4),
            by,
            taken,
        )
        for face, sha256, paths, x1, y1, x2, y2, kps, score, quality, by, taken in rows
    ]


def vectors_of(connection: Connection, person: UUID, limit: int) -> dict[int, Float32]:
    """Return the embeddings of a person's best faces, by model."""
    rows = connection.execute(
        """SELECT e.model_id, e.embedding
            FROM face_detections f JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.person_id = %s ORDER BY f.quality DESC, f.id LIMIT %s""",
        (person, limit),
        binary=True,
    ).fetchall()
    models = sorted({model for model, _ in rows})
    return {model: np.stack([v.to_numpy() for m, v in rows if m == model]) for model in models}


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """A cluster, and how many of a person's faces are in it."""

    cluster: str
    faces: int


def nearest_people(
    connection: Connection, detector: DetectorRow, vectors: Float32, limit: int, but: UUID | None = None
) -> list[UUID]:
    """Return the active people with the stored centroids nearest to any embedding, except `but`.

    People whose photos are all missing are omitted.
    """
    return connection.scalars(
        # OFFSET 0: sort the similarities, not the vectors, which would be sorted on disk.
        """SELECT id FROM (SELECT p.id, max(q.similarity) AS similarity
            FROM (SELECT q.person_id, -(q.embedding <#> mine.embedding) AS similarity
                    FROM unnest(%s::vector[]) AS mine (embedding) JOIN person_prototypes q
                        ON q.model_id = %s AND q.kind = 'centroid'
                            AND q.person_id IS DISTINCT FROM %s::uuid
                            AND vector_dims(q.embedding) = vector_dims(mine.embedding) OFFSET 0) AS q
                JOIN persons p ON p.id = q.person_id AND p.status = 'active'
            GROUP BY p.id ORDER BY 2 DESC, p.id LIMIT %s) AS near
            WHERE EXISTS (SELECT FROM present_faces f WHERE f.person_id = near.id)
            ORDER BY similarity DESC, id""",
        (list(vectors), detector.model_id, but, limit),
    )


def clusters_of_person(connection: Connection, person: UUID) -> list[OwnCluster]:
    """Return the clusters of a person's faces, the largest share first."""
    rows = connection.execute(
        """SELECT cluster, count(*) FROM present_faces WHERE person_id = %s AND cluster IS NOT NULL
            GROUP BY cluster ORDER BY count(*) DESC, cluster""",
        (person,),
    )
    return [OwnCluster(*row) for row in rows]
