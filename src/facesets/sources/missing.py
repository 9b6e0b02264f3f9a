"""Missing files: removed, moved, or on a drive that is not mounted.

Without its drive a folder is empty, or it is missing from a folder where drives appear. So a missing file
counts as removed only if the nearest existing folder above it holds something and is not one of those.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from facesets.files import has_something

_DRIVES = frozenset(map(Path, ("/", "/media", "/run/media", "/mnt", "/Volumes", "/net", "/home")))
"""A folder missing from one of these may return with its drive or share."""

_DRIVES_OF_EACH_USER = frozenset(map(Path, ("/media", "/run/media")))


def is_missing(path: str) -> bool:
    """Whether a path does not exist; an inaccessible path is not missing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def moved_away(copies: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """Return the paths that existing files were moved from, among their other known paths.

    If the whole folder is missing, it counts as moved only within one file system: a copy on another disk
    proves nothing about the first disk.

    Parameters
    ----------
    copies : iterable of (path of a file that is there, other paths)
    """
    nearest = _Nearest()
    for present, others in copies:
        for path in others:
            if is_missing(path) and (above := nearest.of(path)) is not None:
                folder_is_left = str(above) == os.path.dirname(path)  # noqa: PTH120 - many of these
                if folder_is_left or _device(above) == _device(Path(present).parent):
                    yield path


def removed(paths: Iterable[str]) -> Iterator[str]:
    """Return the paths whose file was certainly removed."""
    nearest = _Nearest()
    return (path for path in paths if is_missing(path) and nearest.of(path) is not None)


class _Nearest:
    """The nearest existing folder above a missing path, if it is certainly mounted."""

    def __init__(self) -> None:
        self._known: dict[Path, Path | None] = {}

    def of(self, path: str) -> Path | None:
        folder = Path(path).parent
        if folder not in self._known:
            self._known[folder] = _nearest_mounted(folder)
        return self._known[folder]


def _nearest_mounted(folder: Path) -> Path | None:
    missing = False
    for above in (folder, *folder.parents):
        if not is_missing(str(above)):
            holds_drives = above in _DRIVES or above.parent in _DRIVES_OF_EACH_USER
            return above if has_something(above) and not (missing and holds_drives) else None
        missing = True
    return None


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None
