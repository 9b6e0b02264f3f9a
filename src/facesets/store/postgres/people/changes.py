"""What changed who is who: since a step those whom the later ones are about; and what made no step."""

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from facesets.store.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class ChangedPeople:
    """People, and clusters, that are not as they were."""

    persons: frozenset[UUID]
    clusters: frozenset[str]


# A statement about two faces is about whose they are, and about their clusters.
_PAIRED: LiteralString = """WITH paired AS (SELECT f.person_id, f.cluster FROM step_rows r
        CROSS JOIN LATERAL unnest(string_to_array(r.key, ' ')) AS face (id)
        JOIN face_detections f ON f.id = face.id::bigint
    WHERE r.step_id > %(step)s AND r.in_table = 'said_of_faces')"""
# Of whoever was forgotten no step tells, but what was made of their faces and those of others went with them.
_PERSONS: LiteralString = """
    SELECT person_id FROM step_persons WHERE step_id > %(step)s
    UNION SELECT person_id FROM paired WHERE person_id IS NOT NULL
    UNION SELECT p.id FROM persons p WHERE p.status <> 'merged'
        AND NOT EXISTS (SELECT FROM prototype_sources q WHERE (q.person_id, q.model_id) = (p.id, %(model)s))
        AND EXISTS (SELECT FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            WHERE f.person_id = p.id AND d.model_id = %(model)s)
    LIMIT %(most)s"""
_CLUSTERS: LiteralString = """
    SELECT c.id FROM step_faces s LEFT JOIN face_detections f ON f.id = s.face_id
            CROSS JOIN LATERAL (VALUES (s.cluster_before), (s.cluster_after), (f.cluster)) AS c (id)
        WHERE s.step_id > %(step)s AND c.id IS NOT NULL
    UNION SELECT key FROM step_rows WHERE step_id > %(step)s AND in_table = 'clusters'
    UNION SELECT cluster FROM paired WHERE cluster IS NOT NULL
    LIMIT %(most)s"""


def changed_since(connection: Connection, model_id: int, step: int, *, most: int) -> ChangedPeople | None:
    """Whom steps after one are about, and who lacks what is made of a model's vectors; None for too many."""
    parameters = {"model": model_id, "step": step, "most": most + 1}
    persons = connection.execute(_PAIRED + _PERSONS, parameters).fetchall()
    if len(persons) > most:
        return None
    clusters = connection.execute(_PAIRED + _CLUSTERS, parameters).fetchall()
    if len(clusters) > most:
        return None
    return ChangedPeople(
        frozenset(person for (person,) in persons), frozenset(cluster for (cluster,) in clusters)
    )


def people_since(connection: Connection, step: int) -> tuple[int, list[UUID]]:
    """The latest step, and everybody whom the steps after one are about."""
    latest = connection.scalar("SELECT coalesce(max(id), 0) FROM steps")
    if latest <= step:
        return int(latest), []
    people = connection.scalars("SELECT DISTINCT person_id FROM step_persons WHERE step_id > %s", (step,))
    return int(latest), people


@dataclass(frozen=True, slots=True)
class State:
    """Who is who at a moment, as far as what is kept in memory goes by it.

    Attributes
    ----------
    step : int
        The number of the latest step; 0 before the first.
    others : int
        Another one after each change that made no step: photos that came or went, and SQL.
    """

    step: int
    others: int


def current_state(connection: Connection) -> State:
    """The state that all later statements see at least: to be read before what is kept."""
    row = connection.one(
        """SELECT (SELECT coalesce(max(id), 0) FROM steps),
            (SELECT coalesce(sum(changed_in::text::bigint), 0)::bigint FROM changes_without_step)"""
    )
    return State(int(row[0]), int(row[1]))
