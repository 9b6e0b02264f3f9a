"""Indexes of half-precision embeddings, one per model, for candidates of a search.

References
----------
Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
Small World graphs", TPAMI 2020; pgvector's README (iterative scans, expression indexes).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from psycopg import errors, sql

from facesets.store.postgres.connection import Connection

# These find 0.983 of the ten best of 300 000 synthetic faces and 0.970 of those of a million, but 0.997 of
# the ones with a similarity of at least 0.35. A thousand candidates find 0.981 of a million's in three times
# the time: they add only strangers.
CANDIDATES = 300

# An index of bits is smaller and finds fewer in the same time.
# Faces without similar ones are hard to reach in such a graph, and more candidates find hardly more of them.
# More neighbours do: 0.990 of the ten best of 20 000 synthetic vectors, against 0.986 with 24 and 200.
_NEIGHBOURS = 32
_EF_CONSTRUCTION = 300
_MIN_BUILD_MB, _MAX_BUILD_MB = 64, 4096
_MAX_TUPLES_SCANNED = 20_000
"""Takes about half a second; rarer matches are found faster by comparing."""
MAX_AT_ONCE = 1000
_BUILDING = re.compile("initializing|waiting for writers before build|building index")


@dataclass(frozen=True, slots=True)
class Vectors:
    """The embeddings of one model in one table."""

    table: Literal["face_embeddings", "image_embeddings"]
    model_id: int
    dimension: int

    @property
    def index(self) -> str:
        """The name of their index."""
        return f"{self.table}_hnsw_{self.model_id}"

    @property
    def half(self) -> sql.Composed:
        """The indexed expression, for use in statements."""
        return sql.SQL("embedding::halfvec({})").format(sql.Literal(self.dimension))


def has_index(connection: Connection, vectors: Vectors) -> bool:
    """Whether there is a valid index of these embeddings."""
    row = connection.execute(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", (vectors.index,)
    ).fetchone()
    return row is not None and bool(row[0])


def build_index(connection: Connection, vectors: Vectors) -> bool:
    """Build the index of these embeddings concurrently, outside a transaction.

    It is built by as many processes as the server allows for one statement. Several need shared memory that
    containers often lack; then one builds it. Returns whether that was the case.
    """
    table = sql.Identifier(vectors.table)
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
    memory = _build_megabytes(count(connection, vectors), vectors.dimension)
    connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", (f"{memory}MB",))
    # One of the processes is the session's own.
    helpers = max(int(connection.scalar("SHOW max_parallel_workers")) - 1, 0)
    for workers in dict.fromkeys((helpers, 0)):
        connection.execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(vectors.index))
        )
        connection.execute(
            "SELECT set_config('max_parallel_maintenance_workers', %s, false)", (str(workers),)
        )
        try:
            connection.execute(statement)
        except (errors.DiskFull, errors.OutOfMemory):
            if not workers:
                raise
        else:
            break
    # Without fresh statistics the planner may still compare every vector.
    connection.execute("ANALYZE face_embeddings, image_embeddings, face_detections, images, image_paths")
    return helpers > 0 and not workers


def being_built(connection: Connection, vectors: Vectors) -> tuple[int, bool] | None:
    """Return the progress of an index build, and whether it is being validated; else None."""
    row = connection.execute(
        """SELECT tuples_done, phase FROM pg_stat_progress_create_index
            WHERE index_relid = to_regclass(%s)""",
        (vectors.index,),
    ).fetchone()
    return None if row is None else (int(row[0]), not _BUILDING.match(row[1]))


def count(connection: Connection, vectors: Vectors) -> int:
    """Count the embeddings."""
    found: int = connection.scalar(
        sql.SQL("SELECT count(*) FROM {} WHERE model_id = %s").format(sql.Identifier(vectors.table)),
        (vectors.model_id,),
    )
    return found


def _build_megabytes(vectors: int, dimension: int) -> int:
    """Return the memory for the whole graph; a smaller one makes the build much slower.

    A vector takes two bytes per number, its neighbours 24 each (twice as many on the lowest level), and its
    place in the graph a few hundred bytes.
    """
    each = 2 * dimension + 24 * 3 * _NEIGHBOURS + 200
    return min(max(vectors * each // 1_000_000, _MIN_BUILD_MB), _MAX_BUILD_MB)


def drop_index(connection: Connection, vectors: Vectors) -> None:
    """Remove the index of these embeddings."""
    connection.execute(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(vectors.index)))


@contextmanager
def scanned(connection: Connection, candidates: int) -> Iterator[None]:
    """Make statements in the block use the index, with a number of candidates.

    The scan continues if a condition rejects candidates, which pgvector supports since 0.8. The number of
    candidates applies until the end of the transaction.
    """
    settings = {
        "hnsw.ef_search": str(min(candidates, MAX_AT_ONCE)),
        # The planner underestimates the cost of comparing everything, and would do it for ten thousand
        # vectors.
        "enable_seqscan": "off",
    }
    version = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    if version is not None and _numbers(version[0]) >= (0, 8):
        settings["hnsw.iterative_scan"] = "relaxed_order"
        settings["hnsw.max_scan_tuples"] = str(_MAX_TUPLES_SCANNED)
    connection.execute(
        "SELECT set_config(name, value, true) FROM unnest(%s::text[], %s::text[]) AS settings (name, value)",
        (list(settings), list(settings.values())),
    )
    yield
    connection.execute("SET LOCAL enable_seqscan TO DEFAULT")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def is_more_than(connection: Connection, vectors: Vectors, count: int) -> bool:
    """Whether there are more than this number of embeddings."""
    found = connection.scalar(
        sql.SQL("SELECT count(*) FROM (SELECT FROM {} WHERE model_id = %s LIMIT %s) AS counted").format(
            sql.Identifier(vectors.table)
        ),
        (vectors.model_id, count + 1),
    )
    return bool(found > count)
