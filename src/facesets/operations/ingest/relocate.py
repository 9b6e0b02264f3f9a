"""`relocate`: a photo folder was moved or removed; no photo is read."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PureWindowsPath

from facesets.errors import SourceGone, WrongUsage
from facesets.file_records import FileRecord
from facesets.files import is_there, mtime_ns_of, printable
from facesets.interfaces import Store, is_library
from facesets.library_records import RecordedRun
from facesets.result import Result
from facesets.results.run_sources import relocate_sources
from facesets.sources.missing import is_missing

_SAMPLE = 200
_CLOCK_STEP_NS = 2_000_000_000
"""Tolerance for file times: some file systems store them in steps of two seconds."""


def writing(store: Store, *, dry_run: bool) -> AbstractContextManager[None]:
    """Block other writers while paths change.

    Raises
    ------
    WrongUsage
        The store is empty.
    """
    if store.settings is None:
        raise WrongUsage(f"There are no photos in {store.label} yet. Check its name.")
    return nullcontext() if dry_run else store.writing(store.settings)


def relocate(store: Store, old: Path, new: Path, *, dry_run: bool, results: Path | None = None) -> Result:
    """Update the paths of photos that were moved from `old` to `new`.

    To undo it, move the folder back and relocate it back.

    Parameters
    ----------
    results : Path, optional
        A folder that may hold results of `run` on the photos; its next run then uses `new`.

    Raises
    ------
    WrongUsage
        No photo below `old` is known, its photos are still there, or those below `new` differ.
    SourceGone
        `new` does not exist or is empty.
    AlreadyRunning
        A run writes to `results`.
    """
    (before, separator), (after, _) = _named(old), _named(new)
    if before == after:
        raise WrongUsage(f"{printable(before)} is given twice. Give the old folder, then the new one.")
    known = store.files()
    paths = _below(store, known, before, separator)
    if not is_there(Path(after)):
        raise SourceGone(f"Folder not found: {printable(after)}. Check the path, or mount its drive.")
    start, begin = len(before.rstrip(separator)), after.rstrip(os.sep)
    places = {path: begin + path[start:].replace(separator, os.sep) for path in paths}
    if is_library(store) and not all(map(store.fits, places.values())):
        raise WrongUsage(
            f"Some paths below {printable(after)} are too long for the library. Choose a shorter folder path."
        )
    compared, matching = _compare(known, before, after, places)
    merged = [path for path, place in places.items() if place in known and place not in places]
    moved = {path: places[path] for path in places.keys() - set(merged)}
    summary = Result(
        _unchanged(before, after, len(paths), dry_run=dry_run),
        relocated=len(moved),
        merged=len(merged),
        compared=compared,
        alike=matching,
    )
    with _recorded(store, summary):
        if not dry_run:
            if results is not None:
                # Before the paths: if interrupted between the two, running the command again does the rest.
                relocate_sources(results, before, after)
            store.forget_paths(merged)
            store.relocate_paths(before, after, moved)
    return summary


def forget_folder(store: Store, old: Path, *, dry_run: bool) -> Result:
    """Remove the paths below a removed folder; their photos stay in case they come back.

    Raises
    ------
    WrongUsage
        No photo below it is known, or photos are still there.
    """
    before, separator = _named(old)
    paths = _below(store, store.files(), before, separator)
    left = next((path for path in paths if not is_missing(path)), None)
    if left is not None:
        raise WrongUsage(
            f"{printable(left)} still exists or cannot be checked. Only folders that are gone can be removed."
        )
    summary = Result(_unchanged(before, "", len(paths), dry_run=dry_run), forgotten=len(paths))
    with _recorded(store, summary):
        if not dry_run:
            store.forget_paths(paths)
    return summary


def _unchanged(old: str, new: str, known: int, *, dry_run: bool) -> Result:
    """Return the result for the paths below a folder before any change."""
    return Result(
        old=old,
        new=new,
        known=known,  # paths below `old`
        relocated=0,  # those that are known below `new` from now on
        merged=0,  # those that were known below `new` already
        forgotten=0,  # those that are known no more, because the folder is gone for good
        compared=0,  # paths compared with the file below `new` by size and time
        alike=0,  # those of them that agree
        dry_run=dry_run,
    )


def _recorded(store: Store, summary: Result) -> AbstractContextManager[RecordedRun | None]:
    if is_library(store):
        return store.recorded_run("relocate", summary, dry_run=summary.dry_run)
    return nullcontext()


def _named(folder: Path) -> tuple[str, str]:
    """Return a folder as stores name it, and its path separator; a cache may come from Windows."""
    if os.sep == "/" and PureWindowsPath(folder).is_absolute() and not folder.is_absolute():
        return str(PureWindowsPath(folder)), "\\"
    if os.sep == "\\" and folder.root and not folder.drive:
        return folder.as_posix(), "/"
    return os.path.normpath(folder.absolute()), os.sep


def _below(store: Store, known: Mapping[str, FileRecord], folder: str, separator: str) -> list[str]:
    below = folder.rstrip(separator) + separator
    paths = [path for path in known if path == folder or path.startswith(below)]
    if not paths:
        raise WrongUsage(f"There are no photos below {printable(folder)} in {store.label}. Check the path.")
    return paths


def _compare(
    known: Mapping[str, FileRecord], before: str, after: str, places: Mapping[str, str]
) -> tuple[int, int]:
    """Compare some files at their new paths with their records; return how many were compared and match."""
    usable = [path for path in places if known[path].size >= 0] or list(places)
    step = -(-len(usable) // _SAMPLE)
    sample = usable[::step]
    staying = _agreeing(known, {path: path for path in sample})
    if 2 * staying > len(sample):
        raise WrongUsage(
            f"The photos below {printable(before)} still exist. To add a copy, run `embed` or `index` "
            "instead."
        )
    matching = _agreeing(known, {path: places[path] for path in sample})
    if 2 * matching <= len(sample):
        raise WrongUsage(
            f"Only {matching} of {len(sample)} known photos below {printable(before)} were found below "
            f"{printable(after)} with the same size and time. Nothing was changed. Check both paths."
        )
    return len(sample), matching


def _agreeing(known: Mapping[str, FileRecord], places: Mapping[str, str]) -> int:
    return sum(_agrees(known[path], place) for path, place in places.items())


def _agrees(record: FileRecord, place: str) -> bool:
    """Whether the file at a path matches its record in size and time."""
    try:
        status = os.stat(place)  # noqa: PTH116 - as when it was seen
    except (OSError, ValueError):
        return False
    if record.size < 0:
        return True
    return record.size == status.st_size and abs(record.mtime_ns - mtime_ns_of(status)) <= _CLOCK_STEP_NS
