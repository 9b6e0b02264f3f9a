"""Queries for maintenance: clusters with means, empty and left-over ones, and counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, values, vector
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step

_SHORTEST = 1e-6
SINGLE = "single_"
"""Prefix of clusters of left-over faces; the number of the face follows."""


@dataclass(frozen=True, slots=True)
class Node:
    """Faces of one cluster and one person; either may be missing, not both.

    Attributes
    ----------
    is_vouched : bool
        A user named the person, or confirmed a face of theirs.
    is_verified : bool
        A user verified the cluster.
    """

    number: int
    cluster: str | None
    person: UUID | None
    faces: int
    is_vouched: bool
    is_verified: bool


@dataclass(frozen=True, slots=True)
class Nodes:
    """Clusters that may become people, and pairs of them that must stay apart.

    Attributes
    ----------
    nodes : list of Node
        Ordered by their oldest face.
    centroid : float32 array of shape (k, d)
        Means of unit vectors; not of unit length.
    apart : int64 array of shape (c, 2)
        Rows of these.
    """

    nodes: list[Node]
    centroid: Float32
    apart: Int64


_KEY: LiteralString = "coalesce(f.cluster, '') || ' ' || coalesce(f.person_id::text, '')"


def load_nodes(connection: Connection, detector: DetectorRow, *, same_image_ok: bool = False) -> Nodes:
    """Read the visible clusters of a detector, with the means of their embeddings.

    Unclustered faces of a person count as one cluster. Two are apart if corrections keep them or their
    people apart, or if one image shows both.
    """
    connection.execute(
        b"""CREATE TEMPORARY TABLE nodes ON COMMIT DROP AS
            SELECT row_number() OVER (ORDER BY min(f.id)) - 1 AS number, """
        + _KEY.encode()
        + b""" AS key, f.cluster, f.person_id, count(*) AS faces,
                EXISTS (SELECT FROM person_names n WHERE n.person_id = f.person_id)
                    OR EXISTS (SELECT FROM person_corrections s WHERE s.person_id = f.person_id)
                    OR EXISTS (SELECT FROM face_corrections s WHERE s.person_id = f.person_id AND s.is_person)
                    OR EXISTS (SELECT FROM prototype_corrections s WHERE s.person_id = f.person_id)
                    OR EXISTS (SELECT FROM birth_corrections s WHERE s.person_id = f.person_id)
                    AS is_vouched,
                bool_or(c.verified_at IS NOT NULL) AS is_verified
            FROM comparable_faces f LEFT JOIN clusters c ON c.id = f.cluster
                LEFT JOIN persons p ON p.id = f.person_id
            WHERE f.detector_id = %s AND (f.cluster IS NOT NULL OR f.person_id IS NOT NULL)
                AND NOT coalesce(c.hidden, false) AND coalesce(p.status, 'active') = 'active'
            GROUP BY f.cluster, f.person_id""",
        (detector.id,),
    )
    connection.execute(
        b"""CREATE TEMPORARY TABLE node_faces ON COMMIT DROP AS
            SELECT f.id, f.image_id, n.number FROM comparable_faces f JOIN nodes n ON n.key = """
        + _KEY.encode()
        + b" WHERE f.detector_id = %s",
        (detector.id,),
    )
    connection.execute("CREATE INDEX ON node_faces (id)")
    connection.execute("CREATE INDEX ON node_faces (number)")
    connection.execute("ANALYZE nodes, node_faces")
    rows = connection.execute(
        "SELECT number, cluster, person_id, faces, is_vouched, is_verified FROM nodes ORDER BY number"
    )
    nodes = [Node(*row) for row in rows]
    centroid = _means(connection, detector, len(nodes))
    apart = [(a, b) for a, b in connection.execute(_APART)]
    if not same_image_ok:
        apart += [(a, b) for a, b in connection.execute(_IN_ONE_IMAGE)]
    # Faces without an embedding are omitted.
    sound = np.linalg.norm(centroid, axis=1) > _SHORTEST
    row = np.where(sound, np.cumsum(sound) - 1, -1)
    ends = row[np.array(apart, np.int64).reshape(-1, 2)]
    return Nodes([nodes[i] for i in np.flatnonzero(sound)], centroid[sound], ends[(ends >= 0).all(axis=1)])


def _means(connection: Connection, detector: DetectorRow, count: int) -> Float32:
    dimension = detector.settings.dimension
    means = np.zeros((count, dimension), np.float32)
    blocks = copy_out(
        connection,
        """COPY (SELECT n.number, avg(e.embedding)
            FROM node_faces n JOIN face_embeddings e ON e.face_id = n.id
            WHERE e.model_id = %(model)s AND vector_dims(e.embedding) = %(dimension)s GROUP BY n.number)
            TO STDOUT (FORMAT BINARY)""",
        {"model": detector.model_id, "dimension": dimension},
        {"number": INT8, "mean": vector(dimension)},
    )
    for rows in blocks:
        means[rows["number"].astype(np.int64)] = values(rows, "mean")
    return means


_APART: LiteralString = """
    SELECT a.number, b.number FROM face_pair_corrections s JOIN node_faces a ON a.id = s.face_a
        JOIN node_faces b ON b.id = s.face_b WHERE NOT s.same AND a.number <> b.number
    UNION SELECT f.number, n.number FROM face_corrections s JOIN node_faces f ON f.id = s.face_id
        JOIN nodes n ON n.person_id = s.person_id WHERE NOT s.is_person AND f.number <> n.number
    UNION SELECT a.number, b.number FROM person_pair_corrections s JOIN nodes a ON a.person_id = s.person_a
        JOIN nodes b ON b.person_id = s.person_b"""
_IN_ONE_IMAGE: LiteralString = """
    SELECT DISTINCT a.number, b.number FROM node_faces a JOIN node_faces b ON b.image_id = a.image_id
    WHERE a.number < b.number"""


def faces_of_nodes(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Return the faces of some of the nodes read in this transaction."""
    return connection.scalars(
        "SELECT id FROM node_faces WHERE number = ANY(%s::bigint[]) ORDER BY id", (list(numbers),)
    )


