"""Files of a source that changed since a store recorded them, and missing paths."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facesets.file_records import FileRecord, FoundFile
from facesets.interfaces import Source
from facesets.library_records import GalleryLink, KnownFile
from facesets.operations.ingest.unavailable_sources import belongs
from facesets.sources.galleries import GallerySource
from facesets.sources.missing import is_missing, moved_away, removed
from facesets.sources.walking import is_among

if TYPE_CHECKING:
    from facesets.store.postgres.library import Library

_ASKED_ONE_BY_ONE = 5_000


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file that could not be read, and why; `known` if an earlier run reported the same."""

    path: str
    reason: str
    known: bool = False


def compare(
    found: Iterable[FoundFile], known: Mapping[str, FileRecord | KnownFile], *, retry_failed: bool
) -> tuple[list[FoundFile], list[str]]:
    """Return the files to read, and the other paths that are known to be unreadable."""
    todo = []
    failed = []
    for file in found:
        seen = known.get(file.path)
        if seen is None or not seen.matches(file) or (seen.failed and retry_failed):
            todo.append(file)
        elif seen.failed:
            failed.append(file.path)
    return todo, failed


def compare_with_cache(
    found: Iterable[FoundFile], known: Mapping[str, FileRecord], *, retry_failed: bool
) -> tuple[list[FoundFile], list[FileFailure]]:
    """Return the files to read, and the others that are known to be unreadable."""
    todo, failed = compare(found, known, retry_failed=retry_failed)
    # An unlistable folder is reported each time, because it may contain photos.
    return todo, [FileFailure(path, known[path].reason, known=not os.path.isdir(path)) for path in failed]  # noqa: PTH112


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below the targets of `index`.

    Attributes
    ----------
    stamps : list of str
        All files, in the form of `FoundFile.of_stamp`.
    todo : list of FoundFile
        Files to read.
    failures : list of FileFailure
        Other files that are known to be unreadable, or that cannot be recorded.
    linked : set of GalleryLink
        The galleries of the unchanged files.
    """

    stamps: list[str]
    todo: list[FoundFile]
    failures: list[FileFailure]
    linked: set[GalleryLink]


def compare_with_library(source: GallerySource, library: "Library", *, retry_failed: bool) -> Listing:
    """List the targets and compare them with the library."""
    with ThreadPoolExecutor(1, thread_name_prefix="ask") as pool:
        unchanged_files = pool.submit(library.unchanged_below, source.roots)
        stamps = [stamp for some in source.stamps() for stamp in some]
        unchanged = unchanged_files.result()
    differing = [FoundFile.of_stamp(stamp) for stamp in stamps if stamp not in unchanged.stamps]
    known = _known(library, source, differing)
    todo, failed = compare(differing, known, retry_failed=retry_failed)
    linked = unchanged.linked | library.linked_at(failed) if failed else unchanged.linked
    failures = [FileFailure(path, known[path].reason, known=True) for path in failed]
    failures += [
        FileFailure(file.path, "its path is too long for the library")
        for file in todo
        if not library.fits(file.path)
    ]
    return Listing(stamps, [file for file in todo if library.fits(file.path)], failures, linked)


def _known(library: "Library", source: GallerySource, files: Sequence[FoundFile]) -> Mapping[str, KnownFile]:
    """Return the records of these paths, and perhaps of others."""
    if len(files) > _ASKED_ONE_BY_ONE:
        return library.known_below(source.roots)
    return library.seen_at([file.path for file in files])


def missing_from_source(
    source: Source, found: Sequence[FoundFile], known: Mapping[str, FileRecord]
) -> list[str]:
    """Return the known files of a source that no longer exist.

    A file that merely cannot be accessed is not missing; one that comes back is hashed again, not embedded.
    """
    listed = {file.path for file in found}
    missing = [path for path in known if path not in listed and source.covers(path) and is_missing(path)]
    return missing if not missing or source.is_there() else []


def missing_elsewhere(source: Source, known: Mapping[str, FileRecord], missing: Sequence[str]) -> list[str]:
    """Return paths to remove, apart from those missing in the source."""
    ignored = source.ignored
    left_out = [path for path in known if is_among(path, ignored)] if ignored else []
    return sorted({*removed(known), *left_out}.difference(missing))


def missing_from_targets(source: GallerySource, library: "Library", listed: Sequence[str]) -> list[str]:
    """Return known paths of available targets that no longer hold a file or are ignored.

    A path that cannot be accessed is not missing.
    """
    there = {FoundFile.of_stamp(stamp).path for stamp in listed}
    others = [path for path in library.known_below(source.roots) if path not in there]
    missing = [path for path in others if is_among(path, source.ignored) or _holds_no_file(path)]
    # Checked afterwards, because a drive may be disconnected at any moment.
    unavailable = source.unavailable()
    return [path for path in missing if not any(belongs(path, root) for root in unavailable)]


def _holds_no_file(path: str) -> bool:
    return is_missing(path) or os.path.isdir(path)  # noqa: PTH112 - Path raises where it may not look


def moved_here(found: Sequence[FoundFile], known: Mapping[str, FileRecord]) -> set[str]:
    """Return the former paths of files that were moved."""
    there = {file.path for file in found if file.path in known and known[file.path].matches(file)}
    paths: dict[str, list[str]] = {}
    for path, record in known.items():
        if record.sha256:
            paths.setdefault(record.sha256, []).append(path)
    copies = (of_image for of_image in paths.values() if len(of_image) > 1)
    # A cache may record a file by an indirect path (`a/../b`) that is another name of a listed one.
    detours = {
        path for path in known if os.pardir in path and path not in there and os.path.normpath(path) in there
    }
    return detours | set(
        moved_away(
            (here[0], [path for path in of_image if path not in there])
            for of_image in copies
            if (here := [path for path in of_image if path in there])
        )
    )
