"""Restore a library from a backup in one transaction, all or nothing.

pg_restore makes the script, and the session runs it. So the migration afterwards is part of the same
transaction, and a backup cannot give commands to psql.
"""

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, cast

import psycopg
from psycopg import errors

from facesets.errors import AlreadyRunning, FacesetsError, WrongUsage
from facesets.files import printable
from facesets.store.postgres.connection import Connection, set_up_session
from facesets.store.postgres.migrate import Migration, check_database, migrate_within, take_schema_lock
from facesets.store.postgres.queue.schema import install_within
from facesets.store.postgres.refusals import translated
from facesets.store.postgres.server.contents import (
    MIGRATIONS,
    drop_library,
    holds_others,
    home_of,
    ours_and_others,
    unreadable,
)
from facesets.store.postgres.server.tools import client_program

_WAITS_FOR_OTHERS = "30s"
_COPY_AT_ONCE = 1 << 16
_COPY = re.compile(rb"COPY .+ FROM stdin;\r?\n")
_EXTENSION = re.compile(rb"CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA (\S+);")
_COLUMN_OPTIONS = re.compile(rb"(ALTER TABLE (?:ONLY )?.+ ALTER COLUMN .+ SET \()(.+)(\);\r?\n)")
# Commands for psql, and settings unknown to servers before 17.
_NOT_FOR_ALL = (b"\\restrict ", b"\\unrestrict ", b"SET transaction_timeout = ")


def restore(
    connection: Connection, path: Path, migrations: list[Migration], label: str, *, replace: bool
) -> list[str]:
    """Restore a database from a backup and upgrade it; the server may be older than the backup's.

    Objects of other programs, including the extension `vector`, are left alone. If there are any, or the
    server cannot restore objects of others, only the library's are restored from the backup.

    Returns
    -------
    list of str
        Tables, views and extensions of others in the backup that were left out.

    Raises
    ------
    WrongUsage
        An object of others depends on the library's, the schema or the queue is a later program's, the
        extension `vector` is missing or in another schema than the backup's, or the search path does not
        lead to the library's schema.
    AlreadyRunning
        Others work on the library.
    DamagedFile
        The file is not whole.
    CannotWrite, Unreachable, FacesetsError
        PostgreSQL refused.
    """
    with _refusals(label), connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (_WAITS_FOR_OTHERS,))
        take_schema_lock(connection)
        _require_idle(connection, label)
        if replace:
            drop_library(connection, migrations, label)
        check_database(connection)
        left_out = _load_library(connection, path, migrations)
        # Restore the session settings that the script changed.
        connection.execute("RESET ALL")
        set_up_session(connection)
        _require_found(connection, home_of(path, migrations))
        migrate_within(connection, migrations)
        # Servers before 17 cannot use an enum value in the transaction that adds it: then `migrate` does it.
        with suppress(errors.UnsafeNewEnumValueUsage), connection.transaction():
            install_within(connection, label)
    return left_out


@contextmanager
def _refusals(label: str) -> Iterator[None]:
    """Translate the server's errors."""
    try:
        yield
    except errors.LockNotAvailable as error:
        raise _in_use(label) from error
    except errors.DependentObjectsStillExist as error:
        why = (error.diag.message_detail or str(error)).splitlines()[0].rstrip(".")
        raise WrongUsage(
            f"Nothing was restored because in {label} {printable(why)}. Another program's objects "
            "depend on the library: drop them, restore, then create them again."
        ) from error
    except (psycopg.OperationalError, errors.InsufficientPrivilege) as error:
        raise translated(error, label) from error
    except psycopg.Error as error:
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise FacesetsError(f"Nothing was restored. PostgreSQL reports “{printable(message)}”.") from error


