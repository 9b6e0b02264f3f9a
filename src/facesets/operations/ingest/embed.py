"""`embed`: add every face of a source to a cache once, even after interruptions."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from facesets.file_records import FileRecord, FoundFile
from facesets.interfaces import Embedder, Source, Store
from facesets.operations.ingest.changed_files import (
    FileFailure,
    compare_with_cache,
    missing_elsewhere,
    missing_from_source,
    moved_here,
)
from facesets.operations.ingest.image_reader import ContentClaim, Place, ReadResult
from facesets.operations.ingest.intake import LISTING, Pipeline
from facesets.operations.ingest.stages import Stage
from facesets.operations.ingest.unavailable_sources import refuse_empty_source
from facesets.operations.options.start import EmbedOptions
from facesets.records import CacheSettings, Description, ImageRecord, Pixels, Wanted
from facesets.result import Result
from facesets.stopwatch import Stopwatch
from facesets.work import Work


def embed(
    source: Source,
    store: Store,
    embedder: Embedder,
    options: EmbedOptions,
    *,
    stages: Sequence[Stage] = (),
    stopwatch: Stopwatch | None = None,
    work: Work,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Add the faces of new and changed files of a source to a store.

    Parameters
    ----------
    stages : sequence of Stage
        Further analysis steps for each photo in the same pass.
    stopwatch : Stopwatch, optional
        Measures the time of each stage.

    Raises
    ------
    SourceGone
        The source became unavailable; earlier results are stored.
    CannotWrite
        No space; flushed data stays.
    """
    stopwatch = stopwatch or Stopwatch()
    work.progress.begin("Listing")
    with stopwatch.stage(LISTING):
        found = list(source.files())
        known = store.files()
        todo, failures = compare_with_cache(found, known, retry_failed=options.retry_failed)
        missing = missing_from_source(source, found, known)
    work.progress.end()
    if not found:
        refuse_empty_source(source, known)
    pruned = missing_elsewhere(source, known, missing) if options.prune else []
    summary = _listed(source, found, todo, failures, missing, pruned)
    if options.dry_run:
        return Result(
            summary, to_do=len(todo), moved=len(moved_here(found, known).difference(missing, pruned))
        )
    store.forget_paths([*missing, *pruned])
    if todo:
        intake = _CacheIntake(source, store, known)
        pipeline = Pipeline(
            intake, _FacesOnly(embedder), options, stages=stages, stopwatch=stopwatch, clock=clock
        )
        summary = _worked_through(pipeline, todo, summary, work)
    moved = sorted(moved_here(found, store.files()))
    store.forget_paths(moved)
    return Result(summary, moved=len(moved))


def _listed(
    source: Source,
    found: Sequence[FoundFile],
    todo: Sequence[FoundFile],
    failures: list[FileFailure],
    missing: Sequence[str],
    pruned: Sequence[str],
) -> Result:
    """Return the result of a run before it reads any file."""
    return Result(
        listed=len(found),
        unchanged=len(found) - len(todo),  # known by path, size and time; not opened
        embedded=0,  # new images
        aliases=0,  # files with known content
        faces=0,  # in the new images
        ignored=len(source.ignored),
        gone=len(missing),  # forgotten until they come back
        moved=0,  # paths elsewhere, forgotten because the file was moved from there into this source
        pruned=len(pruned),  # other paths, forgotten because they are missing or ignored
        failed=len(failures),  # those of earlier runs included while they have not changed
        failures=failures,
        to_do=0,  # files that a run would look at; only after a dry run
        stopped=False,
    )


def _worked_through(pipeline: Pipeline, todo: Sequence[FoundFile], summary: Result, work: Work) -> Result:
    """Process the changed files; return the result with their counts."""
    counts = pipeline.run("Embedding", todo, work)
    return Result(
        summary,
        embedded=counts.new,
        aliases=counts.aliases,
        faces=counts.faces,
        failed=summary.failed + len(counts.failures),
        failures=summary.failures + counts.failures,
        stopped=counts.taken < len(todo),
    )


class _FacesOnly:
    """An embedder as a `Describer` of faces."""

    clip_from = None

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def faces_from(self) -> CacheSettings:
        return self._embedder.settings

    def describe(self, pictures: Sequence[Pixels], wanted: Sequence[Wanted]) -> list[Description]:  # noqa: ARG002 - always faces
        return [Description(faces) for faces in self._embedder.embed(pictures)]


class _CacheIntake:
    """The intake of a cache: one run at a time fills it, and copies within a run are found here."""

    done_by_others = 0
    has_enough = False
    can_commit = True

    def __init__(self, source: Source, store: Store, known: Mapping[str, FileRecord]) -> None:
        self._source = source
        self._store = store
        # Read now, because a cache may continue with these.
        self._reasons = {path: record.reason for path, record in known.items() if record.reason}
        self._lock = threading.Lock()
        self._begun: dict[str, Place] = {}
        self._unreadable: dict[str, str] = {}

    def claim_files(self, files: Sequence[FoundFile], is_over: Callable[[], bool]) -> Iterator[FoundFile]:
        return takewhile(lambda _: not is_over(), files)

    def put_back(self, files: Sequence[FoundFile]) -> None:
        pass

    def put_off(self) -> list[FoundFile]:
        return []

    def claim_content(self, sha256: str, place: Place) -> ContentClaim:
        """Skip a content that an earlier file of the run may be processing."""
        with self._lock:
            is_copy = self._begun.setdefault(sha256, place) < place
            self._begun[sha256] = min(self._begun[sha256], place)
        return ContentClaim(Wanted(faces=not (is_copy or self._store.has_image(sha256))))

    def accept(self, result: ReadResult) -> ReadResult:
        file = result.file
        if file.reason and file.sha256:
            self._unreadable[file.sha256] = file.reason
        elif result.image is None and (reason := self._unreadable.get(file.sha256)):
            return replace(result, file=replace(file, reason=reason))
        elif result.image is not None and self._store.has_image(file.sha256):
            # A later copy was started before the first one, which is stored now.
            return replace(result, image=None)
        return result

    def known_reason(self, path: str) -> str:
        return self._reasons.get(path, "")

    def vanished(self, path: str) -> str:  # noqa: ARG002 - there is one source
        return "" if self._source.is_there() else self._source.label

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        if not files:
            return
        self._store.commit(files, images)
        with self._lock:
            # From now on the store knows them.
            for file in files:
                self._begun.pop(file.sha256, None)
