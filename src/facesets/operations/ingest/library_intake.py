"""The library's side while photos are taken in: several runs may be at it, so that things are claimed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from facesets.file_records import FileRecord, FoundFile
from facesets.files import printable
from facesets.library_records import KnownFile
from facesets.operations.ingest.galleries import GalleryNumbers
from facesets.operations.ingest.image_reader import ContentClaim, Place, ReadResult
from facesets.operations.ingest.unavailable_sources import is_below
from facesets.records import ImageRecord
from facesets.sources.galleries import GallerySource
from facesets.sources.missing import moved_away
from facesets.store.postgres.library import Library

_CLAIMED_AT_ONCE = 64


class LibraryIntake:
    """What a library has to say, as `Intake`."""

    def __init__(
        self,
        source: GallerySource,
        library: Library,
        max_images: int | None,
        is_time_up: Callable[[], bool],
    ) -> None:
        """Take in at most so many files of a source whose listing is through, until the time is up."""
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
        """Whether no further file is to be begun."""
        enough = self._max_images is not None and self._started >= self._max_images
        return enough or self._is_time_up()

    @property
    def can_commit(self) -> bool:
        """Whether the library is there to keep something."""
        return not self._library.database.closed

    def claim_files(self, files: Sequence[FoundFile], is_over: Callable[[], bool]) -> Iterator[FoundFile]:
        """Those files that are for us to do; the others are put off."""
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
        """Let other runs have files that were claimed."""
        self._paths.release([file.path for file in files])

    def put_off(self) -> list[FoundFile]:
        """The files that were in other hands since the last time."""
        later, self._later = self._later, []
        return later

    def claim_content(self, sha256: str, place: Place) -> ContentClaim:  # noqa: ARG002 - claims order nothing
        """What is to be done about a content."""
        _, wanted = self._library.lacking(sha256)
        if not wanted.anything:
            return ContentClaim(wanted)
        if not self._contents.take([sha256]):
            return ContentClaim(wanted, in_other_hands=True)
        # Whoever had it claimed before us may have stored it since we asked.
        known, wanted = self._library.lacking(sha256)
        return ContentClaim(wanted, is_new=not known, claimed=True)

    def accept(self, result: ReadResult) -> ReadResult | None:
        """What counts as the result for a file; None where it was in other hands."""
        path, sha256 = result.file.path, result.file.sha256
        self._claimed_paths.append(path)
        if result.claim.claimed:
            self._claimed_contents.append(sha256)
        # What others took while the database was unavailable is theirs.
        is_lost = not self._paths.holds(path) or (result.claim.claimed and not self._contents.holds(sha256))
        if result.claim.in_other_hands or is_lost:
            self._started -= 1
            self._later.append(result.found)
            return None
        # A folder that cannot be listed is reported while that is so, and is no photo to remember.
        return replace(result, is_kept=result.is_kept and (sha256 != "" or not Path(path).is_dir()))

    def known_reason(self, path: str) -> str:
        """Why an earlier run could not read a file; empty where it could."""
        seen = self._library.seen_at([path]).get(path)
        return "" if seen is None else seen.reason

    def vanished(self, path: str) -> str:
        """The target of a file that is unavailable as a whole; empty while it is there."""
        return next((printable(root) for root in self._source.unavailable() if is_below(path, root)), "")

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Keep these for good, all or nothing, and let go of what was claimed for them."""
        self._forget_moved(files, {image.sha256 for image in images})
        if files:
            self._library.add(files, images, self._galleries.of_files(files))
        if self._claimed_contents:
            self._contents.release(self._claimed_contents)
        if self._claimed_paths:
            self._paths.release(self._claimed_paths)
        self._claimed_paths, self._claimed_contents = [], []

    def _forget_moved(self, files: Sequence[FileRecord], new: set[str]) -> None:
        """Forget where files were moved from, before the new paths are kept: a run may end in between."""
        copies = {file.sha256: file.path for file in files if not file.reason and file.sha256 not in new}
        if not copies:
            return
        known = self._library.paths_with(list(copies))
        moved = list(moved_away((path, known.get(sha256, ())) for sha256, path in copies.items()))
        self._library.forget_paths(moved)
        self.moved += len(moved)


def _is_done(file: FoundFile, seen: KnownFile | None) -> bool:
    return seen is not None and seen.matches(file) and not seen.failed
