"""What a database still holds of somebody: vectors near theirs, and their names however they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import numpy as np
from psycopg import sql

from facesets.records import Bool, Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, values, vector
from facesets.store.postgres.people.face_vectors import FaceVectors

_TEXTS = ("text", "json", "jsonb", "character varying", "ARRAY")
_AT_ONCE = 4096
WITHOUT_KEYS: LiteralString = """regexp_replace({}::text, '"[a-z0-9]+(_[a-z0-9]+)+" ?:', '', 'g')"""
"""A JSON column without those keys that are words of the program's: `max_faces` does not name Max."""
_BYTES_COMPARED = 64
"""Of the raw form of a vector: no other begins with the same sixteen numbers."""


@dataclass(frozen=True, slots=True)
class FaceOwner:
    """Whose a face is; no name for an unassigned one, no person for one of no person at all."""

    person: str
    name: str


def near_faces(connection: Connection, theirs: FaceVectors, max_cosine_distance: float) -> list[int]:
    """Faces whose vectors are within a cosine distance of one of some vectors, themselves included."""
    if not len(theirs.face_id):
        return []
    dimension = theirs.embedding.shape[1]
    found: list[int] = []
    blocks = copy_out(
        connection,
        """COPY (SELECT face_id, embedding FROM face_embeddings
            WHERE model_id = %(model)s AND vector_dims(embedding) = %(dimension)s)
            TO STDOUT (FORMAT BINARY)""",
        {"model": theirs.model, "dimension": dimension},
        {"face_id": INT8, "embedding": vector(dimension)},
    )
    for rows in blocks:
        near = is_near(values(rows, "embedding"), theirs.embedding, max_cosine_distance)
        found += rows["face_id"].astype(np.int64)[near].tolist()
    return sorted(found)


def is_near(vectors: Float32, theirs: Float32, max_cosine_distance: float) -> Bool:
    """Which vectors are within a cosine distance of one of `theirs`; all of unit length."""
    near = np.zeros(len(vectors), bool)
    for start in range(0, len(theirs), _AT_ONCE):
        near |= (vectors @ theirs[start : start + _AT_ONCE].T).max(axis=1) >= 1 - max_cosine_distance
    return near


def owners(connection: Connection, faces: Sequence[int]) -> dict[int, FaceOwner]:
    """Whose some faces are."""
    rows = connection.execute(
        """SELECT f.id, coalesce(f.person_id::text, ''), coalesce((SELECT n.name FROM person_names n
                WHERE n.person_id = f.person_id ORDER BY n.id LIMIT 1), '')
            FROM face_detections f WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return {int(face): FaceOwner(person, name) for face, person, name in rows}


def near_averages(
    connection: Connection, theirs: FaceVectors, max_cosine_distance: float
) -> list[tuple[str, str]]:
    """Vectors of people and clusters near some vectors: what it is, and the person or cluster."""
    rows = connection.execute(
        """SELECT 'person', person_id::text, embedding FROM person_prototypes
                WHERE model_id = %(model)s
            UNION ALL SELECT 'cluster', cluster_id, centroid FROM cluster_centers
                JOIN clusters c ON c.id = cluster_id WHERE c.model_id = %(model)s""",
        {"model": theirs.model},
        binary=True,
    ).fetchall()
    if not rows or not len(theirs.face_id):
        return []
    near = is_near(np.stack([row[2].to_numpy() for row in rows]), theirs.embedding, max_cosine_distance)
    return [(rows[i][0], rows[i][1]) for i in np.flatnonzero(near).tolist()]


def raw_vectors(connection: Connection, theirs: Float32) -> int:
    """How many of some vectors lie, as raw numbers, in what is kept as bytes."""
    found = 0
    wanted = [each.tobytes()[:_BYTES_COMPARED] for each in theirs]
    for query in ("SELECT arrays FROM hdbscan_runs", "SELECT onnx FROM projection_heads"):
        for content in connection.scalars(query.encode()):
            found += sum(each in content for each in wanted)
    return found


def rows_with(connection: Connection, pattern: str) -> dict[str, int]:
    """Rows in which some text fits a pattern: table and column, and how many."""
    columns = connection.execute(
        """SELECT c.table_name, c.column_name, c.data_type LIKE 'json%%' FROM information_schema.columns c
            JOIN information_schema.tables t USING (table_schema, table_name)
            WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
                AND c.data_type = ANY(%s) AND c.udt_name NOT IN ('_float4', '_float8', '_int8')
            ORDER BY 1, 2""",
        (list(_TEXTS),),
    ).fetchall()
    found: dict[str, int] = {}
    for table, column, is_json in columns:
        text = sql.SQL(WITHOUT_KEYS if is_json else "{}::text").format(sql.Identifier(column))
        statement = sql.SQL("SELECT count(*) FROM {} WHERE {} ~* %(pattern)s").format(
            sql.Identifier(table), text
        )
        if count := connection.scalar(statement, {"pattern": pattern}):
            found[f"{table}.{column}"] = count
    return found
