"""Unnamed clusters: ids, means, and suggestions for them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step

PREFIX = "unknown_cluster_"
"""Prefix of their ids; a number follows that is never reused."""


@dataclass(frozen=True, slots=True)
class ClusterQuestion:
    """A suggestion that a cluster shows a person.

    Attributes
    ----------
    faces : int
        Number of faces that an answer settles.
    uncertainty : float
        Likelihood, from 0 to 1, that an answer changes something.
    """

    cluster: str
    person: UUID
    similarity: float
    faces: int
    uncertainty: float


def new_numbers(connection: Connection, count: int) -> list[str]:
    """Return new ids, ascending."""
    rows = connection.execute(
        "SELECT nextval('unknown_cluster_numbers') FROM generate_series(1, %s)", (count,)
    ).fetchall()
    return [f"{PREFIX}{number}" for number in sorted(int(number) for (number,) in rows)]


def name_after_people(step: Step, model_id: int, detector_id: int) -> int:
    """Put the faces of people without another cluster into one called after their person.

    This includes faces that this step changed already, in any cluster. Returns the number of changes.
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
    """Replace open suggestions about unnamed clusters; return how many there are.

    Answered suggestions stay, and are not shown again.
    """
    connection.execute(
        """DELETE FROM person_candidates q USING clusters c
            WHERE q.kind = 'cluster' AND q.status = 'pending' AND c.id = q.cluster_id AND c.model_id = %s
                AND (starts_with(c.id, %s) OR NOT EXISTS (
                    SELECT FROM face_detections f WHERE f.cluster = c.id AND f.person_id IS NULL))""",
        (model_id, PREFIX),
    )
    stored = 0
    for each in questions:
        evidence = {"cosine_similarity": round(each.similarity, 4), "faces": each.faces}
        stored += connection.execute(
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
    return stored


def denied_for_clusters(connection: Connection) -> set[tuple[str, UUID]]:
    """Return pairs of clusters and people that a user denied."""
    rows = connection.execute(
        """SELECT q.cluster_id, q.person_id FROM person_candidates q LEFT JOIN steps x ON x.id = q.answered_in
            WHERE q.kind = 'cluster' AND q.status = 'rejected' AND x.undone IS NOT TRUE
            UNION
            SELECT f.cluster, s.person_id FROM face_corrections s JOIN face_detections f ON f.id = s.face_id
            WHERE NOT s.is_person AND f.person_id IS NULL AND f.cluster IS NOT NULL"""
    )
    return {(cluster, person) for cluster, person in rows}


@dataclass(frozen=True, slots=True)
class ClusterMeans:
    """Clusters of unassigned faces.

    Attributes
    ----------
    faces : int64 array of shape (k,)
    first : list of int
        The face with the lowest number of each.
    mean : float32 array of shape (k, d)
        Mean embedding of the faces; not of unit length.
    """

    ids: list[str]
    faces: Int64
    first: list[int]
    mean: Float32


def means_of_clusters(
    connection: Connection, detector: DetectorRow, min_norm: float | None = None
) -> ClusterMeans:
    """Return the mean embedding of each unnamed cluster that is not hidden.

    With `min_norm`, exclude faces whose norm is known to be lower.
    """
    dimension = detector.settings.dimension
    rows: list[tuple[Any, ...]] = connection.execute(
        """SELECT f.cluster, count(*), min(f.id), avg(e.embedding)
            FROM present_faces f JOIN clusters c ON c.id = f.cluster
                JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.person_id IS NULL AND NOT c.hidden AND c.model_id = %s AND vector_dims(e.embedding) = %s
                AND (f.norm < %s::real) IS NOT TRUE
            GROUP BY f.cluster ORDER BY f.cluster""",
        (detector.model_id, dimension, min_norm),
        binary=True,
    ).fetchall()
    return ClusterMeans(
        ids=[row[0] for row in rows],
        faces=np.array([row[1] for row in rows], np.int64),
        first=[int(row[2]) for row in rows],
        mean=np.array([row[3].to_numpy() for row in rows], np.float32).reshape(-1, dimension),
    )


def people_in_one_photo(connection: Connection, pairs: Sequence[tuple[UUID, UUID]]) -> set[int]:
    """Return which of these pairs of people appear in the same photo, by position."""
    numbers = connection.scalars(
        """SELECT n FROM unnest(%s::uuid[], %s::uuid[]) WITH ORDINALITY AS pair (a, b, n)
            WHERE EXISTS (SELECT FROM face_detections f JOIN face_detections g
                ON g.image_id = f.image_id AND g.detector_id = f.detector_id AND g.person_id = b
                WHERE f.person_id = a)""",
        ([a for a, _ in pairs], [b for _, b in pairs]),
    )
    return {int(n) - 1 for n in numbers}
