"""The faces of one person, some at a time: by date, or those least like the others first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString
from uuid import UUID

from facesets.store.postgres.connection import Connection

Order = Literal["newest", "oldest", "far"]


@dataclass(frozen=True, slots=True)
class ShownFace:
    """One face of a person.

    Attributes
    ----------
    taken : datetime or None
        When its photo was taken, by the camera's clock.
    distance : float or None
        Cosine distance to the mean of the person's faces, where the order goes by it.
    """

    id: int
    sha256: str
    taken: datetime | None
    assigned_by: str
    distance: float | None


@dataclass(frozen=True, slots=True)
class Era:
    """Years in which a person looks alike: first and last."""

    first: int
    last: int


def shown_faces(
    connection: Connection, person: UUID, order: Order, *, limit: int, after: int | None = None
) -> list[ShownFace]:
    """Faces of a person in an order, from the one that comes after a face.

    A face without a date comes last, whatever the direction; so does one that cannot be compared.
    """
    rows = connection.execute(
        _ORDERS[order],
        {"person": person, "after": after, "limit": limit},
    )
    return [ShownFace(*row) for row in rows]


# The order takes no more than an index of faces has, and when photos were taken; all else is looked up for
# the few that are shown. OFFSET 0: photos are looked up one by one, rather than all of the library's read for
# a person of many.
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
# All vectors by one scan of their index, which takes half as long as to look each up.
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
    """The eras that a person's prototypes tell apart; none for somebody whose photos span few years."""
    rows = connection.execute(
        """SELECT DISTINCT extract(year FROM taken_from)::int, extract(year FROM taken_until)::int
            FROM person_prototypes WHERE person_id = %s AND kind = 'centroid' AND taken_from IS NOT NULL
            ORDER BY 1, 2""",
        (person,),
    )
    return [Era(*row) for row in rows]


def spread_of(connection: Connection, person: UUID) -> float | None:
    """Mean cosine distance of a person's best faces to their mean; None without vectors."""
    spread = connection.scalar(
        """SELECT 1 - vector_norm(avg(e.embedding)) FROM (
                SELECT f.id FROM present_faces f
                WHERE f.person_id = %s ORDER BY f.quality DESC, f.id LIMIT 2000) AS best
            JOIN face_embeddings e ON e.face_id = best.id
            GROUP BY e.model_id UNION ALL SELECT NULL LIMIT 1""",
        (person,),
    )
    return None if spread is None else round(spread, 4)
