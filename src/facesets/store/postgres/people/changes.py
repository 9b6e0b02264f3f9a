"""Who may be another than before some step: those whom the steps since are about."""

from dataclasses import dataclass
from uuid import UUID

from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class Changed:
    """People, and clusters, that are not as they were."""

    persons: frozenset[UUID]
    clusters: frozenset[str]


def changed_since(connection: Connection, step: int, *, most: int) -> Changed | None:
    """Whom steps after one are about; None where they are more than so many."""
    persons = connection.execute(
        "SELECT DISTINCT person_id FROM step_persons WHERE step_id > %s LIMIT %s", (step, most + 1)
    ).fetchall()
    if len(persons) > most:
        return None
    clusters = connection.execute(
        """SELECT DISTINCT c.id FROM step_faces s LEFT JOIN face_detections f ON f.id = s.face_id
                CROSS JOIN LATERAL (VALUES (s.cluster_before), (s.cluster_after), (f.cluster)) AS c (id)
            WHERE s.step_id > %s AND c.id IS NOT NULL LIMIT %s""",
        (step, most + 1),
    ).fetchall()
    if len(clusters) > most:
        return None
    return Changed(frozenset(person for (person,) in persons), frozenset(cluster for (cluster,) in clusters))
