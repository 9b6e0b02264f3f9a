"""What is in a backup, by its table of contents: which schema has the library, and what is others'."""

import re
import subprocess
from collections.abc import Container, Iterator
from pathlib import Path

from facesets.errors import Command, DamagedFile, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.store.postgres.migrate import Migration, refuse_later
from facesets.store.postgres.own_objects import names_of
from facesets.store.postgres.queue.schema import SCHEMA
from facesets.store.postgres.server.tools import client_program, first_error, is_backup

MIGRATIONS = "schema_migrations"
_COLUMNS = 4
"""Of that table: number, name, checksum, time."""

_TELLING = ("TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "EXTENSION")
"""Kinds by which people know what another program keeps; the rest belongs to these."""

_DAMAGED = re.compile(rb"pg_restore: error: (?!unsupported|could not (?:open|write))")
_ENTRY = re.compile(r"\d+; \d+ \d+ ([A-Z ]+) (\S+) (.+) \S*")
_PART = re.compile(
    r"^CREATE (?:UNIQUE )?INDEX (?P<index>\S+) ON (?:ONLY )?(?P<indexed>\S+)"
    r"|^ALTER TABLE (?P<table>\S+) ALTER COLUMN .+ AS IDENTITY \(\r?\n +SEQUENCE NAME (?P<sequence>\S+)",
    re.MULTILINE,
)


def require_backup(path: Path, migrations: list[Migration]) -> None:
    """Check that a file is the backup of a library which this program can bring up to date.

    Raises
    ------
    WrongUsage
        There is no such file, or a later program made it.
    DamagedFile
        It is no backup, not whole, or one of something else.
    FacesetsError
        PostgreSQL's pg_restore cannot read it.
    """
    if not path.is_file():
        raise WrongUsage(f"There is no file {printable(path)}.")
    if not is_backup(path):
        raise DamagedFile(f"{printable(path)} is no backup made by {Command('db backup')}.")
    home = home_of(path, migrations)
    script = _said(path, "--data-only", f"--schema={home}", f"--table={MIGRATIONS}", "--file=-")
    rows = [row for line in script.splitlines() if len(row := line.split("\t")) == _COLUMNS]
    applied = {int(row[0]): row[1] for row in rows if row[0].isdecimal()}
    if not applied:
        raise _no_library(path)
    refuse_later(applied, migrations, printable(path))


def home_of(path: Path, migrations: list[Migration]) -> str:
    """The schema that has the library: another program's may have a table of the migrations' name as well.

    Raises `DamagedFile` where there is none.
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
    """The lines of the table of contents about the library and its queue; and names of what else is there."""
    entries = list(_entries(path))
    home = home_of(path, migrations)
    has_queue = any(entry[:3] == ("TABLE", SCHEMA, "applied") for entry in entries)
    relations, functions = names_of(migrations)
    tables = {f"{home}.{name}" for name in relations}
    names = {*relations, *functions, *_parts(_said(path, "--schema-only", "--file=-"), tables)}

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
    """Names of the indexes and sequences of some tables, of which the table of contents does not tell."""
    for part in _PART.finditer(script):
        if (part["indexed"] or part["table"]) in tables:
            yield part["index"] or part["sequence"].rpartition(".")[2]


def _entries(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Kind, schema and name of what is in a backup, each with its line; a table's parts go by its name."""
    for line in _said(path, "--list").splitlines():
        if entry := _ENTRY.fullmatch(line):
            yield entry[1], entry[2], re.split(r"[ (]", entry[3])[0], line


def _said(path: Path, *options: str) -> str:
    command = [client_program("pg_restore"), *options, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise unreadable(done.stderr, path)
    return done.stdout.decode("utf-8", "surrogateescape")


def unreadable(said: bytes, path: Path) -> FacesetsError:
    """What it means that pg_restore says this of a backup."""
    error = first_error(said)
    if "unsupported version" in error:
        return WrongUsage(
            f"{printable(path)} was written by a later pg_dump than the pg_restore of this machine can read. "
            "Install PostgreSQL's client programs of that version, or dump with those of this machine."
        )
    if _DAMAGED.match(said) or not said:
        return DamagedFile(
            f"{printable(path)} is incomplete or damaged, and nothing was restored (PostgreSQL says "
            f"“{error}”). Copy it again from where it was made, or choose another backup."
        )
    return FacesetsError(f"Nothing was restored: PostgreSQL says “{error}”.")
