"""PostgreSQL's client programs on a library: psql, and pg_dump for a backup; the way back is `restoring`."""

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
    """What a command line may hold, which everybody can read, and an environment with the rest.

    What no variable can hold goes into a file that is there for the block, and that only we can read.
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
    """The connection string with all secrets made unreadable."""
    parts = conninfo.conninfo_to_dict(check_conninfo(text))
    return _joined({name: _MASK if value and name in _SECRETS else value for name, value in parts.items()})


def holds_secret(text: str) -> bool:
    """Whether there may be a secret in a connection string."""
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
_NAME_ANOTHER = Sentence(f"Name the right one with {Field('database')}, DATABASE_URL or FACESETS_DATA")


def backup(text: str, path: Path, environment: Mapping[str, str], without: Iterable[str] = ()) -> int:
    """Write the whole library into one file, whole or not at all; returns its size in bytes.

    It comes with all that is in the database, but for tables of these patterns. Only its owner may read the
    file, for it holds people's faces. What is there is replaced: see `require_free` and `require_worth`.

    Raises
    ------
    CannotWrite
        The file cannot be written.
    AlreadyRunning
        Another backup into the same file is going on.
    FacesetsError
        PostgreSQL's pg_dump failed; the sentence holds what it said.
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
                said = first_error(done.stderr)
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
        A backup is there, and is not to be replaced; or its folder is missing.
    """
    if not path.parent.is_dir():
        raise WrongUsage(
            f"There is no folder {printable(path.parent)}. Is its disk mounted? Make the folder if it is new."
        )
    if not path.exists():
        return
    if not path.is_file() or not is_backup(path):
        raise CannotWrite(f"{printable(path)} is no backup, and is not overwritten. Choose another name.")
    if not replace:
        raise WrongUsage(
            f"There is a backup in {printable(path)} already. Choose another name, or "
            f"{Field('replace')} to lose it."
        )


def require_worth(database: Database, path: Path) -> None:
    """Check that there is something to back up, so that the backup of a library gives way to no empty one.

    Raises
    ------
    WrongUsage
        There is no library in the database; or it holds no image, and a backup is there.
    """
    if not database.run(holds_library):
        raise WrongUsage(f"There is no library in {database.label}. {_NAME_ANOTHER}.")
    if not database.run(_holds_images) and path.exists():
        raise WrongUsage(
            f"The library in {database.label} holds no images, and does not replace the backup in "
            f"{printable(path)}. {_NAME_ANOTHER}, or choose another file."
        )


def database_bytes(connection: Connection) -> int:
    """Size of the whole database on its disk."""
    return int(connection.scalar("SELECT pg_database_size(current_database())"))


def is_backup(path: Path) -> bool:
    """Whether a file begins as backups do."""
    with path.open("rb") as file:
        return file.read(len(_DUMP)) == _DUMP


def holds_library(connection: Connection) -> bool:
    """Whether there are tables of ours already. Raises `WrongUsage` for another program's in their place."""
    applied = applied_names(connection)
    return bool(applied) or bool(connection.scalar("SELECT to_regclass('schema_migrations') IS NOT NULL"))


def _holds_images(connection: Connection) -> bool:
    return bool(connection.scalar("SELECT EXISTS (SELECT FROM images)"))


def client_program(name: str) -> str:
    """Where one of PostgreSQL's client programs lies: ours, else the system's. Raises `WrongUsage`."""
    directory = client_programs()
    path = str(program(directory, name)) if directory else shutil.which(name)
    if path is None:
        raise WrongUsage(f"There is no {name} on this machine. Install PostgreSQL's client programs.")
    return path


def first_error(said: bytes) -> str:
    """The first error of what one of these programs said."""
    text = said.decode("utf-8", "replace")
    errors = re.findall(r"error: *(.+)", text, re.IGNORECASE)
    return printable(errors[0].strip() if errors else text[:200])
