"""The account that runs the embedded server, and the folders it can reach."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import CannotWrite, Field, WrongUsage, quoted
from facesets.files import is_there, printable, writing

# PostgreSQL refuses to run as root. A dedicated user is best; `nobody` exists nearly everywhere.
_SERVER_USERS = ("facesets", "postgres", "nobody")
HAS_ACCOUNTS = hasattr(os, "geteuid")
"""Whether a process can run as another account; on Windows PostgreSQL's programs do so themselves."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user that a server runs as."""

    uid: int
    gid: int
    name: str
    is_named: bool = True

    @property
    def is_me(self) -> bool:
        """Whether this is the account of this process."""
        return not HAS_ACCOUNTS or self.uid == os.geteuid()


def server_account(data: Path) -> Account:
    """Choose the account for the server: this one, or for root one with fewer rights.

    Parameters
    ----------
    data : Path
        The database's directory; if it exists, its owner is chosen.

    Raises
    ------
    WrongUsage
        We are root and there is no other user, this system has no name for us, or the owner is another user
        or root.
    """
    if not HAS_ACCOUNTS:
        return _account(0, 0)
    if os.geteuid() != 0:
        account = _account(os.geteuid(), os.getegid())
        if is_there(data) and (of_data := data.stat()).st_uid != account.uid:
            name = _account(of_data.st_uid, of_data.st_gid).name
            raise WrongUsage(
                f"The library in {printable(data.parent)} belongs to the user {name}. Run this as "
                "that user, or set FACESETS_DATA to another folder."
            )
        if not (account.is_named or is_there(data)):
            raise WrongUsage(
                f"The user {account.uid} has no name on this system, but PostgreSQL needs one. Add "
                "the user to /etc/passwd, run as another user, or give a server with "
                f"{Field('database')}."
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
                    f"The library in {printable(data.parent)} belongs to root, but PostgreSQL does "
                    f"not run as root. Run `chown -R {name}: {quoted(printable(data.parent))}` first."
                )
            return Account(entry.pw_uid, entry.pw_gid, name)
    raise WrongUsage(
        "PostgreSQL does not run as root, and there is no other user for it. Run `useradd --system "
        f"facesets` first, or give a server with {Field('database')}."
    )


def _account(uid: int, gid: int) -> Account:
    """Return the account of a user id; in a container without a name, `gid` is its group."""
    if not HAS_ACCOUNTS:
        return Account(uid, gid, "this user")
    import pwd

    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, gid, str(uid), is_named=False)
    return Account(uid, entry.pw_gid, entry.pw_name)


@contextmanager
def placing(path: Path) -> Iterator[None]:
    """Write files of the embedded server, naming the settings for its location in errors."""
    try:
        with writing(path):
            yield
    except CannotWrite as error:
        raise CannotWrite(
            f"{error} Set FACESETS_DATA to another folder, or give a server with {Field('database')}."
        ) from error


def check_reachable(path: Path, account: Account) -> None:
    """Check that the server's account can enter a directory.

    Raises
    ------
    WrongUsage
        It cannot enter a parent directory, or its programs cannot open a name.
    """
    if os.name == "nt":  # pragma: no cover
        check_name(path, "mbcs")
    if account.is_me:
        return
    for part in (path, *path.parents):
        if part.exists() and not part.stat().st_mode & 0o001 and part.stat().st_uid != account.uid:
            raise WrongUsage(
                f"The embedded PostgreSQL runs as the user {account.name}, who cannot enter "
                f"{printable(part)}. Set FACESETS_DATA to another folder."
            )


def check_name(path: Path, code_page: str) -> None:
    """Check that PostgreSQL's programs can open a path in the code page of Windows.

    Raises
    ------
    WrongUsage
        The code page lacks some of its characters.
    """
    try:
        str(path).encode(code_page)
    except UnicodeEncodeError as error:
        raise WrongUsage(
            f"PostgreSQL cannot open {printable(path)} because the language of this system lacks the "
            f"characters {printable(str(path)[error.start : error.end])}. Set FACESETS_DATA to another "
            "folder."
        ) from error


def make_private(directory: Path, account: Account) -> None:
    """Create a directory that only the server's account and root may enter.

    Raises
    ------
    WrongUsage
        The path is a link or another account's directory, or root may not enter it.
    CannotWrite
        No space or no permission.
    """
    with placing(directory):
        # On Windows this would lock out PostgreSQL run by an administrator, and the folder is in the profile.
        directory.mkdir(mode=0o700 if HAS_ACCOUNTS else 0o777, exist_ok=True)
        found = directory.lstat()
        owned = not HAS_ACCOUNTS or found.st_uid in (os.geteuid(), account.uid)
        if stat.S_ISLNK(found.st_mode) or not owned:
            owner = _account(found.st_uid, found.st_gid).name
            raise WrongUsage(
                f"{printable(directory)} is a link or belongs to the user {owner}, but the embedded "
                f"PostgreSQL needs a folder of the user {account.name}. Set FACESETS_DATA to another "
                "folder."
            )
        directory.chmod(0o700)
        if not account.is_me:
            os.chown(directory, account.uid, account.gid)
    if not os.access(directory, os.X_OK):
        raise WrongUsage(
            f"Root lacks the capability (CAP_DAC_OVERRIDE) to enter {printable(directory)}, which "
            f"belongs to the user {account.name}. Run this as a user other than root, or give a "
            f"server with {Field('database')}."
        )
