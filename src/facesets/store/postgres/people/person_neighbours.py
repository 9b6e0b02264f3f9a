"""Whom a person resembles, and which clusters their faces are in."""

from dataclasses import dataclass
from uuid import UUID

from facesets.records import Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """A cluster, and how many of a person's faces are in it."""

    cluster: str
    faces: int


def nearest_people(
    connection: Connection, detector: DetectorRow, vectors: Float32, limit: int, but: UUID | None = None
) -> list[UUID]:
    """The active people whose kept centroids are nearest to any of some vectors; `but` is none of them.

    Without those all of whose photos are missing.
    """
    return connection.scalars(
        # OFFSET 0: similarities go on, not the vectors, which would be sorted on disk.
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
    """The clusters that a person's faces are in, the largest share first."""
    rows = connection.execute(
        """SELECT cluster, count(*) FROM present_faces WHERE person_id = %s AND cluster IS NOT NULL
            GROUP BY cluster ORDER BY count(*) DESC, cluster""",
        (person,),
    )
    return [OwnCluster(*row) for row in rows]
