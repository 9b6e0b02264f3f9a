"""`embed`: every face of a source into a store, once, whatever interrupts it.

A batch of files is the unit of work. Each worker thread takes one from the disk to its faces by
itself; reading, decoding and inference release the interpreter, so that workers overlap without
queues between them. Results are taken over in the order of the files, so that the same files give the
same store however many workers there are and however often the run was cut.
"""

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from facesets.errors import SourceGone, UnreadableImage, WrongUsage
from facesets.files import read_regular_file
from facesets.imaging.decode import Decoded, decode_bytes
from facesets.imaging.fingerprint import fingerprint
from facesets.imaging.limits import MAX_FILE_BYTES
from facesets.interfaces import Embedder, Progress, Source, Store
from facesets.operations.ingest.batches import batches
from facesets.operations.ingest.enrich import Landmarker, enrich_rows
from facesets.operations.options.cache import EmbedOptions
from facesets.records import Faces, FileRecord, FoundFile, ImageRecord
from facesets.sources.missing import is_gone, moved_away, removed
from facesets.sources.walking import is_among
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch

_BATCHES_AHEAD_PER_WORKER = 3
_LEAST_EDGE_IN_INPUTS = 3
"""What a reduced picture keeps of its longer edge, in edges of the detector's input: a face of 40 pixels
in there, which is about the smallest that is found surely, then still fills the recogniser's 112."""
LISTING = "list and compare"
WAITING = "wait for workers"
_CHANGES_AGAIN = -1
"""Size and time of a record that matches no file, so that the next run looks again."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that gave no image, and why; `known` when an earlier run said the same of it."""

    path: str
    reason: str
    known: bool = False


