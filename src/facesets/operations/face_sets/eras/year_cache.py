"""What the headers of photos said about their capture years, kept between runs.

Reading a header over a network takes longer than everything that is done with the year. The key is the
content's hash, so that moved and copied photos are known, and an edited one is read again.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facesets.files import atomic_write
from facesets.records import Int64
from facesets.rights import keep_private

# The rules by which a year is read from a header. Another number is another file: nothing old is believed.
FILE_NAME = "capture-years-2.npz"

_BROKEN = (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile)
UNKNOWN = -1


class YearCache:
    """Years by sha256, in one file of plain arrays. 0 stands for a header without a year."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when there is something to keep."""
        self._path = path
        self.damaged = False
        self._known = self._load()
        self._new: dict[bytes, int] = {}

    def years(self, sha256: Sequence[bytes]) -> Int64:
        """The year of each content; -1 where its header was never read."""
        return np.array([self._known.get(digest, UNKNOWN) for digest in sha256], np.int64)

    def add(self, sha256: bytes, year: int) -> None:
        """Remember a year; `flush` keeps it for good."""
        self._known[sha256] = self._new[sha256] = year

    @property
    def unsaved(self) -> int:
        """How many years `flush` would add."""
        return len(self._new)

    def flush(self) -> None:
        """Write the file whole, with what other runs wrote meanwhile.

        Raises
        ------
        CannotWrite
            There is no space, or no permission.
        """
        if not self._new:
            return
        self._known = self._load() | self._known
        digests = sorted(self._known)
        keep_private(self._path)
        with atomic_write(self._path) as file:
            np.savez(
                file,
                sha256=np.array(digests, "S64"),
                year=np.array([self._known[digest] for digest in digests], np.int16),
            )
        self._new.clear()

    def _load(self) -> dict[bytes, int]:
        """What the file holds; nothing when it is damaged, since all of it can be read again."""
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                digests, years = arrays["sha256"], arrays["year"]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, *_BROKEN):
            self.damaged = True
            return {}
        if digests.dtype != "S64" or years.dtype != np.int16 or digests.shape != years.shape:
            self.damaged = True
            return {}
        return dict(zip(digests.tolist(), years.tolist(), strict=True))
