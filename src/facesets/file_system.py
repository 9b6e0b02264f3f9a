"""Differences of file systems: short refusals on Windows, locks of files, names of links."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import IO, Any, TypeVar

_Made = TypeVar("_Made")
_AnyPath = str | os.PathLike[str]


def _found(module: str) -> Any:  # noqa: ANN401 - of one system or the other, without types on this one
    try:
        return import_module(module)
    except ImportError:
        return None


_fcntl, _msvcrt = _found("fcntl"), _found("msvcrt")

REMOVES_OPEN_FILES = _fcntl is not None
"""Whether an open file can be renamed or removed; Windows refuses that."""

IN_USE = (32, 33)
"""Windows' numbers for a file that another program has open, or has locked."""

_REFUSED = (5, *IN_USE)
"""These, and Windows' errors about files that are being removed or scanned, or are marked as read-only."""

_WAITS_S = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 0.8)
"""Pauses between tries, two seconds in total: by then a scanner or an indexer has closed the file."""


def patiently(change: Callable[..., _Made], *paths: _AnyPath, **how: Any) -> _Made:  # noqa: ANN401
    """Replace or remove a file, the last of the paths; on Windows again and again while it is open elsewhere.

    A file marked as read-only is made writable first, which only Windows requires.

    Parameters
    ----------
    change : callable
        Such as `os.replace` or `os.unlink`; it is given the paths and the further arguments.

    Raises
    ------
    OSError
        As `change` raises it: at once, or if the file stays open for two seconds.
    """
    for wait_s in _WAITS_S:
        try:
            return change(*paths, **how)
        except PermissionError as error:
            if getattr(error, "winerror", 0) not in _REFUSED:
                raise
        if not _made_writable(paths[-1]):
            time.sleep(wait_s)
    return change(*paths, **how)


def remove_tree(path: _AnyPath, *, dir_fd: int | None = None) -> None:
    """Remove a folder with its contents, retrying as `patiently`; raises `OSError`."""

    def again(remove: Callable[[_AnyPath], object], below: _AnyPath, error: Any) -> None:  # noqa: ANN401
        refusal = error if isinstance(error, OSError) else error[1]
        if getattr(refusal, "winerror", 0) not in _REFUSED:
            raise refusal
        patiently(remove, below)

    later: dict[str, Any] = {"onexc": again} if sys.version_info >= (3, 12) else {"onerror": again}
    shutil.rmtree(path, dir_fd=dir_fd, **later)


def _made_writable(path: _AnyPath) -> bool:
    """Remove a read-only mark; return whether there was one."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode) or mode & stat.S_IWRITE:
            return False
        os.chmod(path, stat.S_IMODE(mode) | stat.S_IWRITE)  # noqa: PTH101 - a path or its text
    except OSError:
        return False
    return True


def lock(file: IO[bytes]) -> None:
    """Lock an open file until it is closed; raises `OSError` at once if that is impossible."""
    if _fcntl is not None:
        _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
    elif _msvcrt is not None:
        file.seek(0)
        _msvcrt.locking(file.fileno(), _msvcrt.LK_NBLCK, 1)


def unlock(file: IO[bytes]) -> None:
    """Release a lock before the file is closed, which Windows may otherwise do later."""
    if _fcntl is None and _msvcrt is not None:
        file.seek(0)
        _msvcrt.locking(file.fileno(), _msvcrt.LK_UNLCK, 1)


def link_text(target: str) -> str:
    r"""Return the target of a link as it was written: Windows puts `\\?\` before it."""
    if target.startswith("\\\\?\\UNC\\"):
        return "\\\\" + target.removeprefix("\\\\?\\UNC\\")
    return target.removeprefix("\\\\?\\")
