"""Schema migrations: numbered files, each applied once and never edited afterwards."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import psycopg
from psycopg import errors

from facesets.errors import Command, DamagedFile, FacesetsError, Field, SchemaOutdated, Sentence, WrongUsage
from facesets.files import printable
from facesets.store.postgres.connection import Connection, Database, pass_vectors

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_MADE = re.compile(r"^CREATE (TABLE|VIEW|SEQUENCE|FUNCTION) (\w+)", re.MULTILINE)
_TABLE = re.compile(
    r"^(?:CREATE TABLE (\w+)|DROP TABLE (\w+)|ALTER TABLE (\w+) RENAME TO (\w+))", re.MULTILINE
)
_RENAMED = re.compile(r"^ALTER (TABLE) \w+ RENAME TO (\w+)", re.MULTILINE)
_LOCK = 0x66616365_73657473
"""Key of the advisory lock: `facesets` in ASCII."""

_MIN_VECTOR = (0, 7)
_NO_PACKAGE = Sentence(
    "The server lacks pgvector. Install its package on the server (on Debian "
    f"postgresql-<version>-pgvector), then run {Command('migrate')} again."
)
_NO_RIGHT = Sentence(
    "This database user cannot create the extension vector. Ask a superuser to run "
    f"`CREATE EXTENSION vector;` in this database, then run {Command('migrate')} again."
)
_ENCODINGS = ("UTF8", "SQL_ASCII")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Hex digest of the file's text, independent of line endings."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def made(self, *kinds: str) -> list[str]:
        """Return the names that objects of these kinds get: TABLE, VIEW, SEQUENCE, FUNCTION."""
        made = (*_MADE.findall(self.sql), *_RENAMED.findall(self.sql))
        return [name for kind, name in made if kind in kinds]


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration and when it was applied; `applied_at` is empty while it is pending."""

    number: int
    name: str
    applied_at: str = ""


def shipped_migrations(directory: Path | None = None) -> list[Migration]:
    """Return the migrations of this program, in order.

    Raises
    ------
    DamagedFile
        They are missing, misnamed, or their numbers have gaps.
    """
    directory = directory or migrations_directory()
    files = sorted(directory.glob("*.sql"))
    migrations = []
    for expected, path in enumerate(files, start=1):
        match = _NAME.fullmatch(path.name)
        if match is None or int(match[1]) != expected:
            raise DamagedFile(f"{printable(path)} is misnumbered or unexpected. Reinstall facesets.")
        migrations.append(Migration(expected, path.stem, path.read_text("utf-8")))
    if not migrations:
        raise DamagedFile(f"No migrations found in {printable(directory)}. Reinstall facesets.")
    return migrations


def migrations_directory() -> Path:
    """Return the folder of migrations in the package or the checkout."""
    package = Path(__file__).parents[2]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "migrations"


def migrate(database: Database, migrations: list[Migration]) -> list[MigrationState]:
    """Apply pending migrations, one transaction each; several hosts may do so at once.

    Returns
    -------
    list of MigrationState
        Those applied now.

    Raises
    ------
    SchemaOutdated
        A table of an applied migration is missing.
    WrongUsage
        The extension `vector` is missing and cannot be created, the database lacks some characters or is
        another program's, an applied migration was edited, or the schema is newer than this program.
    """
    database.run(_prepare)
    done = []
    for migration in migrations:
        applied = database.run(lambda connection, m=migration: _apply(connection, m, migrations))  # type: ignore[misc]
        if applied is not None:
            done.append(applied)
    return done


def migrate_within(connection: Connection, migrations: list[Migration]) -> None:
    """Apply pending migrations in the current transaction; errors as `migrate`."""
    _prepare(connection)
    for migration in migrations:
        _apply(connection, migration, migrations)


def status(database: Database, migrations: list[Migration]) -> list[MigrationState]:
    """Return applied and pending migrations. Raises `SchemaOutdated` and `WrongUsage` as `migrate`."""
    applied = database.run(_applied, migrations, database.label)
    return [
        MigrationState(m.number, m.name, applied[m.number][2] if m.number in applied else "")
        for m in migrations
    ]


def require_current(database: Database, migrations: list[Migration]) -> None:
    """Check that the schema is current.

    Raises
    ------
    SchemaOutdated
        A migration is pending, or a table is missing.
    WrongUsage
        As `migrate`.
    """
    pending = [state for state in status(database, migrations) if not state.applied_at]
    if pending:
        raise SchemaOutdated(
            f"The schema of {database.label} is out of date ({len(pending)} of {len(migrations)} "
            f"migrations pending). Run {Command('migrate')}."
        )


def check_database(connection: Connection) -> None:
    """Check that a database can hold a library, creating the extension if needed. Raises as `migrate`."""
    _check_encoding(connection)
    _ensure_vector(connection)


def _prepare(connection: Connection) -> None:
    take_schema_lock(connection)
    check_database(connection)
    if not _exists(connection, "schema_migrations"):
        connection.execute(
            """CREATE TABLE schema_migrations (
                number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now())"""
        )


def _check_encoding(connection: Connection) -> None:
    found = connection.info.parameter_status("server_encoding")
    if found not in _ENCODINGS:
        raise WrongUsage(
            f"The database encoding {found} cannot store every name. Create a database with `createdb "
            "--template=template0 --encoding=UTF8 --locale=C NAME`, and use that."
        )


