"""Find the capture year of each photo, without reading a photo twice.

The time in the store comes first; if it has none, the header of the file, which is cached on the disk; then a
date in the file's name.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from facesets.file_records import FileRecord, FoundFile
from facesets.files import atomic_write, mtime_ns_of, open_regular_file
from facesets.imaging.metadata.reader import sane_year, year_in_header, year_in_name
from facesets.interfaces import Progress
from facesets.records import Images, Int64
from facesets.rights import tighten_access
from facesets.work import Stop, Work

READERS = 32
"""Headers read at a time; threads wait for a network share, not for a processor."""

FLUSH_EVERY = 1000

Opener = Callable[[str], IO[bytes]]


class YearCache:
    """Years by sha256, in one file of plain arrays; 0 for a header without a year."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when there is a year to store."""
        self._path = path
        self.damaged = False
        self._known = self._load()
        self._new: dict[bytes, int] = {}

    def years(self, sha256: Sequence[bytes]) -> Int64:
        """Return the year of each content; -1 if its header was never read."""
        return np.array([self._known.get(digest, UNKNOWN) for digest in sha256], np.int64)

    def add(self, sha256: bytes, year: int) -> None:
        """Add a year; `flush` stores it."""
        self._known[sha256] = self._new[sha256] = year

    @property
    def unsaved(self) -> int:
        """Return the number of years that `flush` would add."""
        return len(self._new)

    def flush(self) -> None:
        """Write the complete file, with the years that other runs wrote meanwhile.

        Raises
        ------
        CannotWrite
            There is no space, or no permission.
        """
        if not self._new:
            return
        self._known = self._load() | self._known
        digests = sorted(self._known)
        tighten_access(self._path)
        with atomic_write(self._path) as file:
            np.savez(
                file,
                sha256=np.array(digests, "S64"),
                year=np.array([self._known[digest] for digest in digests], np.int16),
            )
        self._new.clear()

    def _load(self) -> dict[bytes, int]:
        """Read the file; nothing if it is damaged, because all years can be read again."""
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


@dataclass(frozen=True, slots=True)
class YearSources:
    """The sources of capture years.

    Attributes
    ----------
    by_exif, by_name, unknown : int
        The numbers of years from the store or a header, from a name, and of unknown years.
    read : int
        The number of headers that this run read.
    unreadable : int
        The number of images without a readable header; later runs try them again.
    damaged_cache : bool
        The file of earlier years was damaged.
    """

    by_exif: int
    by_name: int
    unknown: int
    read: int
    unreadable: int
    damaged_cache: bool


@dataclass(frozen=True, slots=True)
class CaptureYears:
    """Years of some images.

    Attributes
    ----------
    year : int64 array of shape (n,)
        In the order of the requested rows; 0 if unknown.
    stopped : bool
        The years are incomplete.
    """

    year: Int64
    sources: YearSources
    stopped: bool


def capture_years(
    images: Images,
    rows: Int64,
    files: Mapping[str, FileRecord],
    cache: Path,
    *,
    latest: int,
    work: Work,
    readers: int = READERS,
    open_file: Opener = open_regular_file,
) -> CaptureYears:
    """Find the capture year of some images of a store.

    Parameters
    ----------
    rows : int64 array of shape (n,)
        Distinct rows of `images`.
    files : mapping
        The store's record of each path: a file that changed since is not used.
    cache : Path
        The file of years between runs.
    latest : int
        This year; photos of later ones come from wrong clocks.

    Raises
    ------
    CannotWrite
        The years cannot be stored.
    """
    known = YearCache(cache)
    digests = images.sha256[rows].tolist()
    exif = np.array([sane_year(images.taken[row], latest=latest) for row in rows], np.int64)
    ask = np.flatnonzero(exif == 0)
    exif[ask] = known.years([digests[place] for place in ask])
    exif[exif > latest] = 0
    paths = {int(place): images.paths[rows[place]] for place in np.flatnonzero(exif == UNKNOWN)}
    work.progress.begin("Reading capture years", len(paths))
    found = _cached(
        _read_all(paths, files, latest, readers, open_file, work.stop), digests, known, work.progress
    )
    work.progress.end()
    exif[list(found)] = list(found.values())
    year = np.maximum(exif, 0)
    named = [
        next((y for path in images.paths[rows[place]] if (y := year_in_name(path, latest=latest))), 0)
        for place in np.flatnonzero(year == 0)
    ]
    year[year == 0] = named
    sources = YearSources(
        by_exif=int((exif > 0).sum()),
        by_name=sum(y > 0 for y in named),
        unknown=int((year == 0).sum()),
        read=sum(one != UNKNOWN for one in found.values()),
        unreadable=int((exif == UNKNOWN).sum()),
        damaged_cache=known.damaged,
    )
    return CaptureYears(year, sources, stopped=work.stop.requested)


def _cached(
    found: Iterable[tuple[int, int]], digests: Sequence[bytes], known: YearCache, progress: Progress
) -> dict[int, int]:
    """Cache years as they come, with a flush now and then; unreadable ones are not cached."""
    years: dict[int, int] = {}
    for place, year in found:
        progress.advance()
        years[place] = year
        if year != UNKNOWN:
            known.add(digests[place], year)
            if known.unsaved >= FLUSH_EVERY:
                known.flush()
    known.flush()
    return years


def _read_all(
    paths: Mapping[int, Sequence[str]],
    files: Mapping[str, FileRecord],
    latest: int,
    readers: int,
    open_file: Opener,
    stop: Stop,
) -> Iterator[tuple[int, int]]:
    """Yield each key with the year of its file, as they come; few files are open at a time."""
    left = iter(paths.items())
    with ThreadPoolExecutor(readers, thread_name_prefix="header") as pool:
        under_way: dict[Future[int], int] = {}
        while True:
            free = 0 if stop.requested else 2 * readers - len(under_way)
            for key, places in islice(left, free):
                under_way[pool.submit(_read_one, places, files, latest, open_file)] = key
            if not under_way:
                return
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), future.result()


def _read_one(paths: Sequence[str], files: Mapping[str, FileRecord], latest: int, open_file: Opener) -> int:
    """Return the year in the first readable file that is as it was embedded; -1 if there is none."""
    for path in paths:
        try:
            with open_file(path) as file:
                if _changed(file, path, files.get(path)):
                    continue
                return year_in_header(file, latest=latest)
        except (OSError, ValueError):
            continue
    return UNKNOWN


def _changed(file: IO[bytes], path: str, record: FileRecord | None) -> bool:
    """Whether the file differs from the store's record by size or time."""
    status = os.fstat(file.fileno())
    there = FoundFile(path, status.st_size, mtime_ns_of(status))
    return record is not None and record.mtime_ns != -1 and not record.matches(there)


# The version of the rules that read a year from a header; another version uses another file.
FILE_NAME = "capture-years-2.npz"

_BROKEN = (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile)
UNKNOWN = -1
