"""Indexes of half-precision vectors, one a model, which propose candidates for a search.

References
----------
Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
Small World graphs", TPAMI 2020; pgvector's README (iterative scans, expression indexes).
"""

from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg import errors, sql

from facesets.store.postgres.connection import Connection, only_row

CANDIDATES = 200

_NEIGHBOURS = 24
_EF_CONSTRUCTION = 200
_LEAST_BUILD_MB, _MOST_BUILD_MB = 64, 4096
_MOST_TUPLES_SCANNED = 100_000


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of one model in one table."""

    table: Literal["face_embeddings", "image_embeddings"]
    model_id: int
    dimension: int

    @property
    def index(self) -> str:
        """What the index over them is called."""
        return f"{self.table}_hnsw_{self.model_id}"

    @property
    def half(self) -> sql.Composed:
        """The indexed expression, which must stand in a statement as the index was built on it."""
        return sql.SQL("embedding::halfvec({})").format(sql.Literal(self.dimension))


def has_index(connection: Connection, vectors: Vectors) -> bool:
    """Whether there is a sound index over these vectors."""
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (vectors.index,)
    ).fetchone()
    return row is not None and bool(row[0])


def build_index(connection: Connection, vectors: Vectors) -> None:
    """Build the index over these vectors, beside ongoing work; in no transaction.

    Several workers at it need shared memory that containers often lack; then one does it.
    """
    table = sql.Identifier(vectors.table)
    counted = connection.execute(
        sql.SQL("SELECT count(*) FROM {} WHERE model_id = %s").format(table), (vectors.model_id,)
    )
    statement = sql.SQL(
        """CREATE INDEX CONCURRENTLY {name} ON {table} USING hnsw (({half}) halfvec_cosine_ops)
            WITH (m = {neighbours}, ef_construction = {ef}) WHERE model_id = {model}"""
    ).format(
        name=sql.Identifier(vectors.index),
        table=table,
        half=vectors.half,
        neighbours=sql.Literal(_NEIGHBOURS),
        ef=sql.Literal(_EF_CONSTRUCTION),
        model=sql.Literal(vectors.model_id),
    )
    memory = _build_megabytes(int(only_row(counted)[0]), vectors.dimension)
    connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (f"{memory}MB",))
    for workers in ("2", "0"):
        connection.execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(vectors.index))
        )
        connection.execute("SELECT set_config('max_parallel_maintenance_workers', %s, false)", (workers,))
        try:
            connection.execute(statement)
        except (errors.DiskFull, errors.OutOfMemory):
            if workers == "0":
                raise
        else:
            # Without fresh numbers the planner may compare every vector all the same.
            connection.execute("ANALYZE face_embeddings, image_embeddings, face_detections, images")
            return


def _build_megabytes(count: int, dimension: int) -> int:
    """Memory for the whole graph: a build that does not fit goes on many times slower.

    A vector takes two bytes a number, its neighbours 24 each (twice as many on the lowest level), and some
    hundred bytes go to its place in the graph.
    """
    each = 2 * dimension + 24 * 3 * _NEIGHBOURS + 200
    return min(max(count * each // 1_000_000, _LEAST_BUILD_MB), _MOST_BUILD_MB)


def drop_index(connection: Connection, vectors: Vectors) -> None:
    """Remove the index over these vectors."""
    connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(vectors.index)))


def scan_for(connection: Connection, candidates: int) -> None:
    """Make the index propose so many candidates in this transaction, however many a condition refuses."""
    connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(min(candidates, 1000)),))
    try:
        with connection.transaction():
            connection.execute(
                """SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true),
                    set_config('hnsw.max_scan_tuples', %s, true)""",
                (str(_MOST_TUPLES_SCANNED),),
            )
    except psycopg.errors.UndefinedObject:
        # pgvector before 0.8 has no such scan.
        pass


def is_more_than(connection: Connection, vectors: Vectors, count: int) -> bool:
    """Whether there are more of these vectors than that."""
    counted = connection.execute(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE model_id = %s LIMIT %s) AS counted").format(
            sql.Identifier(vectors.table)
        ),
        (vectors.model_id, count + 1),
    )
    return int(only_row(counted)[0]) > count
