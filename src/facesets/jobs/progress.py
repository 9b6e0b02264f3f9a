"""How far a job is, written into the database once a second at most."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from facesets.errors import FacesetsError
from facesets.store.postgres.connection import Database
from facesets.store.postgres.queue.notes import note_progress

_EVERY_S = 1.0


class JobProgress:
    """Progress that is kept for whoever asks. Safe to use from several threads."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Hand lines that a user should see to somebody."""
        self._say = say
        self._lock = threading.Lock()
        self._stage = ""
        self._done = 0
        self._total: int | None = None

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:  # noqa: ARG002
        """Open a stage."""
        with self._lock:
            self._stage, self._done, self._total = what, 0, total

    def advance(self, count: int = 1) -> None:
        """Count steps."""
        with self._lock:
            self._done += count

    def say(self, line: str) -> None:
        """Pass on a line."""
        self._say(line)

    def end(self) -> None:
        """The stage stays what was done last until the next one."""

    def now(self) -> tuple[str, int, int | None]:
        """The stage, and how many steps of how many are done."""
        with self._lock:
            return self._stage, self._done, self._total


@contextmanager
def reported(database: Database, job: int, progress: JobProgress) -> Iterator[None]:
    """Write into the database how far a job is while the block runs, by a thread of its own."""
    over = threading.Event()

    def write() -> None:
        written = progress.now()
        while not over.wait(_EVERY_S):
            if (now := progress.now()) == written:
                continue
            stage, done, total = now
            # A server that is away for a moment hears of it the next time.
            with suppress(FacesetsError):
                database.run(partial(note_progress, job=job, stage=stage, done=done, total=total))
                written = now

    thread = threading.Thread(target=write, name=f"progress of job {job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
