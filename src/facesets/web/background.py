"""Long-running jobs started from the browser, one at a time."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import uuid4

from facesets.assembly.commands import VERBS
from facesets.errors import AlreadyRunning, FacesetsError, NotFound, WrongUsage
from facesets.store.postgres.connection import Database
from facesets.web.render import worded
from facesets.work import Stop

_log = logging.getLogger("facesets.web")

Status = Literal["running", "done", "stopped", "failed"]
_WHOLE = {"people forget", *(name for name, verb in VERBS.items() if verb.is_whole)}
"""Commands that can't be stopped once started."""
_MAX_JOBS = 100
_MAX_LINES = 200


@dataclass(frozen=True, slots=True)
class Job:
    """A background job.

    Attributes
    ----------
    what : str
        The equivalent command.
    stage : str
        The current stage, since `stage_at`, with `done` of `total` items or bytes, if known.
    lines : tuple of str
        Messages so far.
    summary : object or None
        The result.
    sentence : str
        Why it failed; `error` is the exception for callers who wait for it.
    runs : sequence of int
        The run numbers under which the library recorded it.
    """

    id: str
    what: str
    status: Status = "running"
    stage: str = ""
    done: int = 0
    total: int | None = None
    in_bytes: bool = False
    stage_at: float = field(default_factory=time.time)
    lines: tuple[str, ...] = ()
    summary: Any = None
    sentence: str = ""
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    error: FacesetsError | None = None
    runs: Sequence[int] = ()

    @property
    def can_stop(self) -> bool:
        """Whether the job can be stopped."""
        return self.status == "running" and self.what not in _WHOLE


Work = Callable[["JobProgress", Stop], Any]
"""A long-running function that returns a result."""


class Jobs:
    """Background jobs since the server started. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._stop = Stop()
        self._thread: threading.Thread | None = None

    def start(self, what: str, work: Work) -> Job:
        """Start a job in the background.

        Raises
        ------
        AlreadyRunning
            Another job is running.
        """
        with self._lock:
            running = next((job for job in self._jobs.values() if job.status == "running"), None)
            if running is not None:
                raise AlreadyRunning(
                    f"`{running.what}` is still running. Wait until it ends, or stop it, then try again."
                )
            job = Job(uuid4().hex, what)
            self._jobs[job.id] = job
            while len(self._jobs) > _MAX_JOBS:
                self._jobs.popitem(last=False)
            self._stop = Stop()
            self._thread = threading.Thread(
                target=self._run, args=(job.id, work, self._stop), name=what, daemon=True
            )
            self._thread.start()
        return job

    def run(self, what: str, work: Work) -> Job:
        """Start a job as `start` does, and wait for its end.

        Raises
        ------
        AlreadyRunning
            Another job is running, here or elsewhere.
        FacesetsError
            As raised by the job.
        RuntimeError
            The job failed unexpectedly.
        """
        number = self.start(what, work).id
        with self._lock:
            self._lock.wait_for(lambda: self._jobs[number].status != "running")
            job = self._jobs[number]
        if job.error is not None:
            raise job.error
        if job.status == "failed":
            raise RuntimeError(job.sentence)
        return job

    def all(self) -> list[Job]:
        """Return all jobs, latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def find(self, number: str) -> Job:
        """Return the job of an id. Raises `NotFound`."""
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise NotFound("Job not found. The Runs page lists all jobs.")
        return job

    def stop(self, number: str) -> Job:
        """Stop a job cleanly; a job that has ended stays as it is.

        Raises
        ------
        NotFound
            There is no such job.
        WrongUsage
            It is running and can't be stopped.
        """
        job = self.find(number)
        if job.can_stop:
            self._stop.request()
        elif job.status == "running":
            raise WrongUsage(f"`{job.what}` can't be stopped. Wait until it ends.")
        return job

    def close(self, within_s: float) -> None:
        """Stop the running job, and wait for it at most this long."""
        self._stop.request()
        if self._thread is not None:
            self._thread.join(within_s)

    def update(self, number: str, **changes: Any) -> None:
        """Update a job's state."""
        with self._lock:
            if number in self._jobs:
                self._jobs[number] = replace(self._jobs[number], **changes)
                self._lock.notify_all()

    def _run(self, number: str, work: Work, stop: Stop) -> None:
        progress = JobProgress(self, number)
        try:
            summary = work(progress, stop)
        except FacesetsError as error:
            sentence = worded(f"{error}")
            self.update(number, status="failed", sentence=sentence, error=error, ended_at=time.time())
        except Exception:  # noqa: BLE001 - nothing else catches errors of a thread
            _log.exception("a job failed")
            self.update(
                number,
                status="failed",
                sentence="An unexpected error occurred. See the server's log for details.",
                ended_at=time.time(),
            )
        else:
            status = "stopped" if stop.requested else "done"
            self.update(number, status=status, summary=summary, ended_at=time.time())


class JobProgress:
    """Progress that is stored with a job."""

    def __init__(self, jobs: Jobs, number: str) -> None:
        self._jobs = jobs
        self._number = number
        self._done = 0
        self._lock = threading.Lock()

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Start a stage."""
        with self._lock:
            self._done = 0
        self._jobs.update(
            self._number, stage=what, done=0, total=total, in_bytes=in_bytes, stage_at=time.time()
        )

    def advance(self, count: int = 1) -> None:
        """Add to the count of done items."""
        with self._lock:
            self._done += count
            done = self._done
        self._jobs.update(self._number, done=done)

    def of_session(self, session: Database) -> None:
        """Link the runs that a session records to this job."""
        self._jobs.update(self._number, runs=session.recorded)

    def say(self, line: str) -> None:
        """Store a message for the user."""
        job = self._jobs.find(self._number)
        self._jobs.update(self._number, lines=(*job.lines, worded(line))[-_MAX_LINES:])

    def end(self) -> None:
        """End the stage."""
        self._jobs.update(self._number, stage="", total=None)


class LoggedNotices:
    """Notices that go to the log only."""

    def notice(self, line: str) -> None:
        """Log a line."""
        _log.info("%s", line)

    remark = detail = notice

    def remark_once(self, line: str, *, automatic: bool = False) -> None:
        """Log a line; one about a default choice is a notice."""
        (self.notice if automatic else self.remark)(line)

    def should_repeat(self) -> bool:
        """Return false: earlier messages are in the log."""
        return False

    def is_stopping(self) -> bool:
        """Return false: requests can't be stopped."""
        return False


class JobNotices(LoggedNotices):
    """Notices of a job: important ones are stored with it."""

    def __init__(self, progress: JobProgress, stop: Stop) -> None:
        self._progress = progress
        self._stop = stop

    def notice(self, line: str) -> None:
        """Store a line with the job."""
        self._progress.say(line)

    def detail(self, line: str) -> None:
        """Log a line."""
        _log.debug("%s", line)

    def is_stopping(self) -> bool:
        """Return whether the job was stopped."""
        return self._stop.requested
