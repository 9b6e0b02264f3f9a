"""PostgreSQL's client programs on a library: psql, backup, restore."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from psycopg import conninfo

from facesets.errors import CannotWrite, DamagedFile, FacesetsError, WrongUsage
from facesets.files import atomic_write, printable
from facesets.store.postgres.connection import Connection, check_conninfo, only_row
from facesets.store.postgres.programs import client_programs

_MASK = "*" * 4


def _without_password(text: str) -> tuple[str, dict[str, str]]:
    """What a command line may hold, which everybody can read, and the password for the environment."""
    parts = conninfo.conninfo_to_dict(check_conninfo(text))
    password = parts.pop("password", None)
    return _joined(parts), {"PGPASSWORD": str(password)} if password else {}


def _joined(parts: Mapping[str, str | int | None]) -> str:
    return conninfo.make_conninfo(**{name: str(value) for name, value in parts.items() if value is not None})


def masked(text: str) -> str:
    """The connection string with the password made unreadable."""
    parts = conninfo.conninfo_to_dict(check_conninfo(text))
    if parts.get("password"):
        parts["password"] = _MASK
    return _joined(parts)


def psql(text: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run psql on the terminal; returns its exit status."""
    named, secret = _without_password(text)
    command = [_program("psql"), "-d", named, *arguments]
    return subprocess.run(command, env={**environment, **secret}, check=False).returncode  # noqa: S603


_DUMP = b"PGDMP"


def backup(text: str, path: Path, environment: Mapping[str, str], *, replace: bool) -> int:
    """Write the whole library into one file, whole or not at all; returns its size in bytes.

    Raises
    ------
    WrongUsage, CannotWrite
        The file may not be overwritten (see `require_free`), or cannot be written.
    FacesetsError
        PostgreSQL's pg_dump failed; the sentence holds what it said.
    """
    require_free(path, replace=replace)
    named, secret = _without_password(text)
    command = [_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "-d", named]
    with atomic_write(path) as file:
        done = subprocess.run(  # noqa: S603
            command, stdout=file, stderr=subprocess.PIPE, env={**environment, **secret}, check=False
        )
        if done.returncode:
            said = _last_line(done.stderr)
            if "No space left" in said:
                raise CannotWrite(f"No space left to write {printable(path)}.")
            raise FacesetsError(f"The backup failed: pg_dump says “{said}”.")
    return path.stat().st_size


def require_free(path: Path, *, replace: bool) -> None:
    """Check that a backup may be written there: nothing is there, or a backup that is to be replaced.

    Raises
    ------
    CannotWrite
        Something else is there.
    WrongUsage
        A backup is there, and is not to be replaced.
    """
    if not path.exists():
        return
    if not path.is_file() or _beginning(path) != _DUMP:
        raise CannotWrite(f"{printable(path)} is no backup, and is not overwritten. Choose another name.")
    if not replace:
        raise WrongUsage(
            f"There is a backup in {printable(path)} already. Choose another name, or --replace to lose it."
        )


def database_bytes(connection: Connection) -> int:
    """Size of the whole database on its disk."""
    return int(only_row(connection.execute("SELECT pg_database_size(current_database())"))[0])


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_DUMP))


def restore(text: str, path: Path, environment: Mapping[str, str], *, replace: bool) -> None:
    """Fill a database from a backup, in one transaction.

    Raises
    ------
    DamagedFile
        The file is no backup.
    FacesetsError
        PostgreSQL's pg_restore failed, and nothing was changed.
    """
    require_backup(path)
    named, secret = _without_password(text)
    options = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    if replace:
        options += ["--clean", "--if-exists"]
    done = subprocess.run(  # noqa: S603
        [_program("pg_restore"), *options, "-d", named, str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**environment, **secret},
        check=False,
    )
    if done.returncode:
        raise FacesetsError(f"Nothing was restored: pg_restore says “{_last_line(done.stderr)}”.")


def require_backup(path: Path) -> None:
    """Check that a file is a backup. Raises `DamagedFile`; `WrongUsage` where there is no file."""
    if not path.is_file():
        raise WrongUsage(f"There is no file {printable(path)}.")
    if _beginning(path) != _DUMP:
        raise DamagedFile(f"{printable(path)} is no backup made by `facesets db backup`.")


def holds_library(connection: Connection) -> bool:
    """Whether there are tables of ours already."""
    row = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    return bool(row and row[0])


def _program(name: str) -> str:
    directory = client_programs()
    path = str(directory / name) if directory else shutil.which(name)
    if path is None:
        raise WrongUsage(f"There is no {name} on this machine. Install PostgreSQL's client programs.")
    return path


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").strip().splitlines() if "error:" in line]
    return (
        printable(lines[0].partition("error:")[2].strip())
        if lines
        else printable(said.decode("utf-8", "replace")[:200])
    )