def nodes_of_faces(connection: Connection, faces: Sequence[int]) -> dict[int, int]:
    """Return the nodes, read in this transaction, of faces that are in one."""
    rows = connection.execute(
        "SELECT id, number FROM node_faces WHERE id = ANY(%s::bigint[])", (list(faces),)
    )
    return {int(face): int(number) for face, number in rows}


def all_faces_of_cluster(connection: Connection, cluster: str) -> list[int]:
    """Return all faces of a cluster, assigned or not."""
    return connection.scalars("SELECT id FROM face_detections WHERE cluster = %s ORDER BY id", (cluster,))


def set_cluster(step: Step, faces: Sequence[int], cluster: str) -> None:
    """Put faces into a cluster."""
    step.connection.execute(
        "UPDATE face_detections SET cluster = %s WHERE id = ANY(%s::bigint[])", (cluster, list(faces))
    )


def empty_clusters(connection: Connection) -> list[str]:
    """Return clusters without a face."""
    return connection.scalars(
        """SELECT id FROM clusters c WHERE NOT EXISTS (SELECT FROM face_detections f WHERE f.cluster = c.id)
            ORDER BY id"""
    )


def empty_persons(connection: Connection) -> list[UUID]:
    """Return unnamed people without faces, corrections, or people merged into them."""
    return connection.scalars(
        """SELECT id FROM persons p WHERE p.status <> 'merged'
            AND NOT EXISTS (SELECT FROM face_detections f WHERE f.person_id = p.id)
            AND NOT EXISTS (SELECT FROM person_names n WHERE n.person_id = p.id)
            AND NOT EXISTS (SELECT FROM persons q WHERE q.merged_into_id = p.id)
            AND NOT EXISTS (SELECT FROM person_corrections s WHERE s.person_id = p.id)
            AND NOT EXISTS (SELECT FROM face_corrections s WHERE s.person_id = p.id)
            AND NOT EXISTS (SELECT FROM person_pair_corrections s WHERE p.id IN (s.person_a, s.person_b))
            AND NOT EXISTS (SELECT FROM prototype_corrections s WHERE s.person_id = p.id)
            AND NOT EXISTS (SELECT FROM birth_corrections s WHERE s.person_id = p.id)
            ORDER BY id"""
    )


def delete_clusters(step: Step, names: Sequence[str]) -> None:
    """Delete clusters; their faces, if any, keep their people."""
    step.connection.execute("DELETE FROM clusters WHERE id = ANY(%s)", (list(names),))


def delete_persons(step: Step, persons: Sequence[UUID]) -> None:
    """Delete people without names and faces."""
    step.connection.execute("DELETE FROM persons WHERE id = ANY(%s::uuid[])", (list(persons),))


