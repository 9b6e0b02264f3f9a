"""Clusters that are nobody yet, and the questions whether they are somebody."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.steps import Step

PREFIX = "unknown_cluster_"
"""How their ids begin; a number follows that is never used twice."""


@dataclass(frozen=True, slots=True)
class ClusterQuestion:
    """Whether a cluster is a person.

    Attributes
    ----------
    faces : int
        That an answer settles.
    uncertainty : float
        How likely, from 0 to 1, an answer changes something.
    """

    cluster: str
    person: UUID
    similarity: float
    faces: int
    uncertainty: float


def new_numbers(connection: Connection, count: int) -> list[str]:
    """So many new ids, ascending."""
    rows = connection.execute(
        "SELECT nextval('unknown_cluster_numbers') FROM generate_series(1, %s)", (count,)
    ).fetchall()
    return [f"{PREFIX}{number}" for number in sorted(int(number) for (number,) in rows)]


def name_after_people(step: Step, model_id: int, detector_id: int) -> int:
    """Let faces of people who have no other cluster be in the one that is called after their person.

    So are the faces that this step touched already, whatever cluster they were in. Returns how many changed.
    """
    connection = step.connection
    rows = connection.execute(
        """SELECT f.id, 'person_' || f.person_id FROM face_detections f
            WHERE f.detector_id = %(detector)s AND f.person_id IS NOT NULL
                AND f.cluster IS DISTINCT FROM 'person_' || f.person_id
                AND (f.cluster IS NULL OR f.cluster LIKE 'person\\_%%'
                    OR f.id IN (SELECT face_id FROM step_faces WHERE step_id = %(step)s))""",
        {"detector": detector_id, "step": step.id},
    ).fetchall()
    if not rows:
        return 0
    ids = sorted({cluster for _, cluster in rows})
    connection.execute(
        "INSERT INTO clusters (id, model_id) SELECT unnest(%s::text[]), %s ON CONFLICT DO NOTHING",
        (ids, model_id),
    )
    faces = [face for face, _ in rows]
    connection.execute(
        "UPDATE face_detections SET cluster = 'person_' || person_id WHERE id = ANY(%s::bigint[])", (faces,)
    )
    return len(faces)


def replace_questions(connection: Connection, model_id: int, questions: Sequence[ClusterQuestion]) -> int:
    """Keep these questions in place of those of unknown clusters that nobody answered; returns how many.

    What was answered stays as it was answered, and is not asked again.
    """
    connection.execute(
        """DELETE FROM person_candidates q USING clusters c
            WHERE q.kind = 'cluster' AND q.status = 'pending' AND c.id = q.cluster_id AND c.model_id = %s
                AND (starts_with(c.id, %s) OR NOT EXISTS (
                    SELECT FROM face_detections f WHERE f.cluster = c.id AND f.person_id IS NULL))""",
        (model_id, PREFIX),
    )
    kept = 0
    for each in questions:
        evidence = {"cosine_similarity": round(each.similarity, 4), "faces": each.faces}
        kept += connection.execute(
            """INSERT INTO person_candidates
                    (kind, person_id, cluster_id, cosine_similarity, faces, uncertainty, evidence)
                SELECT 'cluster', p.id, c.id, %s, %s, %s, %s FROM persons p, clusters c
                WHERE p.id = %s AND c.id = %s ON CONFLICT DO NOTHING""",
            (
                each.similarity,
                each.faces,
                each.uncertainty,
                json.dumps(evidence),
                each.person,
                each.cluster,
            ),
        ).rowcount
    return kept


def rejected_for_clusters(connection: Connection) -> set[tuple[str, UUID]]:
    """Clusters and people about whom a human answered that they are not them."""
    rows = connection.execute(
        """SELECT q.cluster_id, q.person_id FROM person_candidates q LEFT JOIN steps x ON x.id = q.answered_in
            WHERE q.kind = 'cluster' AND q.status = 'rejected' AND x.undone IS NOT TRUE
            UNION
            SELECT f.cluster, s.person_id FROM said_faces s JOIN face_detections f ON f.id = s.face_id
            WHERE NOT s.is_person AND f.person_id IS NULL AND f.cluster IS NOT NULL"""
    )
    return {(cluster, person) for cluster, person in rows}
