"""From files to a store: threads read batches of files, and results are stored in order.

Each thread takes a batch from the disk to its faces by itself; reading, decoding and inference release the
interpreter, so that threads overlap without queues between them. Results are stored in the order of the
files, so the same files give the same store regardless of the number of threads and of interruptions. The two
stores differ by their `Intake`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from facesets.errors import SourceGone
from facesets.file_records import FileRecord, FoundFile
from facesets.interfaces import Describer, Progress
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.image_reader import ContentClaim, ImageReader, Place, ReadResult
from facesets.operations.ingest.stages import Stage
from facesets.operations.options.index import IndexOptions
from facesets.operations.options.start import EmbedOptions
from facesets.records import ImageRecord
from facesets.stopwatch import Stopwatch
from facesets.work import Stop, Work

_BATCHES_AHEAD_PER_WORKER = 3
_WAIT_FOR_OTHERS_S = 0.5
LISTING = "list and compare"
_WAITING = "wait for workers"


class Intake(Protocol):
    """A store's side of adding photos. All but `claim_content` is called by one thread."""

    def claim_files(self, files: Sequence[FoundFile], is_over: Callable[[], bool]) -> Iterator[FoundFile]:
        """Claim files for this run, until it ends."""
        ...

    def put_back(self, files: Sequence[FoundFile]) -> None:
        """Release claimed files that will not be read now."""
        ...

    def claim_content(self, sha256: str, place: Place) -> ContentClaim:
        """Return what to do with a content. Safe to call from several threads."""
        ...

    def accept(self, result: ReadResult) -> ReadResult | None:
        """Return the result to count for a file; None if the file is postponed."""
        ...

    def put_off(self) -> list[FoundFile]:
        """Return the files postponed since the last call."""
        ...

    @property
    def done_by_others(self) -> int:
        """Files that other runs had already processed."""
        ...

    @property
    def has_enough(self) -> bool:
        """Whether no further file should be started."""
        ...

    def known_reason(self, path: str) -> str:
        """Return why an earlier run could not read a file; empty if it could."""
        ...

    def vanished(self, path: str) -> str:
        """Return the name of a file's source if the whole source has vanished, else an empty text."""
        ...

    @property
    def can_commit(self) -> bool:
        """Whether the store can store results now."""
        ...

    def commit(self, files: Sequence[FileRecord], images: Sequence[ImageRecord]) -> None:
        """Store these, all or nothing, and release the claims of the results so far."""
        ...


@dataclass(slots=True)
class Counts:
    """Results of the files so far.

    Attributes
    ----------
    taken : int
        Files with a result.
    new : int
        Images that were unknown before.
    completed : int
        Known images that were completed.
    aliases : int
        Files with known content.
    faces, embeddings : int
        In new and completed images.
    """

    taken: int = 0
    new: int = 0
    completed: int = 0
    aliases: int = 0
    faces: int = 0
    embeddings: int = 0
    failures: list[FileFailure] = field(default_factory=list)