def _require_idle(connection: Connection, label: str) -> None:
    """Refuse while a command works on the library: it could write old data into the new library."""
    working = connection.scalar(
        """SELECT EXISTS (SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
    )
    if working:
        raise _in_use(label)


def _in_use(label: str) -> AlreadyRunning:
    return AlreadyRunning(
        f"Another program is working on {label}. Nothing was changed. Wait until it has ended, then "
        "try again."
    )


def _load_library(connection: Connection, path: Path, migrations: list[Migration]) -> list[str]:
    if not holds_others(connection):
        # Objects of others may need objects missing from the backup because its user cannot read them, or one
        # needs an extension that the server lacks, which is another error before PostgreSQL 15.
        lacking = (psycopg.ProgrammingError, errors.FeatureNotSupported, errors.UndefinedFile)
        with suppress(*lacking), connection.transaction():
            _load(connection, path, None)
            return []
    ours, others = ours_and_others(path, migrations)
    _load(connection, path, ours)
    return others


def _load(connection: Connection, path: Path, only: Iterable[str] | None) -> None:
    """Load a backup: all of it, or only these lines of its table of contents."""
    command = [client_program("pg_restore"), "--no-owner", "--no-privileges", "--no-comments", "--file=-"]
    with TemporaryDirectory() as folder, TemporaryFile() as errors_file:
        if only is not None:
            contents = Path(folder) / "contents"
            contents.write_text("\n".join(only) + "\n", "utf-8")
            command.append(f"--use-list={contents}")
        with subprocess.Popen([*command, str(path)], stdout=subprocess.PIPE, stderr=errors_file) as source:  # noqa: S603
            try:
                _run_script(connection, cast("IO[bytes]", source.stdout))
                is_whole = source.wait() == 0
            except _CutOff:
                is_whole = False
        if not is_whole:
            errors_file.seek(0)
            raise unreadable(errors_file.read(), path)


def _run_script(connection: Connection, script: IO[bytes]) -> None:
    """Run a script of pg_restore. Raises `_CutOff`."""
    # The server may end long transactions.
    connection.execute(
        "SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'"
    )
    statements: list[bytes] = []
    for line in script:
        if _COPY.fullmatch(line):
            connection.execute(b"".join(statements))
            statements.clear()
            _copy(connection, line, script)
        else:
            statements.append(_understood(connection, line))
    connection.execute(b"".join(statements))


def _understood(connection: Connection, line: bytes) -> bytes:
    """Return a line without settings that some servers lack, and without the existing extension.

    Servers with the security updates of November 2026 store an internal number with every column,
    `pg_attver`, which an earlier pg_dump puts into a backup as if it were an option.
    """
    if line.startswith(_NOT_FOR_ALL):
        return b""
    if extension := _EXTENSION.match(line):
        _require_extension_in(connection, extension[1].decode())
        return b""
    if column := _COLUMN_OPTIONS.fullmatch(line):
        known = [option for option in column[2].split(b", ") if option.startswith(b"n_distinct")]
        return column[1] + b", ".join(known) + column[3] if known else b""
    return line


def _require_extension_in(connection: Connection, schema: str) -> None:
    found = connection.scalar(
        "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = extnamespace"
        " WHERE extname = 'vector'"
    )
    if found in {None, schema}:
        return
    raise WrongUsage(
        f"The backup expects the extension vector in the schema {printable(schema)}, but the database has it "
        f"in {printable(found)}. Ask its owner to run `ALTER EXTENSION vector SET SCHEMA "
        f"{printable(schema)};`, then try again."
    )


class _CutOff(Exception):
    """The script ends within rows."""


def _copy(connection: Connection, statement: bytes, script: IO[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in _blocks(script):
            copy.write(block)


def _blocks(script: IO[bytes]) -> Iterator[bytes]:
    """Yield rows up to their end line. Raises `_CutOff`."""
    lines: list[bytes] = []
    size = 0
    for line in script:
        if line.rstrip(b"\r\n") == b"\\.":
            yield b"".join(lines)
            return
        lines.append(line)
        size += len(line)
        if size >= _COPY_AT_ONCE:
            yield b"".join(lines)
            lines.clear()
            size = 0
    raise _CutOff


def _require_found(connection: Connection, home: str) -> None:
    """Check that the restored library is the one that will be migrated."""
    found, schema, user = connection.one(
        "SELECT coalesce(to_regclass(%s) = to_regclass(format('%%I.%%I', %s::text, %s::text)), false),"
        " quote_ident(%s), quote_ident(current_user)",
        (MIGRATIONS, home, MIGRATIONS, home),
    )
    if not found:
        raise WrongUsage(
            f"Nothing was restored: the backup has its library in the schema {printable(schema)}, where this "
            "user's search path does not find it. Have the database's owner run "
            f"`ALTER ROLE {printable(user)} SET search_path = {printable(schema)}, public;`, then try again."
        )
