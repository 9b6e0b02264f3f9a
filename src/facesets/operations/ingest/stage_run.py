"""`index --stage`: one analysis step for photos of the library."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from facesets.errors import UnreadableImage
from facesets.file_records import FoundFile
from facesets.files import mtime_ns_of, read_regular_file
from facesets.imaging.decode import decode_bytes
from facesets.imaging.limits import ABSOLUTE_MAX_PIXELS, MAX_FILE_BYTES
from facesets.library_records import PendingPhoto, PhotosOfStage
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.stages import Photo, Stage, looked_at
from facesets.records import ImageRecord
from facesets.result import Result
from facesets.store.postgres.library import Library
from facesets.work import Work

_AT_ONCE = 200
"""Number of photos that are claimed, processed and stored together."""


@dataclass(frozen=True, slots=True)
class StageRunOptions:
    """The photos that a step processes.

    Attributes
    ----------
    below : tuple of str
        Only photos below these folders; if empty, all of the library.
    force : bool
        Include photos that this version of the step has processed.
    retry_failed : bool
        Include photos on which it failed.
    """

    below: tuple[str, ...] = ()
    force: bool = False
    retry_failed: bool = False
    max_images: int | None = None
    concurrency: int = 4
    dry_run: bool = False

    def photos_of(self, stage: str, version: str) -> PhotosOfStage:
        """Return the photos that a step of this version should process."""
        failed = self.retry_failed or self.force
        return PhotosOfStage(stage, version, self.below, failed=failed, done=self.force)


def before_a_stage(stage: str) -> Result:
    """Return the result of a step before its first photo."""
    return Result(
        stage=stage,
        completed=0,
        failed=0,
        unavailable=0,  # photos with missing, changed or unreadable files; they stay pending
        to_do=0,  # photos that are left, with those that got other faces, or went, while they were looked at
        failures=[],
        stopped=False,
        dry_run=False,
    )


def look_in_turn(
    there: int,
    summary: Result,
    options: StageRunOptions,
    look: Callable[[int, int], Sequence[int]],
    *,
    at_once: int,
    work: Work,
) -> Result:
    """Run a step on photos in numerical order, several at a time; return the result.

    Parameters
    ----------
    there : int
        Number of photos that it has not processed.
    summary : Result
        A result of `before_a_stage`.
    look : function
        Given a number and a maximum count, processes the next photos beyond that number, counts the outcomes
        in the summary, and returns their numbers, ascending.
    """
    most = there if options.max_images is None else min(options.max_images, there)
    if options.dry_run:
        return Result(summary, to_do=most, dry_run=True)
    taken = after = 0
    work.progress.begin(f"Analysis step {summary.stage}", most)
    try:
        # Unavailable photos stay pending; a limited run processes others in their place.
        while (left := most - summary.completed - summary.failed) > 0 and not work.stop.requested:
            numbers = look(after, min(at_once, left))
            if not numbers:
                break
            before, taken, after = taken, taken + len(numbers), numbers[-1]
            work.progress.advance(min(taken, most) - min(before, most))
    finally:
        work.progress.end()
    is_cut_off = work.stop.requested and left > 0 and taken < there
    return Result(summary, to_do=summary.to_do + max(there - taken, 0), stopped=is_cut_off)


def run_stage(library: Library, stage: Stage, options: StageRunOptions, *, work: Work) -> Result:
    """Run a step on photos that it has not processed, and store the results.

    Several runs may do so at once: no photo is processed by two.

    Raises
    ------
    Unreachable
        The database became unavailable and did not come back.
    CannotWrite
        The database's disk is full. Stored results stay in both cases.
    """
    photos = options.photos_of(stage.name, stage.version)
    claims = library.claims("content")
    summary = before_a_stage(stage.name)

    def look(after: int, limit: int) -> list[int]:
        some = library.pending(photos, after=after, limit=limit)
        if not some:
            return []
        names = {f"{stage.name} {each.image.sha256}": each.number for each in some}
        ours = claims.take(list(names))
        try:
            # An earlier holder of a claim may have stored it since the check.
            still = library.pending(photos, after=after, limit=limit)
            mine = {names[name] for name in ours}
            todo = [each for each in still if each.number in mine]
            _store(library, stage, list(pool.map(partial(_look, stage), todo)), summary)
        finally:
            claims.release(list(ours))
        return [each.number for each in some]

    there = library.count_pending(photos)
    with ThreadPoolExecutor(options.concurrency, thread_name_prefix="stage") as pool:
        return look_in_turn(there, summary, options, look, at_once=_AT_ONCE, work=work)


def _look(stage: Stage, photo: PendingPhoto) -> ImageRecord | FileFailure:
    reason = "no file"
    for file in photo.files:
        try:
            seen = read_indexed(file, photo.image.sha256, needs_pixels=stage.needs_pixels)
            seen = replace(seen, others=tuple(other.path for other in photo.files if other != file))
            image = looked_at(seen, photo.image, [stage])
            if stage.name in image.findings:
                return image
            reason = "face detection has not run on any photo of the library"
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
        except UnreadableImage as error:
            reason = error.reason
    return FileFailure(photo.files[0].path if photo.files else photo.image.sha256, reason)


def _store(
    library: Library, stage: Stage, results: Sequence[ImageRecord | FileFailure], summary: Result
) -> None:
    found = [each for each in results if isinstance(each, ImageRecord)]
    stored = library.store_findings(found)
    images = [each for each in found if each.sha256 in stored]
    failed = sum(bool(image.findings[stage.name].reason) for image in images)
    unavailable = [each for each in results if isinstance(each, FileFailure)]
    summary["completed"] += len(images) - failed
    summary["failed"] += failed
    summary["unavailable"] += len(unavailable)
    summary["failures"] += unavailable
    summary["to_do"] += len(found) - len(images)


def folders_without_photos(library: Library, folders: Sequence[str]) -> list[str]:
    """Return the folders below which the library has no photo."""

    def holds_photos(folder: str) -> bool:
        return library.count_pending(PhotosOfStage("", "", (folder,), done=True)) > 0

    return [folder for folder in folders if not holds_photos(folder)]


def read_indexed(file: FoundFile, sha256: str, *, needs_pixels: bool) -> Photo:
    """Read a photo from one of its files.

    Raises
    ------
    OSError, UnreadableImage
        It cannot be read, or has changed since it was indexed.
    """
    if not needs_pixels:
        status = Path(file.path).stat()
        if (status.st_size, mtime_ns_of(status)) != (file.size, file.mtime_ns):
            raise UnreadableImage("the file changed since it was indexed")
        return Photo(file.path)
    data = read_regular_file(Path(file.path), max_bytes=MAX_FILE_BYTES)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise UnreadableImage("the file changed since it was indexed")
    # The run that added the photo applied the size limit.
    return Photo(file.path, data, decode_bytes(data, max_pixels=ABSOLUTE_MAX_PIXELS))
