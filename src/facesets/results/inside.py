"""Reach names below a folder step by step, without following a link."""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_HAS_DIR_FD = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_LONGEST_PART = 255
_FOREIGN = frozenset("\\:\0")


def is_inside(name: str) -> bool:
    r"""Whether a relative name read from a file stays in its folder, on every system.

    No name of ours holds `\` or `:`, which lead elsewhere on Windows.
    """
    parts = parts_of(name)
    if not parts or ".." in parts or name.startswith("/") or not _FOREIGN.isdisjoint(name):
        return False
    try:
        return len(os.fsencode(name)) <= _LONGEST_PART or all(
            len(os.fsencode(part)) <= _LONGEST_PART for part in parts
        )
    except UnicodeEncodeError:
        return False


def parts_of(name: str) -> list[str]:
    """Return the parts of a relative name."""
    return [part for part in name.split("/") if part and part != "."]


def opened(root: Path, parts: Sequence[str], *, make: int = 0) -> int | None:
    """Open a folder; None if the system cannot. Missing folders are made with the mode `make`, if given."""
    if not _HAS_DIR_FD:
        return None
    folder = os.open(root, _ON_THE_WAY)
    for part in parts:
        outer = folder
        try:
            folder = _entered(part, outer, make=make)
        finally:
            os.close(outer)
    return folder


def unusable(name: str) -> OSError:
    """Return the error for a name that is not `is_inside`."""
    if any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART for part in parts_of(name)):
        return OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    return OSError(errno.ELOOP, "leads out of its folder")


def _entered(part: str, folder: int, *, make: int) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, make, dir_fd=folder)
    try:
        return os.open(part, _ON_THE_WAY | NO_LINK, dir_fd=folder)
    except NotADirectoryError as error:
        if is_link(os.stat(part, dir_fd=folder, follow_symlinks=False)):
            raise OSError(errno.ELOOP, "is a link") from error
        raise


def looked_at(folder: Path, parts: Sequence[str], *, make: bool) -> Path:
    """Check each folder instead, on systems that cannot open one; a link may appear in between."""
    for part in parts:
        folder /= part
        if make:
            folder.mkdir(exist_ok=True)
        refuse_link(folder)
    return folder


def refuse_link(path: Path) -> None:
    """Raise `ELOOP` for a link, as opening it without following does."""
    if is_link(path.lstat()):
        raise OSError(errno.ELOOP, "is a link")


def is_link(status: os.stat_result) -> bool:
    """Whether a status is that of a link, or of a junction of Windows."""
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == junction
