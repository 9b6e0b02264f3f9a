"""The library's side of adding photos: claims among several runs, galleries, missing photos."""

import os
from collections.abc import Callable, Collection, Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from facesets.file_records import FileRecord, FoundFile
from facesets.files import mtime_ns_of, printable
from facesets.library_records import GalleryLink, GalleryRow, KnownFile
from facesets.operations.ingest.image_reader import ContentClaim, Place, ReadResult
from facesets.operations.ingest.unavailable_sources import belongs, is_below
from facesets.records import ImageRecord
from facesets.sources.galleries import Gallery, GallerySource
from facesets.sources.missing import moved_away, removed
from facesets.store.postgres.library import Library

_CLAIMED_AT_ONCE = 64


class LibraryIntake:
    """The `Intake` of a library."""

    def __init__(
        self,
        source: GallerySource,
        library: Library,
        max_images: int | None,
        is_time_up: Callable[[], bool],
    ) -> None:
        """Add at most this many files of a listed source, until the time is up."""
        self._source = source
        self._library = library
        self._max_images = max_images
        self._is_time_up = is_time_up
        self._galleries = GalleryNumbers(source, library)
        self._paths = library.claims("path")
        self._contents = library.claims("content")
        self._claimed_paths: list[str] = []
        self._claimed_contents: list[str] = []
        self._later: list[FoundFile] = []
        self._started = 0
        self.done_by_others = 0
        self.moved = 0

    @property
    def has_enough(self) -> bool:
        """Whether no further file should be started."""
        enough = self._max_images is not None and self._started >= self._max_images
        return enough or self._is_time_up()

    @property
    def can_commit(self) -> bool:
        """Whether the library can store results now."""
        return not self._library.database.closed

    def claim_files(self, files: Sequence[FoundFile], is_over: Callable[[], bool]) -> Iterator[FoundFile]:
        """Claim files for this run; files that others hold are postponed."""
        for start in range(0, len(files), _CLAIMED_AT_ONCE):
            some = files[start : start + _CLAIMED_AT_ONCE]
            if is_over():
                return
            ours = self._paths.take([file.path for file in some])
            seen = self._library.seen_at([file.path for file in some])
            done = {file.path for file in some if _is_done(file, seen.get(file.path))}
            if mine := done & ours:
                self._paths.release(sorted(mine))
            self.done_by_others += len(done)
            self._later.extend(file for file in some if file.path not in ours | done)
            left = [file for file in some if file.path in ours - done]
            for position, file in enumerate(left):
                if is_over():
                    self.put_back(left[position:])
                    return
                self._started += 1
                yield file

    def put_back(self, files: Sequence[FoundFile]) -> None:
        """Release claimed files for other runs."""
        self._paths.release([file.path for file in files])

    def put_off(self) -> list[FoundFile]:
        """Return the files postponed since the last call."""
        later, self._later = self._later, []
        return later

    def claim_content(self, sha256: str, place: Place) -> ContentClaim:  # noqa: ARG002 - claims order nothing
        """Return what to do with a content."""
        _, wanted = self._library.lacking(sha256)
        if not wanted.anything:
            return ContentClaim(wanted)
        if not self._contents.take([sha256]):
            return ContentClaim(wanted, in_other_hands=True)
        # An earlier holder of the claim may have stored it since the check.
        known, wanted = self._library.lacking(sha256)
        return ContentClaim(wanted, is_new=not known, claimed=True)

    def accept(self, result: ReadResult) -> ReadResult | None:
        """Return the result to count for a file; None if another run holds it."""
        path, sha256 = result.file.path, result.file.sha256
        self._claimed_paths.append(path)
        if result.claim.claimed:
            self._claimed_contents.append(sha256)
        # If another run claimed a file while the database was unavailable, that run processes it.
        is_lost = not self._paths.holds(path) or (result.claim.claimed and not self._contents.holds(sha256))
        if result.claim.in_other_hands or is_lost:
            self._started -= 1
            self._later.append(result.found)
            return None
        # An unlistable folder is reported each time, and is not recorded as a photo.
        return replace(result, is_stored=result.is_stored and (sha256 != "" or not Path(path).is_dir()))

    def known_reason(self, path: str) -> str:
        """Return why an earlier run could not read a file; empty if it could."""
        seen = self._library.seen_at([path]).get(path)
        return "" if seen is None else seen.reason

    def vanished(self, path: str) -> str:
        """Return the target of a file if the whole target is unavailable, else an empty text."""
        return next((printable(root) for root in self._source.unavailable() if is_below(path, root)), "")

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Store these, all or nothing, and release their claims."""
        self._forget_moved(files, {image.sha256 for image in images})
        if files:
            self._library.add(files, images, self._galleries.of_files(files))
        if self._claimed_contents:
            self._contents.release(self._claimed_contents)
        if self._claimed_paths:
            self._paths.release(self._claimed_paths)
        self._claimed_paths, self._claimed_contents = [], []

    def _forget_moved(self, files: Sequence[FileRecord], new: set[str]) -> None:
        """Remove the old paths of moved files before the new ones are stored."""
        copies = {file.sha256: file.path for file in files if not file.reason and file.sha256 not in new}
        if not copies:
            return
        known = self._library.paths_with(list(copies))
        moved = list(moved_away((path, known.get(sha256, ())) for sha256, path in copies.items()))
        self._library.forget_paths(moved)
        self.moved += len(moved)


def _is_done(file: FoundFile, seen: KnownFile | None) -> bool:
    return seen is not None and seen.matches(file) and not seen.failed


class GalleryNumbers:
    """The galleries of new files; each is stored with its first file."""

    def __init__(self, source: GallerySource, library: Library) -> None:
        """Work for one listed source."""
        self._source = source
        self._library = library
        self._numbers: dict[str, int] = {}

    def of_files(self, files: Sequence[FileRecord]) -> dict[str, int]:
        """Return the number of each file's gallery, by the file's path."""
        directories = {file.path: self._source.gallery_of(file.path) for file in files}
        new = sorted(set(directories.values()) - self._numbers.keys())
        if new:
            self._numbers |= self._library.store_galleries([_row(self._source, path) for path in new])
        return {path: self._numbers[directory] for path, directory in directories.items()}


def renew_galleries(source: GallerySource, library: Library, linked: Collection[GalleryLink]) -> None:
    """Update the galleries of known photos.

    A photo keeps its gallery above the targets, because this run does not read that gallery.

    Parameters
    ----------
    linked : collection of GalleryLink
        The library's records when the targets were listed.
    """
    known = source.galleries
    right: set[str] = set()
    wrong: dict[str, str] = {}
    for link in linked:
        if link.directory in known and (link.gallery in known or not _is_above(link.gallery, source.roots)):
            gallery = source.gallery_of(os.path.join(link.directory, ""))  # noqa: PTH118 - keeps the last slash
            right.add(gallery)
            if link.gallery != gallery:
                wrong[link.directory] = gallery
    numbers = library.store_galleries([_row(source, path) for path in sorted(right)]) if right else {}
    if wrong:
        library.assign_to_galleries({directory: numbers[gallery] for directory, gallery in wrong.items()})


def _is_above(gallery: str | None, roots: Sequence[str]) -> bool:
    return gallery is not None and any(root.startswith(gallery.rstrip("/") + "/") for root in roots)


def _row(source: GallerySource, path: str) -> GalleryRow:
    gallery = source.galleries.get(path) or Gallery(path)
    return GalleryRow(path, gallery.title, gallery.description, gallery.entries, is_read=not gallery.problem)


def note_missing(library: Library, source: GallerySource | None = None, listed: Sequence[str] = ()) -> int:
    """Record which photos of the library, or below the targets, are missing; return their number.

    Known missing photos are looked for at all their former paths. A file that is present but changed is left
    for `index`.

    Parameters
    ----------
    listed : sequence of str
        Stamps of existing files, which are not checked again.
    """
    there: Container[str] = {FoundFile.of_stamp(stamp).path for stamp in listed}

    def find_missing(paths: Sequence[str]) -> list[str]:
        found = list(removed(path for path in paths if path not in there))
        # Checked afterwards, because a drive may be disconnected at any moment.
        unavailable = [] if source is None or not found else source.unavailable()
        return [path for path in found if not any(belongs(path, root) for root in unavailable)]

    return library.note_missing(None if source is None else source.roots, find_missing, _is_there)


def _is_there(file: FoundFile) -> bool:
    try:
        status = os.stat(file.path)  # noqa: PTH116 - as when it was seen
    except (OSError, ValueError):
        return False
    return (file.size, file.mtime_ns) == (status.st_size, mtime_ns_of(status))
