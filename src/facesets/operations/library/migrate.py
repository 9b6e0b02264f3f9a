"""`migrate` and `db`: upgrade the schema, back up and restore the library."""

from collections.abc import Mapping
from pathlib import Path

from facesets.errors import Field, WrongUsage
from facesets.result import Result
from facesets.store.postgres import migrate as schema
from facesets.store.postgres.connection import Database, opened
from facesets.store.postgres.copying import analyze_grown
from facesets.store.postgres.migrate import shipped_migrations
from facesets.store.postgres.queue import schema as queue
from facesets.store.postgres.server import contents, restoring, tools
from facesets.store.postgres.server.contents import closed_tables


def migrate(database: Database) -> Result:
    """Apply pending migrations, also of the job queue if it is installed.

    Raises `WrongUsage` as `store.postgres.migrate.migrate`.
    """
    done = len(schema.migrate(database, schema.shipped_migrations()))
    if done:
        database.run(analyze_grown)
    has_queue = queue.is_installed() and database.run(queue.may_be_made)
    if has_queue:
        done += queue.install(database)
    return Result(_summary(database, done), without_queue=queue.is_installed() and not has_queue)


def status(database: Database) -> Result:
    """Return the state of all migrations. Raises `WrongUsage` as `store.postgres.migrate.migrate`."""
    return _summary(database, 0)


def _summary(database: Database, applied: int) -> Result:
    states = schema.status(database, schema.shipped_migrations())
    pending = sum(not state.applied_at for state in states)
    return Result(
        database=database.label,
        applied=applied,  # now
        pending=pending,
        migrations=states,  # every one of this program
        without_queue=False,  # the queue could be there, and this user may not make its schema
    )


def backup(text: str, path: Path, environment: Mapping[str, str], *, replace: bool, dry_run: bool) -> Result:
    """Write the whole library to one file.

    Raises
    ------
    WrongUsage, CannotWrite
        The file may not be overwritten, or there is nothing to back up: see `require_free`, `require_worth`.
    Unreachable
        The server does not respond.
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
    return Result(
        file=str(path),
        megabytes=round(size / 1e6, 1),  # of a dry run those of the database
        left_out=list(closed.values()),  # tables of others
        dry_run=dry_run,
    )


def restore(text: str, path: Path, *, replace: bool, dry_run: bool) -> Result:
    """Restore a database from a backup of any schema version, and upgrade it.

    Raises
    ------
    WrongUsage
        The file does not exist; or the database has a library, and `replace` is off.
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
                f"There is already a library in {database.label}. To overwrite it, back it up first, "
                f"then add {Field('replace')}."
            )
        if not dry_run:
            left_out = database.run_alone(
                restoring.restore, path, migrations, database.label, replace=replace
            )
            migrate(database)
            database.run(analyze_grown)
    return Result(file=str(path), replaced=there, left_out=left_out, dry_run=dry_run)
