"""Which parts of a backup or database belong to the library, not to other programs."""

import re
import subprocess
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import Command, DamagedFile, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.migrate import Migration, applied_names, former_tables, refuse_later
from facesets.store.postgres.queue.schema import SCHEMA, is_made
from facesets.store.postgres.server.tools import client_program, first_error, is_backup

MIGRATIONS = "schema_migrations"
_COLUMNS = 4
"""Number of columns of that table: number, name, checksum, time."""

_TELLING = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "EXTENSION")
"""Kinds of objects to report for other programs."""

_DAMAGED = re.compile(rb"pg_restore: error: (?!unsupported|could not (?:open|write))")
_ENTRY = re.compile(r"\d+; \d+ \d+ ([A-Z ]+) (\S+) (.+) \S*")
_PART = re.compile(
    r"^CREATE (?:UNIQUE )?INDEX (?P<index>\S+) ON (?:ONLY )?(?P<indexed>\S+)"
    r"|^ALTER TABLE (?P<table>\S+) ALTER COLUMN .+ AS IDENTITY \(\r?\n +SEQUENCE NAME (?P<sequence>\S+)",
    re.MULTILINE,
)


def require_backup(path: Path, migrations: list[Migration]) -> None:
    """Check that a file is a backup of a library that this program can upgrade.

    Raises
    ------
    WrongUsage
        The file is missing, or a later version made it.
    DamagedFile
        It is not a backup, is incomplete, or is one of something else.
    FacesetsError
        PostgreSQL's pg_restore cannot read it.
    """
    if not path.is_file():
        raise WrongUsage(f"File not found: {printable(path)}.")
    if not is_backup(path):
        raise DamagedFile(f"{printable(path)} is not a backup made by {Command('db backup')}.")
    home = home_of(path, migrations)
    script = _pg_restore_output(path, "--data-only", f"--schema={home}", f"--table={MIGRATIONS}", "--file=-")
    rows = [row for line in script.splitlines() if len(row := line.split("\t")) == _COLUMNS]
    applied = {int(row[0]): row[1] for row in rows if row[0].isdecimal()}
    if not applied:
        raise _no_library(path)
    refuse_later(applied, migrations, printable(path))


def home_of(path: Path, migrations: list[Migration]) -> str:
    """Return the schema of the library in a backup.

    Raises `DamagedFile` if there is none.
    """
    tables: dict[str, set[str]] = {}
    for kind, schema, name, _ in _entries(path):
        if kind == "TABLE":
            tables.setdefault(schema, set()).add(name)
    first = {MIGRATIONS, *migrations[0].made("TABLE")}
    home = next((schema for schema, names in tables.items() if first <= names), None)
    if home is None:
        raise _no_library(path)
    return home


def _no_library(path: Path) -> DamagedFile:
    return DamagedFile(f"{printable(path)} holds no library. Choose another backup.")


def ours_and_others(path: Path, migrations: list[Migration]) -> tuple[list[str], list[str]]:
    """Return the table of contents of the library and its queue, and the names of all else."""
    entries = list(_entries(path))
    home = home_of(path, migrations)
    has_queue = any(entry[:3] == ("TABLE", SCHEMA, "applied") for entry in entries)
    relations, functions = _names_of(migrations)
    tables = {f"{home}.{name}" for name in relations}
    names = {*relations, *functions, *_parts(_pg_restore_output(path, "--schema-only", "--file=-"), tables)}

    def is_ours(kind: str, schema: str, name: str) -> bool:
        if schema == "-":
            return (kind, name) == ("EXTENSION", "vector") or (
                has_queue and (kind, name) == ("SCHEMA", SCHEMA)
            )
        return (schema == home and name in names) or (has_queue and schema == SCHEMA)

    ours = [line for *entry, line in entries if is_ours(*entry)]
    others = [
        name if schema == "-" else f"{schema}.{name}"
        for kind, schema, name, _ in entries
        if kind in _TELLING and not is_ours(kind, schema, name)
    ]
    return ours, others


