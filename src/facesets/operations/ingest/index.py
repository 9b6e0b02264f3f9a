"""`index`: add every photo below some targets to the library once, even with several runs.

Listing and comparing open no file. A run claims a path before it opens the file, and a content before it
searches the picture, so that only one of several runs does the work. If a run dies, its claims are free at
once. Files claimed by another run are checked again at the end: then they are done, or free.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from facesets.files import printable
from facesets.interfaces import Describer, Progress
from facesets.operations.ingest.changed_files import (
    Listing,
    compare_with_library,
    missing_from_targets,
)
from facesets.operations.ingest.intake import LISTING, Pipeline
from facesets.operations.ingest.library_intake import LibraryIntake, note_missing, renew_galleries
from facesets.operations.ingest.same_models import require_models_of_library
from facesets.operations.ingest.stages import Stage
from facesets.operations.ingest.unavailable_sources import unavailable_targets
from facesets.operations.options.index import IndexOptions
from facesets.result import Result, plain
from facesets.sources.galleries import GallerySource
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.library import Library
from facesets.work import Work


def index_result(**known: Any) -> Result:  # noqa: ANN401 - whatever was counted
    """Make a result in which only these figures are set."""
    nothing = Result(
        galleries=0,
        listed=0,
        ignored=0,
        unchanged=0,
        indexed=0,  # contents that are new
        completed=0,  # contents that were known and lacked something
        aliases=0,  # new paths of known contents
        moved=0,  # of these: another path of it is gone
        faces=0,
        embeddings=0,  # of whole images
        pruned=0,  # paths forgotten; after a dry run, those that would be
        failed=0,  # those of earlier runs included, while they have not changed
        failures=[],
        to_do=0,  # left for another run; after a dry run, all that differ
        stopped=False,
        away=[],  # a sentence about each unavailable target
        passed_over={},  # RAW files, videos and linked folders, by kind
        missing=0,  # photos of the library without any file left
        assigned=None,
        to_review=None,
        pack_note="",  # about the model pack of a new library that was not chosen by the user
    )
    return Result(nothing, **known)


def index(
    source: GallerySource,
    library: Library,
    describer: Describer,
    options: IndexOptions,
    *,
    stages: Sequence[Stage] = (),
    stopwatch: Stopwatch | None = None,
    work: Work,
    clock: Callable[[], float] = time.monotonic,
) -> Result:
    """Add the new and changed photos below the targets to the library.

    Parameters
    ----------
    stages : sequence of Stage
        Further analysis steps for each photo in the same pass.
    stopwatch : Stopwatch, optional
        Measures the time of each stage.

    Raises
    ------
    WrongUsage
        There are no photos below the targets.
    RecognizerMismatch
        The library's faces come from other models.
    SourceGone
        All targets are unavailable, or one became so; earlier results are stored.
    Unreachable
        The database became unavailable and did not come back.
    CannotWrite
        The database's disk is full.
    """
    stopwatch = stopwatch or Stopwatch()
    ends_at = None if options.max_minutes is None else clock() + 60 * options.max_minutes
    given = {"targets": source.roots, **source.patterns, **asdict(options)}
    with library.recorded_run("index", given, dry_run=options.dry_run) as run:
        if describer.faces_from is not None:
            require_models_of_library(library, describer.faces_from)
        library = library.looking_for(describer.faces_from, describer.clip_from)
        listing, summary = _compared(source, library, options, stopwatch, work.progress)
        if listing.todo and not options.dry_run:
            intake = LibraryIntake(
                source, library, options.max_images, lambda: ends_at is not None and clock() > ends_at
            )
            pipeline = Pipeline(intake, describer, options, stages=stages, stopwatch=stopwatch, clock=clock)
            summary = worked_through(pipeline, intake, listing, summary, work)
        if not options.dry_run and not summary.stopped:
            summary = Result(summary, missing=note_missing(library, source, listing.stamps))
        run.summary = {name: value for name, value in plain(summary).items() if name != "failures"}
        run.stopped = summary.stopped
    return summary


def _compared(
    source: GallerySource,
    library: Library,
    options: IndexOptions,
    stopwatch: Stopwatch,
    progress: Progress,
) -> tuple[Listing, Result]:
    """List and compare; remove missing paths and refresh galleries, except in a dry run."""
    progress.begin("Listing")
    with stopwatch.stage(LISTING):
        listing = compare_with_library(source, library, retry_failed=options.retry_failed)
    progress.end()
    unavailable = unavailable_targets(source, library, listing.stamps, prune=options.prune)
    for sentence in unavailable:
        progress.say(sentence)
    for gallery in source.galleries.values():
        if gallery.problem:
            progress.say(f"{printable(gallery.path)}/index.json is skipped: {gallery.problem}.")
    missing = missing_from_targets(source, library, listing.stamps) if options.prune else []
    if not options.dry_run:
        renew_galleries(source, library, listing.linked)
        library.forget_paths(missing)
    return listing, index_result(
        galleries=len(source.galleries),
        listed=len(listing.stamps),
        ignored=len(source.ignored),
        unchanged=len(listing.stamps) - len(listing.todo) - len(listing.failures),
        pruned=len(missing),
        failed=len(listing.failures),
        failures=listing.failures,
        to_do=len(listing.todo),
        away=unavailable,
        passed_over=dict(source.passed_over),
    )


def worked_through(
    pipeline: Pipeline, intake: "LibraryIntake", listing: Listing, summary: Result, work: Work
) -> Result:
    """Process the changed files; return the result with their counts."""
    counts = pipeline.run("Indexing", listing.todo, work)
    to_do = len(listing.todo) - pipeline.finished
    return Result(
        summary,
        unchanged=summary.unchanged + intake.done_by_others,
        indexed=counts.new,
        completed=counts.completed,
        aliases=counts.aliases,
        moved=intake.moved,
        faces=counts.faces,
        embeddings=counts.embeddings,
        failed=summary.failed + len(counts.failures),
        failures=summary.failures + counts.failures,
        to_do=to_do,
        stopped=work.stop.requested and to_do > 0,
    )
