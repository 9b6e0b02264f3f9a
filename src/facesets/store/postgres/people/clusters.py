"""Clusters made by algorithms: rows of `clusters`, their faces, and their centres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

import numpy as np

from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT4, INT8, copy_in, copy_out, gathered, values, vector
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.steps import Step, one_at_a_time

NONE = -1


@dataclass(frozen=True, slots=True)
class FaceClusters:
    """The cluster of each of some faces: `number` (n,) indexes `ids`; -1 for none."""

    number: Int64
    ids: list[str]


@dataclass(frozen=True, slots=True)
class ClusterBirth:
    """How a cluster emerged from a saved run of HDBSCAN: the run, lambda at birth, and lifetime."""

    run: int
    density: float
    persistence: float
    stability: float


def clusters_of(connection: Connection, detector: DetectorRow, face_ids: Int64) -> FaceClusters:
    """Return the clusters of these faces (ascending numbers)."""
    ids = connection.scalars(
        """SELECT DISTINCT cluster FROM face_detections
            WHERE detector_id = %s AND cluster IS NOT NULL ORDER BY cluster""",
        (detector.id,),
    )
    blocks = copy_out(
        connection,
        """COPY (SELECT f.id, (c.number - 1)::int FROM face_detections f
                JOIN unnest(%(ids)s::text[]) WITH ORDINALITY AS c (id, number) ON c.id = f.cluster
                WHERE f.detector_id = %(detector)s ORDER BY f.id) TO STDOUT (FORMAT BINARY)""",
        {"ids": ids, "detector": detector.id},
        {"id": INT8, "number": INT4},
    )
    found = gathered(blocks, [("id", np.int64), ("number", np.int64)])
    number = np.full(len(face_ids), NONE, np.int64)
    place = np.searchsorted(face_ids, found["id"])
    there = place < len(face_ids)
    there[there] = face_ids[place[there]] == found["id"][there]
    number[place[there]] = found["number"][there]
    return FaceClusters(number, ids)


def store_clusters(step: Step, model_id: int, births: Mapping[str, ClusterBirth | None]) -> None:
    """Create these clusters, or update how existing ones emerged; verification stays."""
    ids = list(births)
    known = [births[each] for each in ids]
    step.connection.execute(
        """INSERT INTO clusters (id, model_id, hdbscan_run_id, birth_lambda, persistence, stability, epsilon)
            SELECT id, %(model)s, run, density, persistence, stability, 1 / density
            FROM unnest(%(ids)s::text[], %(runs)s::bigint[], %(density)s::real[], %(persistence)s::real[],
                %(stability)s::real[]) AS made (id, run, density, persistence, stability)
            ON CONFLICT (id) DO UPDATE SET hdbscan_run_id = excluded.hdbscan_run_id,
                birth_lambda = excluded.birth_lambda, persistence = excluded.persistence,
                stability = excluded.stability, epsilon = excluded.epsilon
            WHERE excluded.hdbscan_run_id IS NOT NULL""",
        {
            "model": model_id,
            "ids": ids,
            "runs": [None if each is None else each.run for each in known],
            "density": [None if each is None else each.density for each in known],
            "persistence": [None if each is None else each.persistence for each in known],
            "stability": [None if each is None else each.stability for each in known],
        },
    )


def put_into(step: Step, face_ids: Int64, number: Int64, ids: Sequence[str]) -> int:
    """Put faces into clusters, or out of them for the number -1; return how many changed."""
    if not len(face_ids):
        return 0
    connection = step.connection
    connection.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS grouped (face_id bigint, number int) ON COMMIT DROP"
    )
    connection.execute("TRUNCATE grouped")
    copy_in(
        connection,
        "COPY grouped (face_id, number) FROM STDIN (FORMAT BINARY)",
        {"face_id": INT8, "number": INT4},
        {"face_id": face_ids, "number": number},
    )
    connection.execute("ANALYZE grouped")
    return connection.execute(
        """UPDATE face_detections f SET cluster = (%(ids)s::text[])[g.number + 1]
            FROM grouped g WHERE g.face_id = f.id
                AND f.cluster IS DISTINCT FROM (%(ids)s::text[])[g.number + 1]""",
        {"ids": list(ids)},
    ).rowcount


def drop_empty(step: Step, model_id: int) -> int:
    """Remove clusters without faces; return how many."""
    return step.connection.execute(
        """DELETE FROM clusters c WHERE c.model_id = %s
            AND NOT EXISTS (SELECT FROM face_detections f WHERE f.cluster = c.id)""",
        (model_id,),
    ).rowcount


def verify(step: Step, cluster: str, by: str) -> None:
    """Mark a cluster as verified by a user, if it has a row."""
    step.connection.execute(
        """UPDATE clusters SET verified_at = now(), verified_by = %s
            WHERE id = %s AND verified_at IS NULL""",
        (by, cluster),
    )


def hide(step: Step, cluster: str) -> None:
    """Hide a cluster, and create its row if it has none."""
    step.connection.execute(
        """INSERT INTO clusters (id, model_id, hidden)
            SELECT %(cluster)s, d.model_id, true
            FROM face_detections f JOIN detectors d ON d.id = f.detector_id
            WHERE f.cluster = %(cluster)s LIMIT 1
            ON CONFLICT (id) DO UPDATE SET hidden = true""",
        {"cluster": cluster},
    )


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """A stored cluster; its medoid is the one computed last."""

    birth_lambda: float | None
    persistence: float | None
    stability: float | None
    epsilon: float | None
    medoid: int | None
    verified: str


def find_cluster(connection: Connection, cluster: str) -> ClusterRow | None:
    """Return the row of a cluster, if it has one."""
    row = connection.execute(
        """SELECT c.birth_lambda, c.persistence, c.stability, c.epsilon, k.medoid,
                coalesce(to_char(c.verified_at, 'YYYY-MM-DD') || ' by ' || coalesce(c.verified_by, ''), '')
            FROM clusters c LEFT JOIN cluster_centers k ON k.cluster_id = c.id WHERE c.id = %s""",
        (cluster,),
    ).fetchone()
    return None if row is None else ClusterRow(*row)


@dataclass(frozen=True, slots=True)
class Centers:
    """The centroids of clusters.

    Attributes
    ----------
    faces : int64 array of shape (k,)
        Number of faces in each.
    centroid : float32 array of shape (k, d)
        Of unit length, or zeros.
    """

    ids: list[str]
    faces: Int64
    centroid: Float32


_VERSION = 1
"""Increase it when the computation of centres changes; all are then recomputed."""
_STALE: LiteralString = """
    WITH now AS (
        SELECT cluster AS id, count(*)::int AS faces,
            bit_xor(hashint8extended(id, %(version)s)) AS fingerprint
        FROM face_detections
        WHERE cluster IS NOT NULL AND detector_id IN (SELECT id FROM detectors WHERE model_id = %(model)s)
            AND (%(ids)s::text[] IS NULL OR cluster = ANY(%(ids)s::text[]))
        GROUP BY cluster)
    SELECT c.id, coalesce(n.faces, 0), coalesce(n.fingerprint, 0) FROM clusters c
    LEFT JOIN now n ON n.id = c.id LEFT JOIN cluster_centers k ON k.cluster_id = c.id
    WHERE c.model_id = %(model)s AND (%(ids)s::text[] IS NULL OR c.id = ANY(%(ids)s::text[]))
        AND (coalesce(n.faces, 0) IS DISTINCT FROM coalesce(k.faces, 0)
            OR coalesce(n.fingerprint, 0) IS DISTINCT FROM coalesce(k.fingerprint, 0))
    ORDER BY c.id"""


def fresh_centers(connection: Connection, detector: DetectorRow, ids: Sequence[str] | None = None) -> Centers:
    """Return the centres of clusters, after recomputing stale ones.

    `ids` are the wanted clusters, by default all of this recognizer. A cluster without faces has no centre.
    """
    refresh_centers(connection, detector, ids)
    dimension = detector.settings.dimension
    wanted = {"model": detector.model_id, "ids": None if ids is None else list(ids), "dimension": dimension}
    chosen: LiteralString = """FROM cluster_centers k JOIN clusters c ON c.id = k.cluster_id
        WHERE c.model_id = %(model)s AND vector_dims(k.centroid) = %(dimension)s
            AND (%(ids)s::text[] IS NULL OR c.id = ANY(%(ids)s::text[])) ORDER BY c.id"""
    names = connection.scalars("SELECT c.id " + chosen, wanted)
    blocks = copy_out(
        connection,
        "COPY (SELECT k.faces, k.centroid " + chosen + ") TO STDOUT (FORMAT BINARY)",
        wanted,
        {"faces": INT4, "centroid": vector(dimension)},
    )
    columns = gathered(blocks, [("faces", np.int64), ("centroid", np.float32)])
    return Centers(names, columns["faces"], columns["centroid"].reshape(-1, dimension))


def refresh_centers(connection: Connection, detector: DetectorRow, ids: Sequence[str] | None = None) -> int:
    """Recompute stale centres; return how many."""
    wanted = {
        "model": detector.model_id,
        "version": _VERSION,
        "ids": None if ids is None else list(ids),
    }
    if not connection.execute(_STALE, wanted).fetchall():
        return 0
    # A step may refresh within it: with one lock, the two cannot deadlock.
    one_at_a_time(connection)
    stale = connection.execute(_STALE, wanted).fetchall()
    connection.execute(
        "DELETE FROM cluster_centers WHERE cluster_id = ANY(%s::text[])", ([each for each, _, _ in stale],)
    )
    _make(connection, detector, [(each, faces, mark) for each, faces, mark in stale if faces])
    return len(stale)


def _make(connection: Connection, detector: DetectorRow, stale: Sequence[tuple[str, int, int]]) -> None:
    # The package imports SciPy, which is not needed if nothing is stale.
    from facesets.clustering.centroids import centroids, medoids

    if not stale:
        return
    dimension = detector.settings.dimension
    blocks = list(
        copy_out(
            connection,
            """COPY (SELECT f.id, (c.number - 1)::int, e.embedding FROM face_detections f
                JOIN unnest(%(ids)s::text[]) WITH ORDINALITY AS c (id, number) ON c.id = f.cluster
                JOIN face_embeddings e ON e.face_id = f.id
                WHERE e.model_id = %(model)s AND vector_dims(e.embedding) = %(dimension)s ORDER BY f.id)
                TO STDOUT (FORMAT BINARY)""",
            {"ids": [each for each, _, _ in stale], "model": detector.model_id, "dimension": dimension},
            {"id": INT8, "number": INT4, "embedding": vector(dimension)},
        )
    )
    face_id = np.concatenate([rows["id"] for rows in blocks]).astype(np.int64)
    number = np.concatenate([rows["number"] for rows in blocks]).astype(np.int64)
    embedding = np.concatenate([values(rows, "embedding") for rows in blocks]).astype(np.float32)
    centre, medoid = centroids(embedding, number), medoids(embedding, number)
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO cluster_centers (cluster_id, faces, fingerprint, centroid, medoid, medoid_faces)
                VALUES (%s, %s, %s, %s, %s, %s)""",
            [
                (each, faces, mark, centre[row], int(face_id[medoid[row]]), faces)
                for row, (each, faces, mark) in enumerate(stale)
                if row < len(centre) and medoid[row] >= 0
            ],
        )
