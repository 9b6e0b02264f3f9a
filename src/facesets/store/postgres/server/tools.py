"""Run psql, and pg_dump for a backup; `restoring` restores it."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg import ProgrammingError, conninfo

from facesets.errors import CannotWrite, FacesetsError, Field, Sentence, WrongUsage
from facesets.files import FileLock, atomic_write, printable, sweep_temporaries
from facesets.store.postgres.connection import Connection, Database, check_conninfo
from facesets.store.postgres.migrate import applied_names
from facesets.store.postgres.server.programs import client_programs, program

_MASK = "*" * 4
_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_SERVICE = "facesets"


@contextmanager
def _without_secrets(text: str, environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Return a command line without secrets, and an environment with them.

    Values that no variable can hold are written to a private file that exists during the block.
    """
    parts = conninfo.conninfo_to_dict(check_conninfo(text))
    secrets = {name: str(parts.pop(name)) for name in _SECRETS if parts.get(name)}
    password = secrets.pop("password", None)
    variables = {**environment, **({"PGPASSWORD": password} if password else {})}
    if not secrets:
        yield _joined(parts), variables
        return
    with TemporaryDirectory() as folder:
        service = Path(folder) / "pg_service.conf"
        lines = [f"[{_SERVICE}]", *(f"{name}={value}" for name, value in secrets.items())]
        service.write_text("\n".join(lines) + "\n", "utf-8")
        yield _joined(parts), {**variables, "PGSERVICEFILE": str(service), "PGSERVICE": _SERVICE}


def _joined(parts: Mapping[str, str | int | None]) -> str:
    return conninfo.make_conninfo(**{name: str(value) for name, value in parts.items() if value is not None})


def masked(text: str) -> str:
    """Return the connection string with all secrets masked."""
    parts = conninfo.conninfo_to_dict(check_conninfo(text))
    return _joined({name: _MASK if value and name in _SECRETS else value for name, value in parts.items()})


def holds_secret(text: str) -> bool:
    """Whether a connection string may contain a secret."""
    try:
        parts = conninfo.conninfo_to_dict(text)
    except ProgrammingError:
        return "@" in text or "password" in text
    return any(parts.get(name) for name in _SECRETS)


def psql(text: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run psql on the terminal; returns its exit status."""
    with _without_secrets(text, environment) as (named, variables):
        command = [client_program("psql"), "-d", named, *arguments]
        return subprocess.run(command, env=variables, check=False).returncode  # noqa: S603


_DUMP = b"PGDMP"
_NAME_ANOTHER = Sentence(f"Give the right one with {Field('database')}, DATABASE_URL or FACESETS_DATA")


def backup(text: str, path: Path, environment: Mapping[str, str], without: Iterable[str] = ()) -> int:
    """Write the whole library to one file, all or nothing; return its size in bytes.

    It holds everything in the database, except tables of these patterns. Only its owner may read the
    file, because it holds faces. An existing file is replaced: see `require_free` and `require_worth`.

    Raises
    ------
    CannotWrite
        The file cannot be written.
    AlreadyRunning
        Another backup into the same file is in progress.
    FacesetsError
        PostgreSQL's pg_dump failed; the sentence quotes it.
    """
    command = [client_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"]
    command += [f"--exclude-table={pattern}" for pattern in without]
    with (
        FileLock(path.with_name(path.name + ".lock"), what=f"the backup {printable(path)}"),
        _without_secrets(text, environment) as (named, variables),
    ):
        sweep_temporaries(path)
        with atomic_write(path) as file:
            done = subprocess.run(  # noqa: S603
                [*command, "-d", named], stdout=file, stderr=subprocess.PIPE, env=variables, check=False
            )
            if done.returncode:
                error = first_error(done.stderr)
                if "No space left" in error:
                    raise CannotWrite(f"No space left to write {printable(path)}.")
                raise FacesetsError(f"The backup failed. pg_dump reports “{error}”.")
    return path.stat().st_size


def require_free(path: Path, *, replace: bool) -> None:
    """Check that a backup may be written to a path.

    Raises
    ------
    CannotWrite
        The path is not a backup.
    WrongUsage
        There is a backup already, which may not be replaced; or the folder is missing.
    """
    if not path.parent.is_dir():
        raise WrongUsage(f"Folder not found: {printable(path.parent)}. Mount its disk, or create the folder.")
    if not path.exists():
        return
    if not path.is_file() or not is_backup(path):
        raise CannotWrite(f"{printable(path)} exists and is not a backup. Choose another file name.")
    if not replace:
        raise WrongUsage(
            f"{printable(path)} already exists. Choose another file name, or overwrite it with "
            f"{Field('replace')}."
        )


def require_worth(database: Database, path: Path) -> None:
    """Check that there is a library to back up, so that an empty one replaces no backup.

    Raises
    ------
    WrongUsage
        The database has no library; or the library is empty and the file is a backup.
    """
    if not database.run(holds_library):
        raise WrongUsage(f"There is no library in {database.label}. {_NAME_ANOTHER}.")
    if not database.run(_holds_images) and path.exists():
        raise WrongUsage(
            f"There are no photos in {database.label}, so it does not replace the backup in "
            f"{printable(path)}. {_NAME_ANOTHER}, or choose another file."
        )


def database_bytes(connection: Connection) -> int:
    """Return the size of the database on disk."""
    return int(connection.scalar("SELECT pg_database_size(current_database())"))


def is_backup(path: Path) -> bool:
    """Whether a file begins like a backup."""
    with path.open("rb") as file:
        return file.read(len(_DUMP)) == _DUMP


def holds_library(connection: Connection) -> bool:
    """Whether the database holds a library. Raises `WrongUsage` for conflicting tables of another program."""
    applied = applied_names(connection)
    return bool(applied) or bool(connection.scalar("SELECT to_regclass('schema_migrations') IS NOT NULL"))


def _holds_images(connection: Connection) -> bool:
    return bool(connection.scalar("SELECT EXISTS (SELECT FROM images)"))


def client_program(name: str) -> str:
    """Find one of PostgreSQL's client programs: bundled, else the system's. Raises `WrongUsage`."""
    directory = client_programs()
    path = str(program(directory, name)) if directory else shutil.which(name)
    if path is None:
        raise WrongUsage(f"{name} is not installed. Install PostgreSQL's client programs.")
    return path


def first_error(output: bytes) -> str:
    """Return the first error in the output of a program."""
    text = output.decode("utf-8", "replace")
    errors = re.findall(r"error: *(.+)", text, re.IGNORECASE)
    return printable(errors[0].strip() if errors else text[:200])
