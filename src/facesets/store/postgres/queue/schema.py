"""The queue's tables: procrastinate's, in a schema beside the library's tables, and our notes on its jobs.

Each of procrastinate's migrations and of ours is applied once. A later procrastinate brings further ones.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import Command, MissingExtra, SchemaOutdated, WrongUsage, typed
from facesets.installation import pip
from facesets.store.postgres.connection import Connection, Database, with_search_path
from facesets.store.postgres.migrate import migrations_directory, take_schema_lock

SCHEMA = "queue"
_OURS = "facesets_"


@dataclass(frozen=True, slots=True)
class Shipped:
    """The installed queue schema.

    Attributes
    ----------
    whole : str
        SQL that creates all of procrastinate's tables at once.
    steps : sequence of (name, SQL)
        Procrastinate's migrations, which lead to the same, in order.
    ours : sequence of (name, SQL)
    """

    whole: str
    steps: Sequence[tuple[str, str]]
    ours: Sequence[tuple[str, str]]

    @property
    def names(self) -> list[str]:
        """The names of everything to apply."""
        return [name for name, _ in (*self.steps, *self.ours)]


def is_installed() -> bool:
    """Whether the optional dependency of the queue is installed."""
    return importlib.util.find_spec("procrastinate") is not None


def shipped() -> Shipped:
    """Return the schema of the installed procrastinate. Raises `MissingExtra`."""
    # Located, not imported: importing it would load modules that only workers need.
    found = importlib.util.find_spec("procrastinate")
    if found is None or found.origin is None:
        raise MissingExtra("jobs")
    sql = Path(found.origin).parent / "sql"
    steps = [(path.stem, path.read_text("utf-8")) for path in sorted((sql / "migrations").glob("*.sql"))]
    ours = [(name, path.read_text("utf-8")) for name, path in _our_files().items()]
    return Shipped((sql / "schema.sql").read_text("utf-8"), steps, ours)


def _our_files() -> dict[str, Path]:
    files = sorted((migrations_directory() / "queue").glob("*.sql"))
    return {f"{_OURS}{path.stem}": path for path in files}


def install(database: Database, of: Shipped | None = None) -> int:
    """Create or upgrade the queue's tables; several hosts may do so at once.

    Returns
    -------
    int
        The number of steps applied.

    Raises
    ------
    MissingExtra
        The optional dependency is not installed.
    WrongUsage
        They were created by a later procrastinate, or this user may not create them.
    """
    program = of or shipped()
    if database.run(lambda connection: _is_current(connection, program)):
        return 0
    done = int(database.run(lambda connection: _make(connection, program)))
    for name, sql in (*program.steps, *program.ours):
        done += database.run(lambda connection, n=name, s=sql: _apply(connection, n, s))  # type: ignore[misc]
    database.run(lambda connection: _refuse_later(connection, program, database.label))
    return done


def install_within(connection: Connection, label: str) -> None:
    """Like `install`, within the current transaction, if the dependency is installed.

    Without it, or without the right to make the schema, nothing is done.
    """
    if not (is_installed() and may_be_made(connection)):
        return
    program = shipped()
    _make(connection, program)
    for name, sql in (*program.steps, *program.ours):
        _apply(connection, name, sql)
    _refuse_later(connection, program, label)


def may_be_made(connection: Connection) -> bool:
    """Whether the queue's schema exists or this user may create it."""
    found: bool = connection.scalar(
        """SELECT to_regnamespace('queue') IS NOT NULL
            OR has_database_privilege(current_database(), 'CREATE')"""
    )
    return found


def is_made(connection: Connection) -> bool:
    """Whether this database has a queue."""
    return bool(connection.scalar("SELECT to_regclass('queue.applied') IS NOT NULL"))


def has_our_notes(connection: Connection) -> bool:
    """Whether this database has a queue with our notes on its jobs."""
    return is_made(connection) and _applied(connection).issuperset(_our_files())


def require_queue(database: Database) -> None:
    """Check that the queue fits this program.

    Raises
    ------
    MissingExtra
        The optional dependency is not installed.
    SchemaOutdated
        There is none yet, or a migration is pending.
    WrongUsage
        It was created by a later procrastinate.
    """
    program = shipped()

    def work(connection: Connection) -> None:
        applied = _applied(connection) if is_made(connection) else set()
        if not applied.issuperset(program.names):
            raise SchemaOutdated(
                f"The job queue of {database.label} is missing or out of date. Run {Command('migrate')}."
            )
        _refuse_later(connection, program, database.label)

    database.run(work)


def queue_conninfo(database: Database) -> str:
    """Return a connection string for procrastinate; it may contain a password."""
    return with_search_path(database.conninfo, f"{SCHEMA},public")


def look_into_queue(connection: Connection) -> None:
    """Search the queue's schema first, until the end of the transaction."""
    connection.execute("SET LOCAL search_path TO queue, public")


def _is_current(connection: Connection, program: Shipped) -> bool:
    return is_made(connection) and _applied(connection) == set(program.names)


def _make(connection: Connection, program: Shipped) -> bool:
    take_schema_lock(connection)
    if is_made(connection):
        return False
    connection.execute("CREATE SCHEMA IF NOT EXISTS queue")
    look_into_queue(connection)
    # The text is part of an installed program, so it counts as literal.
    connection.execute(program.whole.encode())
    connection.execute(
        "CREATE TABLE applied (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    names = [name for name, _ in program.steps]
    connection.execute("INSERT INTO applied (name) SELECT unnest(%s::text[])", (names,))
    return True


def _apply(connection: Connection, name: str, sql: str) -> bool:
    take_schema_lock(connection)
    if name in _applied(connection):
        return False
    look_into_queue(connection)
    connection.execute(sql.encode())
    connection.execute("INSERT INTO applied (name) VALUES (%s)", (name,))
    return True


def _applied(connection: Connection) -> set[str]:
    return set(connection.scalars("SELECT name FROM queue.applied"))


def _refuse_later(connection: Connection, program: Shipped, label: str) -> None:
    upgrade = typed(pip("install", "--upgrade", "procrastinate"))
    if _applied(connection).difference(program.names):
        raise WrongUsage(
            f"The job queue of {label} was made by a newer procrastinate. Upgrade it here: `{upgrade}`."
        )