def _ensure_vector(connection: Connection) -> None:
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone() is None:
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION vector")
        except (errors.UndefinedFile, errors.FeatureNotSupported) as error:
            raise WrongUsage(_NO_PACKAGE) from error
        except errors.InsufficientPrivilege as error:
            raise WrongUsage(_NO_RIGHT) from error
    vector_version(connection)
    pass_vectors(connection)


def vector_version(connection: Connection) -> str:
    """Return the version of the extension `vector`. Raises `WrongUsage` if it cannot be used."""
    found = connection.execute(
        """SELECT extversion, quote_ident(nspname), to_regtype('vector') IS NOT NULL
            FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'"""
    ).fetchone()
    if found is None:
        raise WrongUsage(_why_no_vector(connection))
    version, schema, is_found = found
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _MIN_VECTOR:
        raise WrongUsage(
            f"The database has pgvector {version}, but facesets needs 0.7 or later. Upgrade it, run "
            f"`ALTER EXTENSION vector UPDATE;`, then {Command('migrate')} again."
        )
    if not is_found:
        raise WrongUsage(
            f"The extension vector is in the schema {schema}, which is not in this user's search path. Ask "
            "its owner to run `ALTER EXTENSION vector SET SCHEMA public;`."
        )
    return str(version)


def _why_no_vector(connection: Connection) -> str:
    is_there, may_be_made = connection.one(
        """SELECT count(*) > 0, coalesce(bool_or(current_setting('is_superuser')::boolean OR (
                trusted AND has_database_privilege(current_database(), 'CREATE'))), false)
            FROM pg_available_extension_versions WHERE name = 'vector'"""
    )
    if may_be_made:
        return Sentence(f"The database lacks the extension vector. Create it with {Command('migrate')}.")
    return _NO_RIGHT if is_there else _NO_PACKAGE


def _apply(
    connection: Connection, migration: Migration, migrations: list[Migration]
) -> MigrationState | None:
    take_schema_lock(connection)
    applied = _applied(connection, migrations, "the database")
    if migration.number in applied:
        return None
    try:
        # The files are part of the program, so their text counts as literal.
        connection.execute(migration.sql.encode())
    except psycopg.ProgrammingError as error:
        raise FacesetsError(
            f"Migration {migration.name} failed and was rolled back: {str(error).splitlines()[0]}."
        ) from error
    connection.execute(
        "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
        (migration.number, migration.name, migration.checksum),
    )
    return MigrationState(migration.number, migration.name, "now")


def take_schema_lock(connection: Connection) -> None:
    """Lock the schema against changes until the end of the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))


def _exists(connection: Connection, table: str) -> bool:
    return bool(connection.scalar("SELECT to_regclass(%s) IS NOT NULL", (table,)))


def _applied(
    connection: Connection, migrations: list[Migration], label: str
) -> dict[int, tuple[str, str, str]]:
    """Return name, checksum and time of the applied migrations by number, after checking them."""
    applied = _noted(connection)
    _check(applied, migrations, label)
    _check_tables(connection, [m for m in migrations if m.number in applied], label)
    return applied


def _noted(connection: Connection) -> dict[int, tuple[str, str, str]]:
    if not _exists(connection, "schema_migrations"):
        return {}
    try:
        rows = connection.execute(
            """SELECT number, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
                FROM schema_migrations ORDER BY number"""
        ).fetchall()
    except errors.UndefinedColumn as error:
        raise WrongUsage(
            "The table schema_migrations in this database belongs to another program. Use a separate "
            "database for the library."
        ) from error
    return {number: (name, checksum, when) for number, name, checksum, when in rows}


def applied_names(connection: Connection) -> dict[int, str]:
    """Return the applied migrations by number. Raises `WrongUsage` for another program's table."""
    return {number: name for number, (name, _, _) in _noted(connection).items()}


def refuse_later(applied: Mapping[int, str], migrations: list[Migration], label: str) -> None:
    """Refuse a schema with migrations that this program lacks. Raises `WrongUsage`."""
    for number, name in applied.items():
        if number > len(migrations):
            raise WrongUsage(
                f"The schema of {label} was made by a newer facesets (migration {name}). Upgrade facesets."
            )


def _check(applied: dict[int, tuple[str, str, str]], migrations: list[Migration], label: str) -> None:
    refuse_later({number: name for number, (name, _, _) in applied.items()}, migrations, label)
    for number, (name, checksum, _) in applied.items():
        if migrations[number - 1].checksum != checksum:
            raise WrongUsage(
                f"Migration {name} was edited after it was applied to {label}. Restore the original file."
            )


def former_tables(applied: Iterable[Migration]) -> set[str]:
    """Return the names of tables that these migrations dropped, or renamed, and did not make again."""
    former: set[str] = set()
    for migration in applied:
        for made, dropped, old, new in _TABLE.findall(migration.sql):
            former |= {dropped, old} - {""}
            former -= {made, new}
    return former


def _check_tables(connection: Connection, applied: list[Migration], label: str) -> None:
    former = former_tables(applied)
    tables = [table for each in applied for table in each.made("TABLE") if table not in former]
    removed = connection.execute(
        "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL ORDER BY name", (tables,)
    ).fetchall()
    if removed:
        raise SchemaOutdated(
            f"The table {removed[0][0]} was removed from the schema of {label}. Restore a backup: "
            f"{Command('db restore', 'FILE', Field('replace'))}."
        )


def identity_of(connection: Connection) -> str:
    """Return the creation time of the schema, unique to the library and preserved by backups."""
    made = connection.scalar("SELECT applied_at FROM schema_migrations WHERE number = 1")
    return "" if made is None else made.astimezone(UTC).strftime("library-%Y%m%d-%H%M%S-%f")
