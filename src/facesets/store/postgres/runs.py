"""What was run on the library, when, with which options, and what came of it."""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from facesets import __version__
from facesets.store.postgres.connection import Connection, Database, only_row


@dataclass
class Run:
    """A run that is going on; fill in what came of it before it ends."""

    id: int
    summary: dict[str, Any] = field(default_factory=dict)
    stopped: bool = False


@contextmanager
def recorded_run(
    database: Database, command: str, options: Mapping[str, Any], *, dry_run: bool = False
) -> Iterator[Run]:
    """Record a run from start to end, unless it is a dry one; one that was killed stays without an end."""
    if dry_run:
        yield Run(0)
        return
    run = Run(database.run(lambda connection: _begin(connection, command, options)))
    try:
        yield run
    except BaseException:
        if not database.closed:
            database.run(lambda connection: _end(connection, run, "failed"))
        raise
    status = "stopped" if run.stopped else "done"
    database.run(lambda connection: _end(connection, run, status))


def _begin(connection: Connection, command: str, options: Mapping[str, Any]) -> int:
    inserted = connection.execute(
        "INSERT INTO runs (command, program_version, host, options) VALUES (%s, %s, %s, %s) RETURNING id",
        (command, __version__, platform.node(), json.dumps(options)),
    )
    return int(only_row(inserted)[0])


def _end(connection: Connection, run: Run, status: str) -> None:
    connection.execute(
        "UPDATE runs SET ended_at = now(), status = %s, summary = %s WHERE id = %s",
        (status, json.dumps(run.summary), run.id),
    )
