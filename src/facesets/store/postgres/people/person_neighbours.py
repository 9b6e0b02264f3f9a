"""Whom a person resembles, and which clusters their faces are in."""

from dataclasses import dataclass
from uuid import UUID

from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """A cluster, and how many of a person's faces are in it."""

    cluster: str
    faces: int


def nearest_people(connection: Connection, person: UUID, limit: int) -> list[tuple[UUID, float]]:
    """The active people nearest to one, and the similarity of the nearest two of their kept centroids."""
    rows = connection.execute(
        # OFFSET 0: similarities go on, not the vectors, which would be sorted on disk.
        """SELECT p.id, round(max(q.similarity)::numeric, 4)::float8
            FROM (SELECT q.person_id, -(q.embedding <#> mine.embedding) AS similarity
                    FROM person_prototypes mine JOIN person_prototypes q
                        ON q.model_id = mine.model_id AND q.kind = 'centroid'
                            AND q.person_id <> mine.person_id
                            AND vector_dims(q.embedding) = vector_dims(mine.embedding)
                    WHERE mine.person_id = %s AND mine.kind = 'centroid' OFFSET 0) AS q
                JOIN persons p ON p.id = q.person_id AND p.status = 'active'
            GROUP BY p.id ORDER BY 2 DESC, p.id LIMIT %s""",
        (person, limit),
    )
    return rows.fetchall()


def clusters_of_person(connection: Connection, person: UUID) -> list[OwnCluster]:
    """The clusters that a person's faces are in, the largest share first."""
    rows = connection.execute(
        """SELECT cluster, count(*) FROM face_detections WHERE person_id = %s AND cluster IS NOT NULL
            GROUP BY cluster ORDER BY count(*) DESC, cluster""",
        (person,),
    )
    return [OwnCluster(*row) for row in rows]
