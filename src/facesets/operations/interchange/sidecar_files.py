"""Sidecar files: find, read and write the sidecar of a photo; links are not followed."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from facesets.errors import CannotWrite, UnreadableXmp
from facesets.file_system import patiently
from facesets.files import atomic_write, mtime_ns_of, read_regular_file, writing
from facesets.formats.xmp.merging import EditedSince
from facesets.formats.xmp.packet import MAX_BYTES
from facesets.imaging.decode import RAW_SUFFIXES, SUFFIXES, VIDEO_SUFFIXES
from facesets.rights import rights_of
from facesets.sources.walking import suffix_of

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def content_of(sidecar: Path) -> bytes | None:
    """Return the content of a sidecar; None if there is none.

    Raises
    ------
    UnreadableXmp
        It is a link.
    OSError
        It cannot be read, or is too large.
    """
    if sidecar.is_symlink():
        raise UnreadableXmp("it is a symbolic link, which is not followed")
    try:
        return read_regular_file(sidecar, max_bytes=MAX_BYTES)
    except FileNotFoundError:
        return None


def put(sidecar: Path, before: bytes | None, content: bytes | None, photo: str) -> None:
    """Replace or remove the sidecar of a photo, with the photo's permissions at most.

    Raises
    ------
    EditedSince
        It no longer holds `before`.
    CannotWrite
        The disk is full, or permission is missing.
    """
    try:
        there = content_of(sidecar)
    except (UnreadableXmp, OSError) as error:
        raise EditedSince("it was changed just now") from error
    if there != before:
        raise EditedSince("it was changed just now")
    if content is None:
        with writing(sidecar):
            patiently(Path.unlink, sidecar, missing_ok=True)
        return

    def like_before(temporary: Path) -> None:
        if before is not None:
            status = os.lstat(sidecar)
            temporary.chmod(stat.S_IMODE(status.st_mode) & given)
            # If root runs this, as in a container, the owner must still be able to write it.
            if hasattr(os, "chown"):
                with suppress(PermissionError):
                    os.chown(temporary, status.st_uid, status.st_gid)

    given = 0o777
    with suppress(OSError):
        # Accounts that may read the photo keep their rights to the sidecar, such as to write it.
        given = 0o700 | (Path(photo).stat().st_mode & 0o044) // 4 * 7
    rights = rights_of([photo], sidecar.parent)
    with atomic_write(sidecar, rights=rights, before_replacing=like_before) as file:
        file.write(content)


def why_not_written(error: CannotWrite) -> str:
    """Return why a sidecar could not be written."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _FORBIDDEN:
        return f"cannot be written ({cause.strerror}): the photo's folder must be writable"
    return str(error)


def state_of(sidecar: Path | str) -> tuple[int, int] | None:
    """Return size and time of a sidecar; None if there is none."""
    try:
        status = os.lstat(sidecar)
    except OSError:
        return None
    return status.st_size, mtime_ns_of(status)


SUFFIX = ".xmp"
_WRITTEN = (SUFFIX, SUFFIX.upper())
_WITH_SIDECARS = SUFFIXES | RAW_SUFFIXES | VIDEO_SUFFIXES


def sidecars_to_read(photo: str, names: Collection[str]) -> Iterator[str]:
    """Return the possible sidecars of a photo in its folder, the one with the full name first."""
    stem = photo.rpartition(".")[0]
    for name in (photo,) if _is_itself_one(stem, names) else (photo, stem):
        yield from (f"{name}{suffix}" for suffix in _WRITTEN if f"{name}{suffix}" in names)


def has_video(photo: str, names: Collection[str]) -> bool:
    """Whether a video shares the stem of a photo, so that `photo.xmp` may belong to either."""
    stem = photo.rpartition(".")[0]
    endings = (each for suffix in VIDEO_SUFFIXES for each in (suffix, suffix.upper()))
    return any(f"{stem}{each}" in names for each in endings)


def shared_stems(names: Iterable[str]) -> frozenset[str]:
    """Return the stems in a folder that several files share.

    Whole names count, too: if there are `clip.mov` and `clip.mov.jpg`, `clip.mov.xmp` belongs to the first.
    """
    known = [PurePath(name) for name in names if suffix_of(name) in _WITH_SIDECARS]
    found = Counter(name.stem for name in known)
    return frozenset(stem for stem, count in found.items() if count > 1) | {name.name for name in known}


def _is_itself_one(stem: str, names: Collection[str]) -> bool:
    return suffix_of(stem) in _WITH_SIDECARS and stem in names
