"""What was run on the library, when, with which options, and what came of it."""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from facesets import __version__
from facesets.library_records import RecordedRun
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.paths import escaped
from facesets.store.postgres.planner import analyze_grown


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
