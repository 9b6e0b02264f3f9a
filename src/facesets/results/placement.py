"""Place one photo in a result folder, find whether it was edited, and set it aside."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO

from facesets.errors import CannotWrite, Field
from facesets.files import printable, writing
from facesets.results import Materialize
from facesets.results.manifest import PlacedFile
from facesets.results.safe_folder import SafeFolder

_CHUNK = 1 << 20
_FICLONE = 0x40049409
_NO_LINKS = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EINVAL)
"""Errors of links between disks, on file systems without links, or (the last, on Windows) for this user."""

FileStates = tuple[PlacedFile, ...]
"""States that a file of ours may have: an interrupted run replaced it or not. Empty for no photo."""


def as_it_is(source: str) -> PlacedFile:
    """Return the record of a photo as a copy of it would be now."""
    try:
        status = Path(source).stat()
    except (OSError, ValueError):
        return PlacedFile(source, -1, -1)
    return PlacedFile(source, status.st_size, status.st_mtime_ns)


def is_copy_of(folder: SafeFolder, name: str, source: str) -> bool:
    """Whether a copy of a photo exists there, by size and time.

    Its owner makes no difference: as long as the photo exists, the copy can be replaced.
    """
    try:
        return bool(source) and is_in_place(folder, name, source, Path(source).stat(), "copy")
    except (OSError, ValueError):
        return False


def is_in_place(folder: SafeFolder, name: str, source: str, status: os.stat_result, how: Materialize) -> bool:
    """Whether the photo is there in the wanted way; a copy is recognized by size and time."""
    there = folder.status(name)
    if there is None:
        return False
    is_link = stat.S_ISLNK(there.st_mode)
    if how == "symlink":
        return is_link and Path(folder.link_target(name)) == Path(source)
    if is_link:
        return False
    same_file = os.path.samestat(there, status)
    if how == "hardlink":
        return same_file
    return not same_file and (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns)


def record_of(folder: SafeFolder, name: str, source: str, status: os.stat_result) -> PlacedFile:
    """Return the record of a photo as it is there now; a link has the state of its target."""
    there = folder.status(name)
    if there is None or stat.S_ISLNK(there.st_mode):
        there = status
    return PlacedFile(source, there.st_size, there.st_mtime_ns)


def was_edited(there: os.stat_result | None, source: os.stat_result, puts: FileStates) -> bool:
    """Whether a user edited our copy: it is not a link, and differs from what we wrote."""
    if there is None or not stat.S_ISREG(there.st_mode) or os.path.samestat(there, source):
        return False
    return (there.st_size, there.st_mtime_ns) not in {(put.size, put.mtime_ns) for put in puts}


def may_remove(there: os.stat_result | None, puts: FileStates) -> bool:
    """Whether a file of ours may be removed: not if it was edited, or is the last copy of a photo."""
    if there is None or stat.S_ISDIR(there.st_mode):
        return False
    if not puts or stat.S_ISLNK(there.st_mode):
        return True
    try:
        return not was_edited(there, Path(puts[-1].source).stat(), puts)
    except (OSError, ValueError):
        return False


def is_last_copy(there: os.stat_result | None, puts: FileStates) -> bool:
    """Whether a copy is there unedited, and its original no longer exists."""
    if there is None:
        return False
    unedited = (there.st_size, there.st_mtime_ns) in {(put.size, put.mtime_ns) for put in puts}
    return unedited and stat.S_ISREG(there.st_mode) and not any(os.path.lexists(put.source) for put in puts)


def produce(folder: SafeFolder, temporary: str, file: IO[bytes], source: str, how: Materialize) -> str:
    """Make the copy or link under a temporary name; return the reason if the source fails, else empty."""
    path = folder.path(temporary)
    if how == "copy":
        with writing(path):
            return _copy(folder, temporary, file)
    try:
        if how == "hardlink":
            folder.hardlink_to(source, temporary)
        else:
            folder.symlink_to(source, temporary)
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise CannotWrite(
                f"{printable(path.parent)} does not support a {how} to {printable(source)} "
                f"({error.strerror}). Use {Field('materialize', 'copy')}."
            ) from error
        with writing(path):
            raise
    return ""


def _copy(folder: SafeFolder, temporary: str, file: IO[bytes]) -> str:
    """Clone the bytes where the file system can, else copy them, and keep the times."""
    status = os.fstat(file.fileno())
    with folder.create(temporary) as copy:
        if not _clone(file, copy):
            try:
                block = file.read(_CHUNK)
                while block:
                    copy.write(block)
                    block = file.read(_CHUNK)
            except OSError as error:
                if error.errno in (errno.EIO, errno.ESTALE):
                    return error.strerror or "cannot be read"
                raise
    folder.make_like(temporary, status)
    return ""


def _clone(source: IO[bytes], target: IO[bytes]) -> bool:
    """Share the bytes copy-on-write (Btrfs, XFS, bcachefs); False if that is impossible."""
    if sys.platform != "linux":
        return False
    try:
        import fcntl

        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except (ImportError, OSError):
        return False
    return True


WITHOUT_ORIGINAL = "_without_original"
EDITED = "_edited"
DRAWINGS = "_eras"
"""Pictures of `split-eras --probe`, which are no part of an export."""


def place_for_edited(folder: SafeFolder, name: str) -> str:
    """Return a free name for a file that a user edited."""
    return next(place for place in _places(EDITED, name) if not folder.exists(place))


def place_for_last_copy(folder: SafeFolder, name: str) -> tuple[str, bool]:
    """Return where the last copy of a photo goes, and whether the same bytes already exist there.

    A photo of several people lies in each of their folders.
    """
    for place in _places(WITHOUT_ORIGINAL, PurePosixPath(name).name):
        if not folder.exists(place):
            break
        if folder.is_file(place) and folder.read(place) == folder.read(name):
            return place, True
    return place, False


def _places(aside: str, name: str) -> Iterator[str]:
    yield f"{aside}/{name}"
    yield from (f"{aside}/{number}/{name}" for number in count(2))
