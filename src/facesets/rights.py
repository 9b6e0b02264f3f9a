"""Access rights of groups and others to results of photos: never more than those to the photos.

Rights are mode bits of groups and others to read and write (`0o066`). Files with faces or names of no photos
in particular, such as caches and journals, give them none. On Windows modes protect nothing, and all of this
leaves them alone.
"""

import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facesets.errors import CannotWrite
from facesets.files import printable


def _read_umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


# The umask can only be read by setting it, which is safe once at import, not among threads.
SHARED = 0o066 & ~_read_umask()
"""The maximum rights of groups and others to a file."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_ACL = "system.posix_acl_access"
_log = logging.getLogger("facesets")


def file_mode(rights: int = 0) -> int:
    """Return the mode of a file with these rights; its owner may always write."""
    return 0o600 | rights


def folder_mode(rights: int = 0) -> int:
    """Return the mode of a folder: reading includes entering."""
    return 0o700 | rights | (rights & 0o44) >> 2


def rights_of(photos: Iterable[str | os.PathLike[str]], place: Path, *, earlier: int | None = None) -> int:
    """Return the rights that all of these photos and their folders give, for results at `place`.

    Folders above count as far as they are not above `place`, too. New results give no rights if a photo
    is missing, because it may be private. A result there with `earlier` rights keeps these as maximum,
    and such a photo does not count: a disk that is away for a day would close the result for good.
    """
    if not hasattr(os, "getegid"):
        return SHARED
    group = _group_at(place)
    whole = Path(os.path.realpath(place))
    common = {str(whole), *map(str, whole.parents)}
    folders: dict[str, int] = {}

    def of_folder(path: str) -> int:
        if path not in folders:
            real = os.path.realpath(path)
            given = _given(Path(real).stat(), group, has_acl=_has_acl(real))
            folders[path] = given & _where_entered(given)
            while (real := os.path.dirname(real)) not in common:  # noqa: PTH120 - of 100 000 photos
                folders[path] &= _where_entered(_given(Path(real).stat(), group))
        return folders[path]

    photos = list(photos)
    unseen = 0 if earlier is None else SHARED
    rights = (SHARED if photos else unseen) & (SHARED if earlier is None else earlier)
    for photo in photos:
        try:
            path = os.fspath(photo)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(path)
                status = Path(path).stat()
            rights &= _given(status, group) & of_folder(os.path.dirname(path))  # noqa: PTH120
        except (OSError, ValueError):
            rights &= unseen
        if not rights:
            break
    return rights


def _given(status: os.stat_result, group: int, *, has_acl: bool = False) -> int:
    """Return the bits for the group of files at the place, and for others; these never have more."""
    of_group, of_others = status.st_mode >> 3 & 7, status.st_mode & 7
    of_others &= of_group
    # With an access list, the bits of the group limit every entry of the list.
    if status.st_gid != group or has_acl:
        of_group = of_others
    return of_group << 3 | of_others


def _where_entered(given: int) -> int:
    return (given & 0o11) * 0o6


def _has_acl(path: str) -> bool:
    try:
        return hasattr(os, "listxattr") and _ACL in os.listxattr(path)
    except OSError:
        return False


def _group_at(place: Path) -> int:
    """Return the group that a file gets there."""
    there = next(each for each in (place, *place.absolute().parents) if each.is_dir()).stat()
    from_folder = there.st_mode & stat.S_ISGID or sys.platform == "darwin"
    return there.st_gid if from_folder or not hasattr(os, "getegid") else os.getegid()


def rights_in(path: Path) -> int | None:
    """Return the rights that a file gives; None if it is missing."""
    try:
        return path.stat().st_mode & SHARED
    except OSError:
        return None


def narrow(path: Path, rights: int = 0) -> bool:
    """Remove rights beyond these of groups and others to a file or folder; return whether any were.

    A link, and a file with several names, which may be a photo, stays as it is; so do files of other users.
    """
    change = getattr(os, "fchmod", None) if hasattr(os, "getegid") else None
    if change is None:
        return False
    with suppress(OSError):
        status = path.lstat()
        is_folder = stat.S_ISDIR(status.st_mode)
        beyond = status.st_mode & 0o077 & ~(folder_mode(rights) if is_folder else file_mode(rights))
        if beyond and (is_folder or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)):
            # By descriptor, not by name: a link may have replaced the file meanwhile.
            handle = os.open(path, os.O_RDONLY | _NO_WAIT | _NO_LINK)
            try:
                change(handle, stat.S_IMODE(status.st_mode) & ~beyond)
                # Disks without modes, such as exFAT and CIFS, take the call and change nothing.
                return not os.fstat(handle).st_mode & beyond
            finally:
                os.close(handle)
    return False


def tighten_access(path: Path, *more: Path) -> None:
    """Remove the access of groups and others that an earlier version gave; warn if there was any.

    Raises
    ------
    CannotWrite
        A file belongs to another account, which could no longer read it once it was replaced.
    """
    for each in (path, *more):
        _refuse_another_s(each)
    if narrowed := [each for each in (path, *more) if narrow(each)]:
        _log.warning("Only you can read %s now; before, others could.", printable(narrowed[0]))


def _refuse_another_s(path: Path) -> None:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        return
    with suppress(OSError):
        owner = path.lstat().st_uid
        if owner == os.geteuid():
            return
        # On some network drives, files do not belong to their writer.
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            is_ours = os.fstat(probe.fileno()).st_uid != os.geteuid()
        if not is_ours:
            try:
                name = path.owner()  # type: ignore[misc,unused-ignore]  # there is none on Windows
            except KeyError:
                name = f"account {owner}"
            raise CannotWrite(
                f"{printable(path)} belongs to {name}, and only that account can write it. Run this as "
                f"{name}, or on a copy of your own."
            )


def report_tightened(path: Path) -> None:
    """Warn that other accounts now have less access to a result."""
    _log.warning(
        "Restricted the permissions of %s: others now have no more access to it than to its photos.",
        printable(path),
    )


def private(path: str, flags: int) -> int:
    """For `open(opener=…)`: a new file gives no other account a right."""
    return os.open(path, flags, file_mode())


def make_private_folder(path: Path) -> None:
    """Make a folder and its missing parents accessible to their owner only."""
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(folder_mode(), exist_ok=True)