def _parts(script: str, tables: Container[str]) -> Iterator[str]:
    """Return the indexes and sequences of some tables."""
    for part in _PART.finditer(script):
        if (part["indexed"] or part["table"]) in tables:
            yield part["index"] or part["sequence"].rpartition(".")[2]


def _entries(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, schema and name of each object in a backup, with its line."""
    for line in _pg_restore_output(path, "--list").splitlines():
        if entry := _ENTRY.fullmatch(line):
            yield entry[1], entry[2], re.split(r"[ (]", entry[3])[0], line


def _pg_restore_output(path: Path, *options: str) -> str:
    command = [client_program("pg_restore"), *options, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise unreadable(done.stderr, path)
    return done.stdout.decode("utf-8", "surrogateescape")


def unreadable(output: bytes, path: Path) -> FacesetsError:
    """Explain an error of pg_restore about a backup."""
    error = first_error(output)
    if "unsupported version" in error:
        return WrongUsage(
            f"{printable(path)} was made by a newer pg_dump than the pg_restore on this machine can "
            "read. Install PostgreSQL's client programs of that version, or make the backup with the "
            "version of this machine."
        )
    if _DAMAGED.match(output) or not output:
        return DamagedFile(
            f"{printable(path)} is incomplete or damaged. Nothing was restored (PostgreSQL reports "
            f"“{error}”). Copy the file again, or use another backup."
        )
    return FacesetsError(f"Nothing was restored. PostgreSQL reports “{error}”.")


_RELATIONS = ("TABLE", "VIEW", "SEQUENCE")


def _names_of(migrations: Iterable[Migration]) -> tuple[list[str], list[str]]:
    """Return the names of the tables, views, sequences and functions of some migrations."""
    relations, functions = ["schema_migrations"], []
    for migration in migrations:
        relations += migration.made(*_RELATIONS)
        functions += migration.made("FUNCTION")
    return relations, functions


def drop_library(connection: Connection, migrations: list[Migration], label: str) -> None:
    """Drop what the applied migrations made, and the queue; nothing of other programs.

    Our objects are identified by name: a name of a later migration may be another program's. Nothing
    cascades, so the server refuses if another program's object depends on ours.

    Raises
    ------
    WrongUsage
        A later program made the library, or the tables are another program's.
    """
    applied = applied_names(connection)
    refuse_later(applied, migrations, label)
    ran = [migration for migration in migrations if migration.number in applied]
    relations, functions = _names_of(ran)
    # A name that a table of ours had once may be another program's by now.
    ours = [name for name in relations if name not in former_tables(ran)]
    named = {"relations": ours, "functions": functions, "queue": is_made(connection)}
    for statement in connection.scalars(_DROPS, named):
        # Names are quoted by the server.
        connection.execute(statement.encode())


# Triggers first: functions of a queue need its tables, and triggers of these need its functions.
_DROPS = """
    WITH relations AS (
        SELECT oid, oid::regclass AS name, relkind FROM pg_class
        WHERE oid IN (SELECT to_regclass(name) FROM unnest(%(relations)s::text[]) AS name)
            OR (%(queue)s AND relnamespace = to_regnamespace('queue'))
    ), routines AS (
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE oid IN (SELECT to_regproc(name) FROM unnest(%(functions)s::text[]) AS name)
            OR (%(queue)s AND pronamespace = to_regnamespace('queue'))
    ), drops AS (
        SELECT 1 AS place, format('DROP TRIGGER %%I ON %%s', tgname, r.name) AS statement
        FROM pg_trigger JOIN relations r ON r.oid = tgrelid WHERE NOT tgisinternal
        UNION ALL SELECT 2, 'DROP ROUTINE ' || string_agg(name::text, ', ') FROM routines
        UNION ALL SELECT 3, 'DROP VIEW ' || string_agg(name::text, ', ') FROM relations WHERE relkind = 'v'
        UNION ALL SELECT 4, 'DROP TABLE ' || string_agg(name::text, ', ') FROM relations
            WHERE relkind IN ('r', 'p')
        UNION ALL SELECT 5, 'DROP SEQUENCE IF EXISTS ' || string_agg(name::text, ', ') FROM relations
            WHERE relkind = 'S'
        UNION ALL SELECT 6, 'DROP TYPE ' || string_agg(t.oid::regtype::text, ', ')
            FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
            WHERE %(queue)s AND typnamespace = to_regnamespace('queue')
                AND (typtype IN ('e', 'd') OR relkind = 'c')
        UNION ALL SELECT 7, 'DROP SCHEMA queue' WHERE %(queue)s
    )
    SELECT statement FROM drops WHERE statement IS NOT NULL ORDER BY place, statement"""


def holds_others(connection: Connection) -> bool:
    """Whether the database has other objects or schemas."""
    return bool(connection.scalar(_OTHERS))


_OTHERS = """
    WITH schemas AS (
        SELECT oid, nspname FROM pg_namespace
        WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'
    ), objects AS (
        SELECT 'pg_class'::regclass AS catalog, c.oid
            FROM pg_class c JOIN schemas s ON s.oid = relnamespace WHERE relkind <> 'i'
        UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p JOIN schemas s ON s.oid = pronamespace
        UNION ALL SELECT 'pg_type'::regclass, t.oid
            FROM pg_type t JOIN schemas s ON s.oid = typnamespace WHERE typtype IN ('e', 'd', 'r')
        UNION ALL SELECT 'pg_namespace'::regclass, oid FROM schemas WHERE nspname <> 'public'
    )
    SELECT EXISTS (SELECT FROM objects o WHERE NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = o.catalog AND objid = o.oid AND deptype = 'e'))"""


def closed_tables(connection: Connection, migrations: list[Migration]) -> dict[str, str]:
    """Return tables of other programs that this user cannot read, by pattern."""
    rows = connection.execute(
        """SELECT format('"%%s"."%%s"', replace(nspname, '"', '""'), replace(relname, '"', '""')),
                nspname || '.' || relname
            FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND nspname NOT IN ('information_schema', 'queue')
                AND nspname NOT LIKE 'pg\\_%%'
                AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
                AND c.oid NOT IN (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name
                    WHERE to_regclass(name) IS NOT NULL)""",
        (_names_of(migrations)[0],),
    )
    return dict(rows.fetchall())


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of a database user on the library.

    Attributes
    ----------
    schema : str
        The schema for new tables; empty if the search path names no existing schema.
    forbidden : sequence of str
        Tables that the user may not read, change or truncate, and sequences the user may not use.
    owners : sequence of str
        Owners of the tables that the user does not own.
    """

    user: str
    schema: str
    may_create: bool
    is_read_only: bool
    tables: int
    forbidden: list[str]
    owners: list[str]


