"""`index`: every image below some targets into the library, once, however many runs are at it.

Listing and comparing touch no file. Before a file is opened its path is claimed, and before a picture is
searched its content is, so that of several runs only one does it; the claims of a run that dies are free at
once. What another run has claimed is looked at again at the end: by then it is done, or free.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace

from facesets.files import printable
from facesets.interfaces import Describer, LibraryStore, Progress
from facesets.operations.ingest.changed_files import (
    FileFailure,
    Listing,
    compare_with_library,
    gone_from_targets,
)
from facesets.operations.ingest.galleries import renew_galleries
from facesets.operations.ingest.intake import LISTING, Pipeline
from facesets.operations.ingest.library_intake import LibraryIntake
from facesets.operations.ingest.missing_photos import note_missing
from facesets.operations.ingest.same_models import require_way_of_library
from facesets.operations.ingest.stages import Stage
from facesets.operations.ingest.unavailable_sources import unavailable_targets
from facesets.operations.options.library import IndexOptions
from facesets.sources.galleries import GallerySource
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What one run of `index` did.

    Attributes
    ----------
    galleries : int
        Directories that hold photos.
    listed : int
        Files below the targets that look like images.
    ignored : int
        Files and folders that ignore files leave out.
    unchanged : int
        Known by path, size and time, or done by another run meanwhile; not opened. Without those that failed.
    indexed : int
        New images.
    aliases : int
        Files whose bytes were known already.
    moved : int
        Paths forgotten because the file was moved from there to where it was found.
    completed : int
        Images known before that got the faces or the embedding that they lacked.
    faces : int
        New faces.
    embeddings : int
        New embeddings of whole images.
    pruned : int
        Paths forgotten because no file is there any more; after a dry run, those that would be.
    failed : int
        Files that cannot be read or were refused by the service, those of earlier runs included while
        they have not changed.
    failures : list of FileFailure
        The same, each with its reason.
    to_do : int
        Files that are left for another run; after a dry run, all that differ.
    stopped : bool
        The run was asked to end before it was through.
    away : list of str
        A sentence about each unavailable target.
    passed_over : dict of str to int
        How many RAW files, videos and linked folders are below the targets: they are not indexed.
    missing : int
        Photos of the library of which no file is left; they count nowhere. 0 after a dry run.
    assigned, to_review : int or None
        New faces that were given to people, and those that are to be asked about; None where that was not
        asked for.
    pack_note : str
        What to know of the model pack, where this run made the library with one that nobody chose.
    """

    galleries: int = 0
    listed: int = 0
    ignored: int = 0
    unchanged: int = 0
    indexed: int = 0
    completed: int = 0
    aliases: int = 0
    moved: int = 0
    faces: int = 0
    embeddings: int = 0
    pruned: int = 0
    failed: int = 0
    failures: list[FileFailure] = field(default_factory=list)
    to_do: int = 0
    stopped: bool = False
    away: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    assigned: int | None = None
    to_review: int | None = None
    pack_note: str = ""


def index(
    source: GallerySource,
    library: LibraryStore,
    describer: Describer,
    options: IndexOptions,
    *,
    stages: Sequence[Stage] = (),
    stopwatch: Stopwatch | None = None,
    progress: Progress,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> IndexSummary:
    """Put everything below the targets that is not there yet into the library.

    Parameters
    ----------
    stages : sequence of Stage
        What else is found out about each photo in the same pass.
    stopwatch : Stopwatch, optional
        Learns where the time went.

    Raises
    ------
    WrongUsage
        There are no photos below the targets.
    RecogniserMismatch
        The library's faces were found in another way.
    SourceGone
        All targets are unavailable, or one vanished; what was done until then is kept.
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
            require_way_of_library(library, describer.faces_from)
        library = library.looking_for(describer.faces_from, describer.clip_from)
        listing, summary = _compared(source, library, options, stopwatch, progress)
        if listing.todo and not options.dry_run:
            intake = LibraryIntake(
                source, library, options.max_images, lambda: ends_at is not None and clock() > ends_at
            )
            pipeline = Pipeline(intake, describer, options, stages=stages, stopwatch=stopwatch, clock=clock)
            summary = worked_through(pipeline, intake, listing, summary, progress, stop)
        if not options.dry_run and not summary.stopped:
            summary = replace(summary, missing=note_missing(library, source, listing.stamps))
        run.summary = {name: value for name, value in asdict(summary).items() if name != "failures"}
        run.stopped = summary.stopped
    return summary


def _compared(
    source: GallerySource,
    library: LibraryStore,
    options: IndexOptions,
    stopwatch: Stopwatch,
    progress: Progress,
) -> tuple[Listing, IndexSummary]:
    """List and compare; forget what is gone and renew galleries, but for a dry run."""
    progress.begin("Listing")
    with stopwatch.stage(LISTING):
        listing = compare_with_library(source, library, retry_failed=options.retry_failed)
    progress.end()
    unavailable = unavailable_targets(source, library, listing.stamps, prune=options.prune)
    for sentence in unavailable:
        progress.say(sentence)
    for gallery in source.galleries.values():
        if gallery.problem:
            progress.say(f"{printable(gallery.path)}/index.json is passed over: {gallery.problem}.")
    gone = gone_from_targets(source, library, listing.stamps) if options.prune else []
    if not options.dry_run:
        renew_galleries(source, library, listing.linked)
        library.forget_paths(gone)
    return listing, IndexSummary(
        galleries=len(source.galleries),
        listed=len(listing.stamps),
        ignored=len(source.ignored),
        unchanged=len(listing.stamps) - len(listing.todo) - len(listing.failures),
        pruned=len(gone),
        failed=len(listing.failures),
        failures=listing.failures,
        to_do=len(listing.todo),
        away=unavailable,
        passed_over=dict(source.passed_over),
    )


def worked_through(
    pipeline: Pipeline,
    intake: "LibraryIntake",
    listing: Listing,
    summary: IndexSummary,
    progress: Progress,
    stop: Stop,
) -> IndexSummary:
    """Look at the files that differ; return the summary with what came of them."""
    counts = pipeline.run("Indexing", listing.todo, progress, stop)
    to_do = len(listing.todo) - pipeline.finished
    return replace(
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
        stopped=stop.requested and to_do > 0,
    )
