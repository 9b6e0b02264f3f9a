"""`db`: a backup of the library, and back, without overwriting by accident."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import Field, WrongUsage
from facesets.operations.library.migrate import migrate
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.migrate import shipped_migrations
from facesets.store.postgres.own_objects import closed_tables
from facesets.store.postgres.planner import analyze_grown
from facesets.store.postgres.server import contents, restoring, tools


@dataclass(frozen=True, slots=True)
class Url:
    """Where the library is; a password in it is masked."""

    url: str


@dataclass(frozen=True, slots=True)
class StopSummary:
    """Whether the embedded server ran."""

    stopped: bool


@dataclass(frozen=True, slots=True)
class SearchIndexSummary:
    """Whether there is an index now."""

    built: bool


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """The file, its size (of a dry run that of the database), and tables of others that it lacks."""

    file: str
    megabytes: float
    left_out: list[str]
    dry_run: bool


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    """The file that was restored or would be, whether a library gave way, and what of others was not."""

    file: str
    replaced: bool
    left_out: list[str]
    dry_run: bool


def backup(
    text: str, path: Path, environment: Mapping[str, str], *, replace: bool, dry_run: bool
) -> BackupSummary:
    """Write the whole library into one file.

    Raises
    ------
    WrongUsage, CannotWrite
        The file may not be overwritten, or nothing is worth it: see `require_free` and `require_worth`.
    Unreachable
        The server does not answer.
    FacesetsError
        As `tools.backup`.
    """
    tools.require_free(path, replace=replace)
    with opened(Database(text)) as database:
        tools.require_worth(database, path)
        size = database.run(tools.database_bytes)
        closed = database.run(closed_tables, shipped_migrations())
    if not dry_run:
        size = tools.backup(text, path, environment, closed)
    return BackupSummary(str(path), round(size / 1e6, 1), list(closed.values()), dry_run)


def restore(text: str, path: Path, *, replace: bool, dry_run: bool) -> RestoreSummary:
    """Fill a database from a backup, of whichever schema, and bring that up to date.

    Raises
    ------
    WrongUsage
        There is no such file; or a library in the database already, and it is not to be replaced.
    FacesetsError
        As `contents.require_backup` and `restoring.restore`.
    """
    migrations = shipped_migrations()
    contents.require_backup(path, migrations)
    left_out: list[str] = []
    with opened(Database(text)) as database:
        there = database.run(tools.holds_library)
        if there and not replace:
            raise WrongUsage(
                f"There is a library in {database.label} already. Back it up, then use {Field('replace')} "
                "to lose it."
            )
        if not dry_run:
            left_out = database.run_alone(
                restoring.restore, path, migrations, database.label, replace=replace
            )
            migrate(database)
            database.run(analyze_grown)
    return RestoreSummary(str(path), there, left_out, dry_run)