def privileges_of(connection: Connection, migrations: list[Migration]) -> Rights:
    """Return the rights of this session's user on the library."""
    row = connection.one(
        """WITH named AS (
                SELECT to_regclass(name) AS oid FROM unnest(%s::text[]) AS name
            ), relations AS (
                SELECT oid, relowner, relkind FROM pg_class
                WHERE oid IN (SELECT oid FROM named) OR (relkind = 'S' AND oid IN (
                    SELECT objid FROM pg_depend JOIN named ON refobjid = oid
                    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
                        AND deptype IN ('a', 'i')))
            )
            SELECT quote_ident(current_user), coalesce(quote_ident(current_schema()), ''),
                coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
                current_setting('transaction_read_only')::boolean,
                count(*) FILTER (WHERE relkind <> 'S'),
                coalesce(array_agg(oid::regclass::text ORDER BY oid) FILTER (WHERE NOT CASE relkind
                    WHEN 'S' THEN has_sequence_privilege(oid, 'USAGE')
                        AND has_sequence_privilege(oid, 'SELECT')
                    WHEN 'v' THEN has_table_privilege(oid, 'SELECT')
                    ELSE has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
                        AND has_table_privilege(oid, 'TRUNCATE') END), '{}'),
                coalesce(array_agg(DISTINCT pg_get_userbyid(relowner)::text)
                    FILTER (WHERE NOT pg_has_role(relowner, 'USAGE')), '{}')
            FROM relations""",
        (_names_of(migrations)[0],),
    )
    return Rights(*row)
