"""Long work that a browser starts: one piece at a time, beside the answers."""

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
"""Commands that are done to their end once they began."""
_KEPT = 100
_KEPT_LINES = 200


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes
    ----------
    what : str
        The command that does the same.
    stage : str
        What is being done, since `stage_at`; `done` of `total` steps or bytes of it, where that is known.
    lines : tuple of str
        What was said on the way.
    summary : object or None
        What came of it.
    sentence : str
        Why it failed; `error` is the same for whoever waits for it.
    runs : sequence of int
        The numbers under which the library recorded it.
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
        """Whether it ends early where somebody asks."""
        return self.status == "running" and self.what not in _WHOLE


Work = Callable[["JobProgress", Stop], Any]
"""Long work, which returns what came of it."""


class Jobs:
    """What runs in the background, and what ran since the program was started. Safe to use from threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._stop = Stop()
        self._thread: threading.Thread | None = None

    def start(self, what: str, work: Work) -> Job:
        """Begin some work in the background.

        Raises
        ------
        AlreadyRunning
            Other work is going on.
        """
        with self._lock:
            running = next((job for job in self._jobs.values() if job.status == "running"), None)
            if running is not None:
                raise AlreadyRunning(
                    f"`{running.what}` is running. Wait until it is done, or stop it, then start this."
                )
            job = Job(uuid4().hex, what)
            self._jobs[job.id] = job
            while len(self._jobs) > _KEPT:
                self._jobs.popitem(last=False)
            self._stop = Stop()
            self._thread = threading.Thread(
                target=self._run, args=(job.id, work, self._stop), name=what, daemon=True
            )
            self._thread.start()
        return job

    def run(self, what: str, work: Work) -> Job:
        """Do some work as `start` does, and wait for its end.

        Raises
        ------
        AlreadyRunning
            Other work is going on, here or elsewhere.
        FacesetsError
            As the work does.
        RuntimeError
            It failed for a reason that nobody expected.
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
        """All jobs, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def find(self, number: str) -> Job:
        """The job of an id. Raises `NotFound`."""
        with self._lock:
            job = self._jobs.get(number)
        if job is None:
            raise NotFound("There is no such job. The list of runs shows what there is.")
        return job

    def stop(self, number: str) -> Job:
        """Ask a job to end cleanly; one that ended already stays as it is.

        Raises
        ------
        NotFound
            There is no such job.
        WrongUsage
            It runs, and is only done as a whole.
        """
        job = self.find(number)
        if job.can_stop:
            self._stop.request()
        elif job.status == "running":
            raise WrongUsage(f"`{job.what}` cannot be stopped: it is only done as a whole.")
        return job

    def close(self, within_s: float) -> None:
        """Ask what runs to end, and wait for it so long."""
        self._stop.request()
        if self._thread is not None:
            self._thread.join(within_s)

    def update(self, number: str, **changes: Any) -> None:
        """Note how far a job is."""
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
        except Exception:  # noqa: BLE001 - a thread has nobody else to tell
            _log.exception("a job failed")
            self.update(
                number,
                status="failed",
                sentence="That failed for a reason the program did not expect. Its terminal says more.",
                ended_at=time.time(),
            )
        else:
            status = "stopped" if stop.requested else "done"
            self.update(number, status=status, summary=summary, ended_at=time.time())


class JobProgress:
    """Progress that a job keeps, for whoever looks at it."""

    def __init__(self, jobs: Jobs, number: str) -> None:
        self._jobs = jobs
        self._number = number
        self._done = 0
        self._lock = threading.Lock()

    def begin(self, what: str, total: int | None = None, *, in_bytes: bool = False) -> None:
        """Open a stage."""
        with self._lock:
            self._done = 0
        self._jobs.update(
            self._number, stage=what, done=0, total=total, in_bytes=in_bytes, stage_at=time.time()
        )

    def advance(self, count: int = 1) -> None:
        """Count steps."""
        with self._lock:
            self._done += count
            done = self._done
        self._jobs.update(self._number, done=done)

    def of_session(self, session: Database) -> None:
        """Say with which session the work is done: the runs that it records are this job."""
        self._jobs.update(self._number, runs=session.recorded)

    def say(self, line: str) -> None:
        """Keep a line that a user should see."""
        job = self._jobs.find(self._number)
        self._jobs.update(self._number, lines=(*job.lines, worded(line))[-_KEPT_LINES:])

    def end(self) -> None:
        """Close the stage."""
        self._jobs.update(self._number, stage="", total=None)


class LoggedNotices:
    """Notices for nobody but the log."""

    def notice(self, line: str) -> None:
        """Log a line."""
        _log.info("%s", line)

    remark = detail = notice

    def remark_once(self, line: str, *, unasked: bool = False) -> None:
        """Log a line; one about a choice that nobody made is a notice."""
        (self.notice if unasked else self.remark)(line)

    def says_again(self) -> bool:
        """Once is enough: what was said before is in the log."""
        return False

    def is_stopping(self) -> bool:
        """Answers are not stopped."""
        return False


class JobNotices(LoggedNotices):
    """What is said while a job's parts are put together: what matters is kept with the job."""

    def __init__(self, progress: JobProgress, stop: Stop) -> None:
        self._progress = progress
        self._stop = stop

    def notice(self, line: str) -> None:
        """Keep a line."""
        self._progress.say(line)

    def detail(self, line: str) -> None:
        """Log a line."""
        _log.debug("%s", line)

    def is_stopping(self) -> bool:
        """Whether somebody stopped the job."""
        return self._stop.requested
