"""`index` in parts: one run lists the targets and hands out changed files in chunks for others to process.

Only one chunk is held in memory, so ten million files need little memory.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from facesets.file_records import FoundFile
from facesets.files import printable
from facesets.interfaces import Describer, Progress
from facesets.library_records import GalleryLink
from facesets.operations.ingest.changed_files import FileFailure, Listing, compare
from facesets.operations.ingest.index import index_result, worked_through
from facesets.operations.ingest.intake import Pipeline
from facesets.operations.ingest.library_intake import LibraryIntake, note_missing, renew_galleries
from facesets.operations.ingest.same_models import require_models_of_library
from facesets.operations.ingest.stages import Stage
from facesets.operations.ingest.unavailable_sources import belongs, unavailable_targets
from facesets.operations.options.index import IndexOptions
from facesets.result import Result
from facesets.sources.galleries import GallerySource
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.library import Library
from facesets.work import Work

MIN_IN_CHUNK, MAX_IN_CHUNK = 64, 256
"""Chunk sizes at which opening a session, and threads waiting for the last files of a chunk, cost little."""
_CHUNK_DIVISOR = 32
"""Divisor of the number of earlier files that limits a chunk, so that workers wait briefly at the end."""
_COMPARED_AT_ONCE = 4_000
_FAILURES_NAMED = 100


def hand_over_chunks(
    source: GallerySource,
    library: Library,
    describer: Describer,
    options: IndexOptions,
    hand_over: Callable[[Sequence[FoundFile]], None],
    *,
    work: Work,
) -> Result:
    """List the targets and hand out the files that `index` would read, in chunks.

    Raises
    ------
    As `index`.
    """
    given = {"targets": source.roots, **source.patterns, **asdict(options)}
    with library.recorded_run("index", given) as run:
        if describer.faces_from is not None:
            require_models_of_library(library, describer.faces_from)
        library = library.looking_for(describer.faces_from, describer.clip_from)
        work.progress.begin("Listing")
        try:
            summary = _handed_over(source, library, options, hand_over, work)
        finally:
            work.progress.end()
        run.summary = {name: value for name, value in summary.items() if name != "failures"}
        run.stopped = summary.stopped
    return summary


def _handed_over(
    source: GallerySource,
    library: Library,
    options: IndexOptions,
    hand_over: Callable[[Sequence[FoundFile]], None],
    work: Work,
) -> Result:
    linked = set[GalleryLink]()
    # Counts that `index` also has use the same names.
    summary = Result(
        galleries=0,
        listed=0,
        ignored=0,
        unchanged=0,
        failed=0,
        failures=[],  # the first of those that are known not to be readable
        queued=0,  # files that were handed over
        chunks=0,
        away=[],
        missing=0,
        passed_over={},
        stopped=False,
    )
    first_below: dict[str, str] = {}
    waiting: list[FoundFile] = []
    for stamps in _in_batches(source):
        if work.stop.requested:
            summary["stopped"] = True
            break
        for root in source.roots:
            if root not in first_below:
                first_below.update((root, stamp) for stamp in stamps[:1] if belongs(_path(stamp), root))
        waiting += _differing(stamps, library, options, summary, linked)
        work.progress.advance(len(stamps))
        while len(waiting) >= (size := size_of_next(summary.queued)):
            _hand(waiting[:size], hand_over, summary)
            del waiting[:size]
    if waiting and not summary.stopped:
        _hand(waiting, hand_over, summary)
    if not summary.stopped:
        _finish_listing(source, library, list(first_below.values()), linked, summary, work.progress)
    return Result(
        summary,
        galleries=len(source.galleries),
        ignored=len(source.ignored),
        passed_over=dict(source.passed_over),
    )


def size_of_next(queued: int) -> int:
    """Return the size of the next chunk; chunks start small because the total is unknown."""
    return min(max(queued // _CHUNK_DIVISOR, MIN_IN_CHUNK), MAX_IN_CHUNK)


def _finish_listing(
    source: GallerySource,
    library: Library,
    listed: list[str],
    linked: set[GalleryLink],
    summary: Result,
    progress: Progress,
) -> None:
    """Report unavailable targets, given a stamp below each available one, and refresh known galleries."""
    summary["away"] = unavailable_targets(source, library, listed, prune=False)
    for sentence in summary.away:
        progress.say(sentence)
    for gallery in source.galleries.values():
        if gallery.problem:
            progress.say(f"{printable(gallery.path)}/index.json is skipped: {gallery.problem}.")
    renew_galleries(source, library, linked)
    summary["missing"] = note_missing(library, source)


def _in_batches(source: GallerySource) -> Iterator[list[str]]:
    """Yield all stamps in batches; each batch lies below one target."""
    batch: list[str] = []
    root = ""
    for stamps in source.stamps():
        if not stamps:
            continue
        at = _path(stamps[0])
        here = next((each for each in source.roots if belongs(at, each)), "")
        if batch and (here != root or len(batch) >= _COMPARED_AT_ONCE):
            yield batch
            batch = []
        root = here
        batch += stamps
    if batch:
        yield batch


def _differing(
    stamps: Sequence[str],
    library: Library,
    options: IndexOptions,
    summary: Result,
    linked: set[GalleryLink],
) -> list[FoundFile]:
    """Return the files to read; count the others and note their galleries."""
    found = [FoundFile.of_stamp(stamp) for stamp in stamps]
    known = library.seen_at([file.path for file in found])
    todo, failed = compare(found, known, retry_failed=options.retry_failed)
    fitting = [file for file in todo if library.fits(file.path)]
    failures = [
        FileFailure(file.path, "its path is too long for the library")
        for file in todo
        if not library.fits(file.path)
    ]
    failures += [FileFailure(path, known[path].reason, known=True) for path in failed]
    if known:
        linked |= library.linked_at(list(known))
    summary["listed"] += len(found)
    summary["failed"] += len(failures)
    summary["failures"] += failures[: _FAILURES_NAMED - len(summary.failures)]
    summary["unchanged"] += len(found) - len(todo) - len(failed)
    return fitting


def _hand(
    files: Sequence[FoundFile], hand_over: Callable[[Sequence[FoundFile]], None], summary: Result
) -> None:
    hand_over(files)
    summary["queued"] += len(files)
    summary["chunks"] += 1


def _path(stamp: str) -> str:
    return FoundFile.of_stamp(stamp).path


def index_chunk(
    source: GallerySource,
    library: Library,
    describer: Describer,
    options: IndexOptions,
    *,
    stages: Sequence[Stage] = (),
    work: Work,
) -> Result:
    """Read the changed files of a source, except those that were processed meanwhile.

    Raises
    ------
    As `index`.
    """
    if describer.faces_from is not None:
        require_models_of_library(library, describer.faces_from)
    library = library.looking_for(describer.faces_from, describer.clip_from)
    stamps = [stamp for some in source.stamps() for stamp in some]
    listing = Listing(stamps, [FoundFile.of_stamp(stamp) for stamp in stamps], [], set())
    intake = LibraryIntake(source, library, None, lambda: False)
    pipeline = Pipeline(
        intake, describer, options, stages=stages, stopwatch=Stopwatch(), clock=time.monotonic
    )
    return worked_through(pipeline, intake, listing, index_result(listed=len(stamps)), work)
