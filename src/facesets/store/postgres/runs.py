"""What ran on the library: commands with their options and what came of them, and the folders they wrote."""

import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import sql

from facesets import __version__
from facesets.files import plain_path
from facesets.library_records import RecordedRun
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.copying import analyze_grown
from facesets.store.postgres.paths import escaped, from_text, to_text


@contextmanager
def recorded_run(
    database: Database, command: str, options: Mapping[str, Any], *, dry_run: bool = False
) -> Iterator[RecordedRun]:
    """Record a run from start to end, unless it is a dry one; one that was killed stays without an end."""
    if dry_run:
        yield RecordedRun(0)
        return
    run = RecordedRun(database.run(_begin, command, options))
    database.recorded.append(run.id)
    try:
        yield run
    except BaseException:
        if not database.closed:
            database.run(_end, run, "failed")
        raise
    status = "stopped" if run.stopped else "done"
    database.run(_end, run, status)
    database.run(analyze_grown)


def keep_summary(connection: Connection, run: RecordedRun) -> None:
    """Keep what came of a run so far, for whoever goes on if it is killed."""
    connection.execute("UPDATE runs SET summary = %s WHERE id = %s", (_json(run.summary), run.id))


def broken_off(
    connection: Connection, command: str, options: Mapping[str, Any], *, within: timedelta
) -> dict[str, Any]:
    """What came of the last run of a command, if it had these options and broke off, so long ago at most.

    Empty where there is nothing to go on with.
    """
    row = connection.execute(
        """SELECT summary, status <> 'done' AND options::text = %(options)s
                AND coalesce(ended_at, started_at) > now() - %(within)s
            FROM runs WHERE command = %(command)s ORDER BY id DESC LIMIT 1""",
        {"command": command, "options": _json(options), "within": within},
    ).fetchone()
    return dict(row[0] or {}) if row is not None and row[1] else {}


def last_options(connection: Connection, command: str) -> dict[str, Any] | None:
    """With which options a command was last run to its end; None where it never was."""
    found: dict[str, Any] | None = connection.scalar(
        "SELECT options FROM runs WHERE command = %s AND status = 'done' ORDER BY id DESC LIMIT 1", (command,)
    )
    return found


def last_summary(connection: Connection, command: str, counting: str) -> dict[str, Any]:
    """What came of the last run of a command that counted some of these, such as `faces`; empty for none."""
    found: dict[str, Any] | None = connection.scalar(
        """SELECT summary FROM runs WHERE command = %s AND status = 'done' AND summary ->> %s <> '0'
            ORDER BY id DESC LIMIT 1""",
        (command, counting),
    )
    return found or {}


def _begin(connection: Connection, command: str, options: Mapping[str, Any]) -> int:
    found: int = connection.scalar(
        "INSERT INTO runs (command, program_version, host, options) VALUES (%s, %s, %s, %s) RETURNING id",
        (command, __version__, platform.node(), _json(options)),
    )
    return found


def _end(connection: Connection, run: RecordedRun, status: str) -> None:
    connection.execute(
        "UPDATE runs SET ended_at = now(), status = %s, summary = %s WHERE id = %s",
        (status, _json(run.summary), run.id),
    )


def _json(values: Mapping[str, Any]) -> str:
    """As JSON that PostgreSQL takes, for there may be paths in it."""
    return escaped(json.dumps(values, ensure_ascii=False))


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


def note_results(connection: Connection, folders: Iterable[Path]) -> None:
    """Keep that these folders are about to hold results."""
    connection.execute(
        """INSERT INTO result_folders (path) SELECT unnest(%s::text[])
            ON CONFLICT (path) DO UPDATE SET written_at = now()""",
        (sorted({to_text(str(plain_path(folder))) for folder in folders}),),
    )


def noted_results(connection: Connection) -> list[Path]:
    """Folders that held results, whatever is there by now."""
    return [
        Path(from_text(path)) for path in connection.scalars("SELECT path FROM result_folders ORDER BY 1")
    ]
