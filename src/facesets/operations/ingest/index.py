"""`index`: every image below some targets into the library, once, however many runs are at it.

Listing and comparing touch no file. What differs is worked on by threads, each of which takes files
from the disk to their faces and embeddings. Before a file is opened its path is claimed, and before a
picture is searched its content is, so that of several runs only one does it; the claims of a run that
dies are free at once. What another run has claimed is looked at again at the end: by then it is done, or
free.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice

from facesets.errors import SourceGone
from facesets.files import printable
from facesets.interfaces import Describer, Progress
from facesets.operations.ingest.batches import batches
from facesets.operations.ingest.changed_files import (
    GalleryTargets,
    compare,
    gone_paths,
    is_below,
    targets_away,
)
from facesets.operations.ingest.embed import LISTING, WAITING, Failure
from facesets.operations.ingest.galleries import GalleryNumbers, renew_galleries
from facesets.operations.ingest.image_reader import Look, Looker
from facesets.operations.ingest.same_models import require_way_of_library
from facesets.operations.options.library import IndexOptions
from facesets.records import FileRecord, FoundFile, ImageRecord
from facesets.sources.missing import moved_away
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.images import Seen
from facesets.store.postgres.library import Library
from facesets.store.postgres.paths import to_text
from facesets.store.postgres.runs import recorded_run

_BATCHES_AHEAD_PER_WORKER = 3
_CLAIMED_AT_ONCE = 64
_WAIT_FOR_OTHERS_S = 0.5


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
    failures : list of Failure
        The same, each with its reason.
    to_do : int
        Files that are left for another run; after a dry run, all that differ.
    stopped : bool
        The run was asked to end before it was through.
    away : list of str
        A sentence about each target that is away.
    passed_over : dict of str to int
        How many RAW files, videos and linked folders are below the targets: they are not indexed.
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
    failures: list[Failure] = field(default_factory=list)
    to_do: int = 0
    stopped: bool = False
    away: list[str] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)


def index(
    source: GalleryTargets,
    library: Library,
    describer: Describer,
    options: IndexOptions,
    *,
    stopwatch: Stopwatch | None = None,
    progress: Progress,
    stop: Stop,
    clock: Callable[[], float] = time.monotonic,
) -> IndexSummary:
    """Put everything below the targets that is not there yet into the library.

    Parameters
    ----------
    stopwatch : Stopwatch, optional
        Learns where the time went.

    Raises
    ------
    WrongUsage
        There are no photos below the targets.
    RecogniserMismatch
        The library's faces were found in another way.
    SourceGone
        All targets are away, or one vanished; what was done until then is kept.
    Unreachable
        The database went away and did not come back.
    CannotWrite
        The database's disk is full.
    """
    given = {"targets": [to_text(root) for root in source.roots], **asdict(options)}
    with recorded_run(library.database, "index", given, dry_run=options.dry_run) as run:
        summary = _indexed(
            source, library, describer, options, stopwatch or Stopwatch(), progress, stop, clock
        )
        run.summary = {name: value for name, value in asdict(summary).items() if name != "failures"}
        run.stopped = summary.stopped
    return summary


def _indexed(
    source: GalleryTargets,
    library: Library,
    describer: Describer,
    options: IndexOptions,
    stopwatch: Stopwatch,
    progress: Progress,
    stop: Stop,
    clock: Callable[[], float],
) -> IndexSummary:
    ends_at = None if options.max_minutes is None else clock() + 60 * options.max_minutes
    if describer.faces_from is not None:
        require_way_of_library(library, describer.faces_from)
    library.look_for(describer.faces_from, describer.clip_from)
    progress.begin("Listing")
    with stopwatch.stage(LISTING):
        listing = compare(source, library, retry_failed=options.retry_failed)
    todo, failures = listing.todo, listing.failures
    progress.end()
    away = targets_away(source, library, listing.stamps, prune=options.prune)
    for sentence in away:
        progress.say(sentence)
    for gallery in source.galleries.values():
        if gallery.problem:
            progress.say(f"{printable(gallery.path)}/index.json is passed over: {gallery.problem}.")
    gone = gone_paths(source, library, listing.stamps) if options.prune else []
    summary = IndexSummary(
        galleries=len(source.galleries),
        listed=len(listing.stamps),
        ignored=len(source.ignored),
        unchanged=len(listing.stamps) - len(todo) - len(failures),
        pruned=len(gone),
        failed=len(failures),
        failures=failures,
        to_do=len(todo),
        away=away,
        passed_over=dict(source.passed_over),
    )
    if options.dry_run:
        return summary
    renew_galleries(source, library, listing.linked)
    library.forget_paths(gone)
    if not todo:
        return summary
    run = _Run(
        source, library, describer, options, stopwatch, lambda: ends_at is not None and clock() > ends_at
    )
    progress.begin("Indexing", len(todo))
    try:
        run.work_through(todo, progress, stop)
    finally:
        progress.end()
    return replace(
        summary,
        unchanged=summary.unchanged + run.done_by_others,
        indexed=run.indexed,
        completed=run.completed,
        aliases=run.aliases,
        moved=run.moved,
        faces=run.faces,
        embeddings=run.embeddings,
        failed=len(failures) + len(run.failures),
        failures=failures + run.failures,
        to_do=len(todo) - run.finished,
        stopped=stop.requested and run.finished < len(todo),
    )


class _Run:
    """The state of one run: what is claimed, what waits for the next commit, and the counts."""

    def __init__(
        self,
        source: GalleryTargets,
        library: Library,
        describer: Describer,
        options: IndexOptions,
        stopwatch: Stopwatch,
        is_time_up: Callable[[], bool],
    ) -> None:
        self._source = source
        self._library = library
        self._options = options
        self._stopwatch = stopwatch
        self._is_time_up = is_time_up
        self._path_claims = Claims(library.database, "path")
        self._content_claims = Claims(library.database, "content")
        self._looker = Looker(library, describer, self._content_claims, stopwatch)
        self._galleries = GalleryNumbers(source, library)
        self._files: list[FileRecord] = []
        self._images: list[ImageRecord] = []
        self._claimed_paths: list[str] = []
        self._claimed_contents: list[str] = []
        self._committed_at = time.monotonic()
        self._started = 0
        self._later: list[FoundFile] = []
        self._copies: dict[str, str] = {}
        self.indexed = self.completed = self.aliases = self.moved = self.faces = self.embeddings = 0
        self.done_by_others = self.finished = 0
        self.failures: list[Failure] = []

    def work_through(self, todo: Sequence[FoundFile], progress: Progress, stop: Stop) -> None:
        """Take all files in order, then again those that were in other hands, until none is left."""
        waiting = list(todo)
        workers = self._options.concurrency
        with ThreadPoolExecutor(workers, thread_name_prefix="index") as pool:
            try:
                while waiting:
                    finished = self.finished
                    for look in self._looks(pool, waiting, stop):
                        self._take(look)
                        progress.advance(self.finished - finished)
                        finished = self.finished
                    self._commit()
                    waiting, self._later = self._later, []
                    if self._ends(stop):
                        return
                    if waiting and finished == self.finished:
                        time.sleep(_WAIT_FOR_OTHERS_S)
            finally:
                pool.shutdown(cancel_futures=True)
                # Ends by an error keep what was done just as well, unless it is the database that is gone.
                if not self._library.database.closed:
                    self._commit()

    def _ends(self, stop: Stop) -> bool:
        enough = self._options.max_images is not None and self._started >= self._options.max_images
        return stop.requested or enough or self._is_time_up()

    def _looks(self, pool: ThreadPoolExecutor, files: Sequence[FoundFile], stop: Stop) -> Iterator[Look]:
        """What comes of each file, in order; a bounded number is worked on ahead."""
        dealt = batches(self._claimed(files, stop), self._options.batch_size)
        pending: deque[tuple[list[FoundFile], Future[list[Look]]]] = deque()
        while True:
            room = self._options.concurrency * _BATCHES_AHEAD_PER_WORKER - len(pending)
            pending.extend((batch, pool.submit(self._looker.look, batch)) for batch in islice(dealt, room))
            # Threads take the oldest first: whatever comes before one that has begun has begun as well.
            while stop.requested and pending and pending[-1][1].cancel():
                self._path_claims.release([file.path for file in pending.pop()[0]])
            if not pending:
                return
            with self._stopwatch.stage(WAITING):
                looks = pending.popleft()[1].result()
            yield from looks

    def _claimed(self, files: Sequence[FoundFile], stop: Stop) -> Iterator[FoundFile]:
        """Those files that are for us to do; the others are put off."""
        for start in range(0, len(files), _CLAIMED_AT_ONCE):
            some = files[start : start + _CLAIMED_AT_ONCE]
            if self._ends(stop):
                return
            ours = self._path_claims.take([file.path for file in some])
            seen = self._library.seen_at([file.path for file in some])
            for position, file in enumerate(some):
                if _is_done(file, seen.get(file.path)):
                    self.done_by_others += 1
                    self.finished += 1
                    self._claimed_paths.extend({file.path} & ours)
                elif file.path not in ours:
                    self._later.append(file)
                elif self._ends(stop):
                    self._path_claims.release([left.path for left in some[position:] if left.path in ours])
                    return
                else:
                    self._started += 1
                    yield file

    def _take(self, look: Look) -> None:
        """Count what came of one file and keep it for the next commit."""
        self._claimed_paths.append(look.file.path)
        if look.claimed:
            self._claimed_contents.append(look.file.sha256)
        if look.in_other_hands or self._is_lost(look):
            self._started -= 1
            self._later.append(look.found)
        else:
            self.finished += 1
            self._count(look)
        late = time.monotonic() - self._committed_at > self._options.flush_every_s
        if late or len(self._claimed_paths) >= self._options.flush_every:
            self._commit()

    def _is_lost(self, look: Look) -> bool:
        """Whether others took the file or its content while the database was away: it is theirs then."""
        return not self._path_claims.holds(look.file.path) or (
            look.claimed and not self._content_claims.holds(look.file.sha256)
        )

    def _count(self, look: Look) -> None:
        if look.file.reason:
            away = [] if look.file.sha256 else self._source.away()
            if vanished := next((root for root in away if is_below(look.file.path, root)), None):
                raise SourceGone(
                    f"{printable(vanished)} vanished during the run. Everything up to here is kept: "
                    "run the same command again when it is back."
                )
            path, reason = look.file.path, look.file.reason
            known = self._library.reasons([path]).get(path) == reason
            self.failures.append(Failure(path, reason, known))
        elif look.image is None:
            self.aliases += 1
            self._copies[look.file.sha256] = look.file.path
        else:
            self.indexed += look.is_new
            self.completed += not look.is_new
            self.faces += len(look.image.faces)
            self.embeddings += look.image.clip is not None
            self._images.append(look.image)
        if look.is_kept:
            self._files.append(look.file)

    def _commit(self) -> None:
        """Store what waits, and let go of its claims."""
        with self._stopwatch.stage("store"):
            self._store()
        self._committed_at = time.monotonic()

    def _store(self) -> None:
        if self._copies:
            self._forget_moved()
        if self._files:
            self._library.add(self._files, self._images, self._galleries.of_files(self._files))
        if self._claimed_contents:
            self._content_claims.release(self._claimed_contents)
        if self._claimed_paths:
            self._path_claims.release(self._claimed_paths)
        self._files, self._images, self._claimed_paths, self._claimed_contents = [], [], [], []

    def _forget_moved(self) -> None:
        """Forget where files were moved from, before the new paths are kept: a run may end in between."""
        known = self._library.paths_with(list(self._copies))
        moved = list(moved_away((path, known.get(sha256, ())) for sha256, path in self._copies.items()))
        self._library.forget_paths(moved)
        self.moved += len(moved)
        self._copies = {}


def _is_done(file: FoundFile, seen: Seen | None) -> bool:
    return seen is not None and seen.matches(file) and not seen.failed
