"""Remains of a person on a server: embeddings and names, pages and logs; found and removed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

import numpy as np
from psycopg import sql

from facesets.records import Bool, Float32
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.copying import INT8, copy_out, values, vector
from facesets.store.postgres.people.face_details import FaceVectors

_TEXTS = ("text", "json", "jsonb", "character varying", "ARRAY")
_AT_ONCE = 4096
WITHOUT_KEYS: LiteralString = """regexp_replace({}::text, '"[a-z0-9]+(_[a-z0-9]+)+" ?:', '', 'g')"""
"""A JSON column without the program's own keys: `max_faces` does not name Max."""
_BYTES_COMPARED = 64
"""Bytes of the raw form of a vector that identify it: the first sixteen numbers."""


@dataclass(frozen=True, slots=True)
class FaceOwner:
    """The person of a face; without a name if unnamed, without a person if unassigned."""

    person: str
    name: str


def near_faces(connection: Connection, known: FaceVectors, max_cosine_distance: float) -> list[int]:
    """Return faces whose embeddings are within a cosine distance of any of some embeddings."""
    if not len(known.face_id):
        return []
    dimension = known.embedding.shape[1]
    found: list[int] = []
    blocks = copy_out(
        connection,
        """COPY (SELECT face_id, embedding FROM face_embeddings
            WHERE model_id = %(model)s AND vector_dims(embedding) = %(dimension)s)
            TO STDOUT (FORMAT BINARY)""",
        {"model": known.model, "dimension": dimension},
        {"face_id": INT8, "embedding": vector(dimension)},
    )
    for rows in blocks:
        near = is_near(values(rows, "embedding"), known.embedding, max_cosine_distance)
        found += rows["face_id"].astype(np.int64)[near].tolist()
    return sorted(found)


def is_near(vectors: Float32, known: Float32, max_cosine_distance: float) -> Bool:
    """Return which embeddings are within a cosine distance of any of `known`; all of unit length."""
    near = np.zeros(len(vectors), bool)
    for start in range(0, len(known), _AT_ONCE):
        near |= (vectors @ known[start : start + _AT_ONCE].T).max(axis=1) >= 1 - max_cosine_distance
    return near


def owners(connection: Connection, faces: Sequence[int]) -> dict[int, FaceOwner]:
    """Return the people of some faces."""
    rows = connection.execute(
        """SELECT f.id, coalesce(f.person_id::text, ''), coalesce((SELECT n.name FROM person_names n
                WHERE n.person_id = f.person_id ORDER BY n.id LIMIT 1), '')
            FROM face_detections f WHERE f.id = ANY(%s::bigint[])""",
        (list(faces),),
    )
    return {int(face): FaceOwner(person, name) for face, person, name in rows}


def near_averages(
    connection: Connection, known: FaceVectors, max_cosine_distance: float
) -> list[tuple[str, str]]:
    """Return embeddings of people and clusters near some embeddings: the kind, and the owner."""
    rows = connection.execute(
        """SELECT 'person', person_id::text, embedding FROM person_prototypes
                WHERE model_id = %(model)s
            UNION ALL SELECT 'cluster', cluster_id, centroid FROM cluster_centers
                JOIN clusters c ON c.id = cluster_id WHERE c.model_id = %(model)s""",
        {"model": known.model},
        binary=True,
    ).fetchall()
    if not rows or not len(known.face_id):
        return []
    near = is_near(np.stack([row[2].to_numpy() for row in rows]), known.embedding, max_cosine_distance)
    return [(rows[i][0], rows[i][1]) for i in np.flatnonzero(near).tolist()]


def raw_vectors(connection: Connection, known: Float32) -> int:
    """Return how many of some embeddings occur, as raw numbers, in binary columns."""
    found = 0
    wanted = [each.tobytes()[:_BYTES_COMPARED] for each in known]
    for query in ("SELECT arrays FROM hdbscan_runs", "SELECT onnx FROM projection_heads"):
        for content in connection.scalars(query.encode()):
            found += sum(each in content for each in wanted)
    return found


def rows_with(connection: Connection, pattern: str) -> dict[str, int]:
    """Return where text matches a pattern: table and column, and how many rows."""
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


_NOT_OF_PEOPLE = [
    "schema_migrations",
    "models",
    "detectors",
    "galleries",
    "images",
    "image_paths",
    "image_embeddings",
    "face_scans",
    "tag_categories",
    "tags",
    "tag_vectors",
    "image_tags",
]
_WAIT_S = 5.0
_MAX_SEGMENTS = 1024


def rewrite_tables(connection: Connection) -> list[str]:
    """Rewrite every table that may have held personal data, with its indexes; in no transaction.

    Returns
    -------
    list of str
        Tables that this user may not rewrite.
    """
    connection.execute("SELECT set_config('maintenance_work_mem', '512MB', false)")
    tables = connection.scalars(
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> ALL(%s)",
        (_NOT_OF_PEOPLE,),
    )
    rewrite = sql.SQL("VACUUM (FULL, ANALYZE) {}")
    refused = [table for table in tables if not _rewritten(connection, rewrite, sql.Identifier(table))]
    # This table stores samples of columns.
    statistic = sql.Identifier("pg_catalog", "pg_statistic")
    if not _rewritten(connection, sql.SQL("VACUUM FULL {}"), statistic):
        refused.append("pg_statistic")
    return refused


def _rewritten(connection: Connection, statement: sql.SQL, table: sql.Identifier) -> bool:
    """Whether a table has a new file afterwards: the server only warns if this user may not rewrite it."""
    name = table.as_string(connection)
    before = connection.scalar("SELECT pg_relation_filenode(%s::regclass)", (name,))
    connection.execute(statement.format(table))
    return bool(connection.scalar("SELECT pg_relation_filenode(%s::regclass)", (name,)) != before)


def remove_old_log(connection: Connection) -> bool:
    """Remove the write-ahead log so far, in no transaction; return whether that was possible.

    A server renames old segments to overwrite them later. They are skipped one by one, which fills them with
    zeros, and are then no longer needed.
    """
    if not connection.scalar("SELECT usesuper FROM pg_user WHERE usename = current_user"):
        return False
    connection.execute("ALTER SYSTEM SET wal_recycle = off")
    try:
        _reload(connection, "off")
        connection.execute("CHECKPOINT")
        until = str(connection.scalar(_SEGMENT.format("max")))
        for _ in range(_MAX_SEGMENTS):
            connection.execute("CHECKPOINT")
            if _current_segment(connection) > until:
                break
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        return str(connection.scalar(_SEGMENT.format("min"))) > until
    finally:
        connection.execute("ALTER SYSTEM RESET wal_recycle")
        connection.execute("SELECT pg_reload_conf()")


def _reload(connection: Connection, wanted: str) -> None:
    connection.execute("SELECT pg_reload_conf()")
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        if connection.scalar("SHOW wal_recycle") == wanted:
            return
        time.sleep(0.05)


_SEGMENT: LiteralString = "SELECT {}(substr(name, 9)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{{24}}$'"


def _current_segment(connection: Connection) -> str:
    return str(connection.scalar("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 9)"))