class Pipeline:
    """One run over files that are new or changed."""

    def __init__(
        self,
        intake: Intake,
        describer: Describer,
        options: EmbedOptions | IndexOptions,
        *,
        stages: Sequence[Stage],
        stopwatch: Stopwatch,
        clock: Callable[[], float],
    ) -> None:
        """Combine a store's intake with a describer of images; `clock` counts seconds."""
        self._intake = intake
        self._reader = ImageReader(
            describer,
            intake.claim_content,
            stages,
            stopwatch,
            fast_decode=options.fast_decode,
            max_pixels=options.max_pixels,
        )
        self._options = options
        self._stopwatch = stopwatch
        self._clock = clock
        self._files: list[FileRecord] = []
        self._images: dict[str, ImageRecord] = {}
        self._unflushed = 0
        self._flushed_at = clock()
        self._counts = Counts()
        self._advanced = 0

    @property
    def finished(self) -> int:
        """Files that are finished, by this run or another."""
        return self._counts.taken + self._intake.done_by_others

    def run(self, what: str, todo: Sequence[FoundFile], work: Work) -> Counts:
        """Process all files in order, then postponed ones again, until none is left.

        Raises
        ------
        SourceGone
            The source became unavailable; earlier results are stored.
        CannotWrite, Unreachable
            The store is full or unavailable; flushed data stays.
        """
        work.progress.begin(what, len(todo))
        try:
            self._work_through(list(todo), work)
        finally:
            work.progress.end()
        return self._counts

    def _work_through(self, waiting: list[FoundFile], work: Work) -> None:
        with ThreadPoolExecutor(self._options.workers, thread_name_prefix="ingest") as pool:
            try:
                while waiting:
                    before = self.finished
                    for result in self._results(pool, waiting, work.stop):
                        self._take(result)
                        self._advance(work.progress)
                    self._flush()
                    self._advance(work.progress)
                    waiting = self._intake.put_off()
                    if work.stop.requested or self._intake.has_enough:
                        return
                    if waiting and before == self.finished:
                        time.sleep(_WAIT_FOR_OTHERS_S)
            finally:
                pool.shutdown(cancel_futures=True)
                # An error preserves results as well, unless the store is unavailable.
                if self._intake.can_commit:
                    self._flush()

    def _results(
        self, pool: ThreadPoolExecutor, files: Sequence[FoundFile], stop: Stop
    ) -> Iterator[ReadResult]:
        """Yield the result of each file, in order; a bounded number is processed ahead."""
        ours = self._intake.claim_files(files, lambda: stop.requested or self._intake.has_enough)
        dealt = enumerate(batches(ours, self._options.batch_size))
        pending: deque[tuple[list[FoundFile], Future[list[ReadResult]]]] = deque()
        while True:
            room = self._options.workers * _BATCHES_AHEAD_PER_WORKER - len(pending)
            pending.extend(
                (batch, pool.submit(self._reader.read, number, batch))
                for number, batch in islice(dealt, room)
            )
            # Threads take the oldest first, so all batches before a started one have started.
            while stop.requested and pending and pending[-1][1].cancel():
                self._intake.put_back(pending.pop()[0])
            if not pending:
                return
            with self._stopwatch.stage(_WAITING):
                results = pending.popleft()[1].result()
            yield from results

    def _advance(self, progress: Progress) -> None:
        if count := self.finished - self._advanced:
            self._advanced += count
            progress.advance(count)

    def _take(self, result: ReadResult) -> None:
        """Count the result of one file and hold it for the next flush."""
        self._unflushed += 1
        accepted = self._intake.accept(result)
        if accepted is not None:
            self._count(accepted)
        is_late = self._clock() - self._flushed_at > self._options.flush_every_s
        if is_late or self._unflushed >= self._options.flush_every:
            self._flush()

    def _count(self, result: ReadResult) -> None:
        file, counts = result.file, self._counts
        if file.reason:
            if not file.sha256 and (vanished := self._intake.vanished(file.path)):
                raise SourceGone(
                    f"{vanished} disappeared during the run. Results so far are saved; when it is "
                    "back, run the same command again."
                )
            is_known = self._intake.known_reason(file.path) == file.reason
            counts.failures.append(FileFailure(file.path, file.reason, is_known))
        elif result.image is None or file.sha256 in self._images:
            counts.aliases += 1
        else:
            counts.new += result.claim.is_new
            counts.completed += not result.claim.is_new
            counts.faces += len(result.image.faces)
            counts.embeddings += result.image.clip is not None
            self._images[file.sha256] = result.image
        counts.taken += 1
        if result.is_stored:
            self._files.append(file)

    def _flush(self) -> None:
        """Store the waiting results."""
        if not self._unflushed:
            return
        with self._stopwatch.stage("store"):
            self._intake.commit(self._files, list(self._images.values()))
        self._files, self._images, self._unflushed = [], {}, 0
        self._flushed_at = self._clock()


_MAX_BYTES = 32_000_000
"""Maximum size of a batch's files: decoded they are ten times as large, and all are held in memory."""


def batches(files: Iterable[FoundFile], size: int) -> Iterator[list[FoundFile]]:
    """Yield files in order, `size` at a time, fewer if they are large."""
    batch: list[FoundFile] = []
    total = 0
    for file in files:
        batch.append(file)
        total += file.size
        if len(batch) >= size or total >= _MAX_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
