"""What ran on the library: runs as they were recorded, and the folders that were indexed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from facesets.store.postgres.connection import Connection
from facesets.store.postgres.paths import from_text


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run as it was recorded; `ended_at` is None while it is going on, and for one that was killed."""

    id: int
    command: str
    host: str
    options: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    status: str
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IndexedFolder:
    """A folder that was indexed: with which options the last time, and when."""

    path: str
    options: dict[str, Any]
    at: datetime


_RUNS = sql.SQL(
    "SELECT id, command, host, options, started_at, ended_at, status, coalesce(summary, '{}') FROM runs"
)


def list_runs(
    connection: Connection,
    *,
    limit: int,
    offset: int = 0,
    before: int | None = None,
    without: Sequence[int] = (),
) -> list[RunLine]:
    """The latest runs, of those before a number if one is given, but for some; the latest first."""
    rows = connection.execute(
        _RUNS
        + sql.SQL(
            """ WHERE (%(before)s::bigint IS NULL OR id < %(before)s) AND id <> ALL(%(without)s::bigint[])
                ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s"""
        ),
        {"before": before, "without": list(without), "limit": limit, "offset": offset},
    )
    return [RunLine(*row) for row in rows]


def find_run(connection: Connection, number: int) -> RunLine | None:
    """The run of a number."""
    row = connection.execute(_RUNS + sql.SQL(" WHERE id = %s"), (number,)).fetchone()
    return None if row is None else RunLine(*row)


def count_runs(connection: Connection, *, without: Sequence[int] = ()) -> int:
    """How many runs were recorded, but for some."""
    return int(connection.scalar("SELECT count(*) FROM runs WHERE id <> ALL(%s::bigint[])", (list(without),)))


def indexed_folders(connection: Connection) -> list[IndexedFolder]:
    """The folders that were given to `index`, by path; those of runs that failed are left out."""
    rows = connection.execute(
        """SELECT DISTINCT ON (target) target, r.options, r.started_at
            FROM runs r, json_array_elements_text(r.options -> 'targets') target
            WHERE r.command = 'index' AND r.status <> 'failed'
            ORDER BY target, r.id DESC"""
    )
    return [IndexedFolder(from_text(path), options, at) for path, options, at in rows]
