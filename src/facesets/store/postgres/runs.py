"""The record of runs on the library: commands, options, results and written folders."""

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
    """Record a run, unless it is a dry run; a killed run stays without an end."""
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


def store_summary(connection: Connection, run: RecordedRun) -> None:
    """Store the result of a run so far, so that a later run can resume it."""
    connection.execute("UPDATE runs SET summary = %s WHERE id = %s", (_json(run.summary), run.id))


def broken_off(
    connection: Connection, command: str, options: Mapping[str, Any], *, within: timedelta
) -> dict[str, Any]:
    """Return the result of the last run of a command, if interrupted recently with these options.

    Empty if there is nothing to resume.
    """
    row = connection.execute(
        """SELECT summary, status <> 'done' AND options::text = %(options)s
                AND coalesce(ended_at, started_at) > now() - %(within)s
            FROM runs WHERE command = %(command)s ORDER BY id DESC LIMIT 1""",
        {"command": command, "options": _json(options), "within": within},
    ).fetchone()
    return dict(row[0] or {}) if row is not None and row[1] else {}


def last_options(connection: Connection, command: str) -> dict[str, Any] | None:
    """Return the options of the last completed run of a command; None if there is none."""
    found: dict[str, Any] | None = connection.scalar(
        "SELECT options FROM runs WHERE command = %s AND status = 'done' ORDER BY id DESC LIMIT 1", (command,)
    )
    return found


def last_summary(connection: Connection, command: str, counting: str) -> dict[str, Any]:
    """Return the last result of a command with a nonzero count of these; empty if none."""
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
    """Encode as JSON for PostgreSQL, with paths escaped."""
    return escaped(json.dumps(values, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class RunLine:
    """A recorded run; `ended_at` is None while it runs and if it was killed."""

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
    """An indexed folder, with its last options and time."""

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
    """List the latest runs, latest first, optionally before a number and without some commands."""
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
    """Find a run by number."""
    row = connection.execute(_RUNS + sql.SQL(" WHERE id = %s"), (number,)).fetchone()
    return None if row is None else RunLine(*row)


def count_runs(connection: Connection, *, without: Sequence[int] = ()) -> int:
    """Count the recorded runs, without some commands."""
    return int(connection.scalar("SELECT count(*) FROM runs WHERE id <> ALL(%s::bigint[])", (list(without),)))


def indexed_folders(connection: Connection) -> list[IndexedFolder]:
    """Return the folders given to successful runs of `index`, by path."""
    rows = connection.execute(
        """SELECT DISTINCT ON (target) target, r.options, r.started_at
            FROM runs r, json_array_elements_text(r.options -> 'targets') target
            WHERE r.command = 'index' AND r.status <> 'failed'
            ORDER BY target, r.id DESC"""
    )
    return [IndexedFolder(from_text(path), options, at) for path, options, at in rows]


def note_results(connection: Connection, folders: Iterable[Path]) -> None:
    """Record folders that will hold results."""
    connection.execute(
        """INSERT INTO result_folders (path) SELECT unnest(%s::text[])
            ON CONFLICT (path) DO UPDATE SET written_at = now()""",
        (sorted({to_text(str(plain_path(folder))) for folder in folders}),),
    )


def noted_results(connection: Connection) -> list[Path]:
    """Return the recorded result folders."""
    return [
        Path(from_text(path)) for path in connection.scalars("SELECT path FROM result_folders ORDER BY 1")
    ]