@dataclass(frozen=True, slots=True)
class EmbedSummary:
    """What one run of `embed` did.

    Attributes
    ----------
    listed : int
        Files of the source that look like images.
    unchanged : int
        Known by path, size and time; not opened.
    embedded : int
        New images.
    aliases : int
        Files whose bytes were known already.
    faces : int
        Faces in the new images.
    ignored : int
        Files and folders that ignore files leave out.
    gone : int
        Known files of this source that are not there any more. They are forgotten until they come back.
    moved : int
        Paths elsewhere that are forgotten because the file was moved from there into this source.
    pruned : int
        Other paths that are forgotten because nothing is there any more, or because they are ignored by now.
    failed : int
        Files that cannot be read, those of earlier runs included while they have not changed.
    failures : list of Failure
        The same, each with its reason.
    to_do : int
        Files that a run would look at; only after a dry run.
    stopped : bool
        The run was asked to end before it was through.
    """

    listed: int = 0
    unchanged: int = 0
    embedded: int = 0
    aliases: int = 0
    faces: int = 0
    ignored: int = 0
    gone: int = 0
    moved: int = 0
    pruned: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    to_do: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of one file; `image` is None for an alias or a failure."""

    file: FileRecord
    image: ImageRecord | None = None


def embed(
    source: Source,
    store: Store,
    embedder: Embedder,
    options: EmbedOptions,
    *,
    landmarker: Landmarker | None = None,
    stopwatch: Stopwatch | None = None,
    progress: Progress,
    stop: Stop,
) -> EmbedSummary:
    """Put every face of the source that is not there yet into the store.

    Parameters
    ----------
    landmarker : Landmarker, optional
        Adds landmarks and pose in the same pass, as `enrich` does later.
    stopwatch : Stopwatch, optional
        Learns where the time went.

    Raises
    ------
    SourceGone
        The source vanished; what was done until then is kept.
    CannotWrite
        No space; what was flushed is kept.
    """
    stopwatch = stopwatch or Stopwatch()
    progress.begin("Listing")
    with stopwatch.stage(LISTING):
        found = list(source.files())
        known = store.files()
        todo, known_failures = _compare(found, known, retry_failed=options.retry_failed)
        reasons = {path: record.reason for path, record in known.items() if record.reason}
        gone = _gone(source, found, known)
    progress.end()
    if not found:
        _refuse_nothing(source, known)
    pruned = _pruned(source, known, gone) if options.prune else []
    summary = EmbedSummary(
        listed=len(found),
        unchanged=len(found) - len(todo),
        ignored=len(source.ignored),
        gone=len(gone),
        pruned=len(pruned),
        failed=len(known_failures),
        failures=known_failures,
    )
    if options.dry_run:
        return replace(summary, to_do=len(todo), moved=len(_moved(found, known).difference(gone, pruned)))
    store.forget_paths([*gone, *pruned])
    if todo:
        run = _Run(source, store, embedder, landmarker, options, stopwatch, reasons)
        summary = _embedded(run, todo, summary, progress, stop)
    moved = sorted(_moved(found, store.files()))
    store.forget_paths(moved)
    return replace(summary, moved=len(moved))


def _embedded(
    run: "_Run", todo: Sequence[FoundFile], summary: EmbedSummary, progress: Progress, stop: Stop
) -> EmbedSummary:
    """Look at the files that differ; return the summary with what came of them."""
    progress.begin("Embedding", len(todo))
    try:
        for outcome in run.outcomes(todo, stop):
            run.take(outcome)
            progress.advance()
    finally:
        # Ends by an error keep what was done just as well.
        run.flush()
        progress.end()
    return replace(
        summary,
        embedded=run.embedded,
        aliases=run.aliases,
        faces=run.faces,
        failed=summary.failed + len(run.failures),
        failures=summary.failures + run.failures,
        stopped=run.taken < len(todo),
    )


def require_photos(source: Source, known: Mapping[str, FileRecord]) -> None:
    """Refuse a source without photos, before any model is loaded for it.

    Raises
    ------
    SourceGone
        It is not there, or empty where photos are known.
    WrongUsage
        It is empty.
    """
    if next(iter(source.files()), None) is None:
        _refuse_nothing(source, known)


def _refuse_nothing(source: Source, known: Mapping[str, FileRecord]) -> None:
    """Nothing where photos were is rather a drive that is not mounted than what somebody wanted."""
    if source.chooses and source.is_there():
        raise WrongUsage(
            f"No photo below {source.label} fits --include and --exclude. Check the patterns and "
            "ignore files."
        )
    missing = sum(map(source.covers, known))
    if missing:
        raise SourceGone(
            f"{source.label} is empty, and {missing} photos are known to lie there. Is it mounted?"
        )
    raise WrongUsage(f"There are no photos below {source.label}. Check the path.")


def _compare(
    found: Sequence[FoundFile], known: Mapping[str, FileRecord], *, retry_failed: bool
) -> tuple[list[FoundFile], list[Failure]]:
    """Files to look at, and those of the others that are known not to be readable."""
    todo = []
    failures = []
    for file in found:
        record = known.get(file.path)
        if record is None or not record.matches(file) or (record.reason and retry_failed):
            todo.append(file)
        elif record.reason:
            # Of a folder that cannot be listed one hears while that is so: there may be photos in it.
            failures.append(Failure(file.path, record.reason, known=not os.path.isdir(file.path)))  # noqa: PTH112
    return todo, failures


def _gone(source: Source, found: Sequence[FoundFile], known: Mapping[str, FileRecord]) -> list[str]:
    """Known files of this source that are not there any more.

    A file that merely cannot be looked at is not gone; one that comes back is hashed again, not embedded.
    """
    listed = {file.path for file in found}
    missing = [path for path in known if path not in listed and source.covers(path) and is_gone(path)]
    return missing if not missing or source.is_there() else []


def _pruned(source: Source, known: Mapping[str, FileRecord], gone: Sequence[str]) -> list[str]:
    """Paths that are to be forgotten besides those that are gone from the source."""
    ignored = source.ignored
    left_out = [path for path in known if is_among(path, ignored)] if ignored else []
    return sorted({*removed(known), *left_out}.difference(gone))


def _moved(found: Sequence[FoundFile], known: Mapping[str, FileRecord]) -> set[str]:
    """Known paths of files that were moved from there to where they were found."""
    there = {file.path for file in found if file.path in known and known[file.path].matches(file)}
    paths: dict[str, list[str]] = {}
    for path, record in known.items():
        if record.sha256:
            paths.setdefault(record.sha256, []).append(path)
    copies = (of_image for of_image in paths.values() if len(of_image) > 1)
    # Caches may name a file by a detour (`a/../b`) that is another name of one that is here.
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


def _drop_what_has_not_begun(pending: deque[Future[list[_Outcome]]]) -> None:
    # Threads take the oldest first: whatever comes before one that has begun has begun as well.
    while pending and pending[-1].cancel():
        pending.pop()


class _Run:
    """The state of one run: what waits for the next flush, and the counts."""

    def __init__(
        self,
        source: Source,
        store: Store,
        embedder: Embedder,
        landmarker: Landmarker | None,
        options: EmbedOptions,
        stopwatch: Stopwatch,
        reasons: Mapping[str, str],
    ) -> None:
        self._source = source
        self._store = store
        self._reasons = reasons
        self._embedder = embedder
        self._landmarker = landmarker
        self._options = options
        self._stopwatch = stopwatch
        self._least_edge = _LEAST_EDGE_IN_INPUTS * embedder.settings.det_size if options.fast_decode else None
        self._files: list[FileRecord] = []
        self._images: list[ImageRecord] = []
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._begun: dict[str, tuple[int, int]] = {}
        self._unreadable: dict[str, str] = {}
        self.taken = self.embedded = self.aliases = self.faces = 0
        self.failures: list[Failure] = []

    def outcomes(self, todo: Iterable[FoundFile], stop: Stop) -> Iterator[_Outcome]:
        """What comes of each file, in order; a bounded number is worked on ahead."""
        workers = self._options.workers
        dealt = enumerate(batches(todo, self._options.batch_size))
        pending: deque[Future[list[_Outcome]]] = deque()
        with ThreadPoolExecutor(workers, thread_name_prefix="embed") as pool:
            try:
                while True:
                    room = workers * _BATCHES_AHEAD_PER_WORKER - len(pending)
                    if stop.requested:
                        _drop_what_has_not_begun(pending)
                    else:
                        pending.extend(pool.submit(self._work, *each) for each in islice(dealt, room))
                    if not pending:
                        return
                    with self._stopwatch.stage(WAITING):
                        outcomes = pending.popleft().result()
                    yield from outcomes
            finally:
                pool.shutdown(cancel_futures=True)

    def _work(self, number: int, batch: Sequence[FoundFile]) -> list[_Outcome]:
        """Take a batch from the disk to its faces. Runs in a worker thread."""
        files = []
        pictures: list[tuple[str, Decoded]] = []
        for place, found in enumerate(batch):
            record, decoded = self._read(found, (number, place))
            files.append(record)
            if decoded is not None:
                pictures.append((record.sha256, decoded))
        faces = self._embedder.embed([decoded.pixels for _, decoded in pictures])
        images = {
            sha256: ImageRecord(
                sha256=sha256,
                width=decoded.width,
                height=decoded.height,
                taken=decoded.taken,
                fingerprint=self._fingerprint(decoded),
                faces=self._enriched(decoded, of_picture).scaled(*decoded.scale),
            )
            for (sha256, decoded), of_picture in zip(pictures, faces, strict=True)
        }
        return [_Outcome(file, None if file.reason else images.pop(file.sha256, None)) for file in files]

    def _fingerprint(self, decoded: Decoded) -> bytes:
        with self._stopwatch.stage("fingerprint"):
            return fingerprint(decoded.pixels)

    def _enriched(self, decoded: Decoded, faces: Faces) -> Faces:
        if self._landmarker is None or not len(faces):
            return faces
        with self._stopwatch.stage("landmarks"):
            return enrich_rows(decoded.pixels, faces, np.arange(len(faces)), self._landmarker)

    def _read(self, found: FoundFile, place: tuple[int, int]) -> tuple[FileRecord, Decoded | None]:
        """Bytes, hash and pixels of one file; no pixels where they are known or cannot be had.

        A file that comes earlier in the order of all files may be at the same picture already.
        """
        try:
            with self._stopwatch.stage("read"):
                data = read_regular_file(Path(found.path), max_bytes=MAX_FILE_BYTES)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            return FileRecord(found.path, _CHANGES_AGAIN, _CHANGES_AGAIN, "", reason), None
        with self._stopwatch.stage("hash"):
            sha256 = hashlib.sha256(data).hexdigest()
        record = FileRecord(found.path, found.size, found.mtime_ns, sha256)
        with self._lock:
            is_copy = self._begun.setdefault(sha256, place) < place
            self._begun[sha256] = min(self._begun[sha256], place)
        if is_copy or self._store.has_image(sha256):
            return record, None
        try:
            with self._stopwatch.stage("decode"):
                return record, decode_bytes(data, least_edge=self._least_edge)
        except UnreadableImage as error:
            return FileRecord(found.path, found.size, found.mtime_ns, sha256, error.reason), None

    def take(self, outcome: _Outcome) -> None:
        """Count one file's outcome and keep it for the next flush."""
        file, image = outcome.file, outcome.image
        if image is None and not file.reason and file.sha256 in self._unreadable:
            file = replace(file, reason=self._unreadable[file.sha256])
        if file.reason:
            if file.sha256:
                self._unreadable[file.sha256] = file.reason
            if not file.sha256 and not self._source.is_there():
                raise SourceGone(
                    f"{self._source.label} vanished during the run. Everything up to here is kept: run the "
                    "same command again when it is back."
                )
            known = self._reasons.get(file.path) == file.reason
            self.failures.append(Failure(file.path, file.reason, known))
            if not file.sha256 and not os.path.lexists(file.path):
                self.taken += 1
                return
        elif image is None or file.sha256 in self._waiting or self._store.has_image(file.sha256):
            self.aliases += 1
        else:
            self.embedded += 1
            self.faces += len(image.faces)
            self._images.append(image)
            self._waiting.add(file.sha256)
        self._files.append(file)
        self.taken += 1
        if len(self._files) >= self._options.flush_every:
            self.flush()

    def flush(self) -> None:
        """Commit what waits."""
        if self._files:
            with self._stopwatch.stage("store"):
                self._store.commit(self._files, self._images)
            with self._lock:
                # From now on the store knows them.
                for file in self._files:
                    self._begun.pop(file.sha256, None)
            self._files, self._images, self._waiting = [], [], set()
