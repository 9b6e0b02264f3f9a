"""What questions about people and clusters compare: how many faces each has, and means of clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.models import DetectorRow


def faces_per_person(connection: Connection, detector: DetectorRow, persons: Sequence[UUID]) -> Int64:
    """How many faces each had when their prototypes were made."""
    counted: dict[UUID, int] = dict(
        connection.execute(
            """SELECT person_id, faces FROM prototype_sources
                WHERE model_id = %s AND person_id = ANY(%s::uuid[])""",
            (detector.model_id, list(persons)),
        ).fetchall()
    )
    return np.array([counted.get(person, 0) for person in persons], np.int64)


@dataclass(frozen=True, slots=True)
class ClusterMeans:
    """Clusters whose faces have no person.

    Attributes
    ----------
    faces : int64 array of shape (k,)
    first : list of int
        Of each the face of the lowest number.
    mean : float32 array of shape (k, d)
        Of their faces; not of unit length.
    """

    ids: list[str]
    faces: Int64
    first: list[int]
    mean: Float32


def means_of_clusters(
    connection: Connection, detector: DetectorRow, least_norm: float | None = None
) -> ClusterMeans:
    """The mean face of each cluster that is nobody yet and is not hidden.

    With `least_norm` without faces whose norm is known to be lower.
    """
    dimension = detector.settings.dimension
    rows: list[tuple[Any, ...]] = connection.execute(
        """SELECT f.cluster, count(*), min(f.id), avg(e.embedding)
            FROM present_faces f JOIN clusters c ON c.id = f.cluster
                JOIN face_embeddings e ON e.face_id = f.id
            WHERE f.person_id IS NULL AND NOT c.hidden AND c.model_id = %s AND vector_dims(e.embedding) = %s
                AND (f.norm < %s::real) IS NOT TRUE
            GROUP BY f.cluster ORDER BY f.cluster""",
        (detector.model_id, dimension, least_norm),
        binary=True,
    ).fetchall()
    return ClusterMeans(
        ids=[row[0] for row in rows],
        faces=np.array([row[1] for row in rows], np.int64),
        first=[int(row[2]) for row in rows],
        mean=np.array([row[3].to_numpy() for row in rows], np.float32).reshape(-1, dimension),
    )
