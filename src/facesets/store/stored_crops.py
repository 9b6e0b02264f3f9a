"""Cached thumbnails and crops of photos: where they are, and how to remove them."""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from facesets.errors import CannotWrite
from facesets.file_system import patiently
from facesets.files import printable

FOLDER = "crops"
"""Their folder, below the folder for caches."""
SUFFIX = ".jpg"


def file_of(sha256: str, what: str) -> Path:
    """Return the path of a cached picture; all of one photo share a folder.

    Parameters
    ----------
    sha256 : str
        Of the photo.
    what : str
        The part of it, and its size.
    """
    return Path(sha256[:2]) / sha256 / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}{SUFFIX}"


def remove_pictures(directory: Path, photos: Iterable[str]) -> int:
    """Remove the cached pictures of photos, given by hash; return how many were removed.

    Raises
    ------
    CannotWrite
        One of them cannot be removed.
    """
    removed = 0
    for sha256 in photos:
        folder = directory / sha256[:2] / sha256
        try:
            for path in list(folder.glob("*")):
                patiently(Path.unlink, path, missing_ok=True)
                removed += 1
        except OSError as error:
            raise CannotWrite(f"{printable(folder)} cannot be removed: {error.strerror}.") from error
        with suppress(OSError):
            folder.rmdir()
    return removed