def left_over(connection: Connection, days: int) -> list[tuple[int, int]]:
    """Return faces that are unassigned and unclustered for at least some days, with their models."""
    rows = connection.execute(
        """SELECT f.id, d.model_id FROM present_faces f JOIN detectors d ON d.id = f.detector_id
            LEFT JOIN unassigned_faces u ON u.face_id = f.id
            WHERE f.person_id IS NULL AND f.cluster IS NULL
                AND coalesce(u.since, f.created_at) <= now() - make_interval(days => %s)
            ORDER BY f.id""",
        (days,),
    )
    return [(int(face), int(model)) for face, model in rows]


def make_singles(step: Step, faces: Sequence[tuple[int, int]]) -> None:
    """Make a cluster of each of these faces, given with the numbers of their models."""
    ids = [face for face, _ in faces]
    step.connection.execute(
        """INSERT INTO clusters (id, model_id)
            SELECT %s || face, model FROM unnest(%s::bigint[], %s::smallint[]) AS s (face, model)
            ON CONFLICT DO NOTHING""",
        (SINGLE, ids, [model for _, model in faces]),
    )
    step.connection.execute(
        "UPDATE face_detections SET cluster = %s || id WHERE id = ANY(%s::bigint[])", (SINGLE, ids)
    )


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """Counts that describe the state of clustering."""

    total_clusters: int
    empty_clusters: int
    clusters_without_centroids: int
    clusters_without_medoids: int
    avg_cluster_size: float
    min_cluster_size: int
    max_cluster_size: int
    total_faces: int
    unclustered_faces: int
    must_link_count: int
    cannot_link_count: int
    verified_clusters: int
    unassigned_pool_size: int


def library_health(connection: Connection) -> ClusterHealth:
    """Return these counts; a person's unclustered faces count as one cluster."""
    clusters = connection.one(
        """WITH sizes AS (SELECT coalesce(cluster, 'person_' || person_id) AS id, count(*) AS faces
                    FROM face_detections WHERE cluster IS NOT NULL OR person_id IS NOT NULL GROUP BY 1),
                every AS (SELECT coalesce(s.id, c.id) AS id, coalesce(s.faces, 0) AS faces,
                        c.id IS NOT NULL AS has_row, c.verified_at
                    FROM sizes s FULL JOIN clusters c ON c.id = s.id)
            SELECT count(*), count(*) FILTER (WHERE e.faces = 0),
                count(*) FILTER (WHERE e.has_row AND e.faces > 0 AND t.cluster_id IS NULL),
                count(*) FILTER (WHERE e.has_row AND e.faces > 0 AND t.medoid IS NULL),
                coalesce(round(avg(e.faces) FILTER (WHERE e.faces > 0), 2), 0)::float8,
                coalesce(min(e.faces) FILTER (WHERE e.faces > 0), 0), coalesce(max(e.faces), 0),
                count(*) FILTER (WHERE e.verified_at IS NOT NULL)
            FROM every e LEFT JOIN cluster_centers t ON t.cluster_id = e.id"""
    )
    faces = connection.one(
        """SELECT count(*), count(*) FILTER (WHERE person_id IS NULL AND cluster IS NULL),
                count(*) FILTER (WHERE person_id IS NULL AND (cluster IS NULL OR cluster NOT LIKE %s))
            FROM present_faces""",
        (SINGLE.replace("_", "\\_") + "%",),
    )
    corrections = connection.one(
        """SELECT (SELECT count(*) FROM face_pair_corrections WHERE same)
                + (SELECT count(*) FROM face_corrections WHERE is_person),
            (SELECT count(*) FROM face_pair_corrections WHERE NOT same)
                + (SELECT count(*) FROM face_corrections WHERE NOT is_person)
                + (SELECT count(*) FROM person_pair_corrections)"""
    )
    counts = (*clusters[:7], *faces[:2], *corrections, clusters[7], faces[2])
    return ClusterHealth(*counts)


@dataclass(frozen=True, slots=True)
class TableHealth:
    """Estimated rows of a table, deleted rows, and broken indexes."""

    rows: int
    dead_rows: int
    broken_indexes: int


def analyze(connection: Connection) -> TableHealth:
    """Update the planner's statistics of all tables; outside of a transaction."""
    connection.execute("ANALYZE")
    return TableHealth(
        *connection.one(
            """SELECT coalesce(sum(n_live_tup), 0)::bigint, coalesce(sum(n_dead_tup), 0)::bigint,
                    (SELECT count(*) FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
                        JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE NOT x.indisvalid AND n.nspname = current_schema())
                FROM pg_stat_user_tables WHERE schemaname = current_schema()"""
        )
    )
